"""
What moves the octets of connected sockets, so that a connection is told of them.

In C where that was built (C{native.c}), in Python else (L{python}): the same classes, which the
same tests are run on.
"""

from __future__ import annotations

try:
    from .native import DIRECT, DIRECT_TLS, FIRST, QUEUED, Channel, Poller, Writer
except ImportError:
    from .python import (  # type: ignore[assignment] # the same in another language
        DIRECT,
        DIRECT_TLS,
        FIRST,
        QUEUED,
        Channel,
        Poller,
        Writer,
    )

__all__ = ["DIRECT", "DIRECT_TLS", "FIRST", "QUEUED", "Channel", "Poller", "Writer"]
