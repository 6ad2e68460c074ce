"""
How a TLS connection ends that does not end as it should.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionLost, TimeoutError


class TruncatedError(ConnectionLost):
    """
    The peer did not end TLS in good order: what was received may be cut short
    """

    MESSAGE = "The peer did not end TLS in good order: what was received may be cut short"


class HandshakeTimeoutError(TimeoutError):
    """
    The peer did not agree on TLS in time
    """

    MESSAGE = "The peer did not agree on TLS in time"
