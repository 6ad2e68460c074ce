"""
What goes wrong on a socket: Twisted's own errors with the endpoint in their message, and the three
that Twisted has no class for.
"""

from __future__ import annotations

from copy import copy

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError, SSLError

from ..base.tls import errorText


class IncompleteReadError(EOFError):
    """
    The peer ended before what was to be read had come whole.

    @ivar partial: what had arrived, which counts as read.
    """

    def __init__(self, message: str, partial: bytes) -> None:
        """
        @param message: what was awaited.
        @param partial: what had arrived.
        """
        super().__init__(message)
        self.partial = partial


class LimitExceededError(ValueError):
    """
    The peer sent more than the read allows. What it sent is not lost: it can still be read.

    @ivar limit: the limit, in bytes.
    """

    def __init__(self, message: str, limit: int) -> None:
        """
        @param message: what was awaited.
        @param limit: the limit, in bytes.
        """
        super().__init__(message)
        self.limit = limit


class WriteAfterEndError(ConnectionClosed):
    """
    Our half of the connection was closed before this write.
    """


def withEndpoint(error: BaseException | None, endpoint: str) -> Exception:
    """
    Make an error say which endpoint it is about.

    @param error: what a connection, or an attempt at one, failed with. It is left as it is:
        Twisted shares some among all connections.
    @param endpoint: the endpoint as a person writes it.
    @return: an error of the same class, or L{SSLError} for one of a TLS library. An error that is
        none of the network's is returned itself.
    """
    if isinstance(error, SSL.Error | VerificationError):
        return SSLError(string=f"{endpoint}: {errorText(error)}")
    if isinstance(error, ConnectError | ConnectionClosed | DNSLookupError):
        told = copy(error)
        told.args = (": ".join([endpoint, *(str(arg) for arg in error.args if arg)]),)
        return told
    assert isinstance(error, Exception)
    return error
