"""
What goes wrong on a socket: Twisted's own errors with the endpoint in their message, and the few
that Twisted has no class for.
"""

from __future__ import annotations

import ssl
from copy import copy

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import CancelledError
from twisted.internet.error import (
    CannotListenError,
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    DNSLookupError,
    SSLError,
)

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


class AddressBlockedError(ConnectError):
    """
    None of the addresses may be connected to, as C{allow} and C{deny} say.
    """

    MESSAGE = "The address is none that may be connected to"


def withEndpoint(error: BaseException | None, endpoint: str) -> Exception:
    """
    Make an error say which endpoint it is about.

    @param error: what a connection, or an attempt at one, failed with. It is left as it is:
        Twisted shares some among all connections.
    @param endpoint: the endpoint as a person writes it.
    @return: an error of the same class; L{SSLError} for one of a TLS library, L{ConnectError} for
        one of the operating system, C{ValueError} where the endpoint can be none. Another error is
        returned itself.
    """
    if isinstance(error, SSL.Error | ssl.SSLError | VerificationError):
        return SSLError(string=f"{endpoint}: {errorText(error)}")
    if isinstance(error, ConnectError | ConnectionClosed | DNSLookupError):
        told = copy(error)
        told.args = (": ".join([endpoint, *(str(arg) for arg in error.args if arg)]),)
        return told
    if isinstance(error, ConnectingCancelledError):
        return CancelledError(f"{endpoint}: connecting was cancelled")
    if isinstance(error, OSError):
        return ConnectError(error.errno, f"{endpoint}: {error.strerror or error}")
    if isinstance(error, ValueError | OverflowError):
        # A port number out of range, a name that can be none.
        return ValueError(f"{endpoint}: {error}")
    assert isinstance(error, Exception)
    return error


class CannotListenOnEndpointError(CannotListenError):
    """
    L{CannotListenError} that names the endpoint.
    """

    def __init__(self, endpoint: str, error: object) -> None:
        """
        @param endpoint: the endpoint as a person writes it.
        @param error: why: an error, or a text.
        """
        super().__init__(None, endpoint, error)

    def __str__(self) -> str:
        return f"{self.port}: {getattr(self.socketError, 'strerror', None) or self.socketError}"


def whileListening(error: Exception, endpoint: str) -> Exception:
    """
    Make an error of listening say which endpoint it is about.

    @param error: what an endpoint failed with.
    @param endpoint: the endpoint as a person writes it.
    @return: L{CannotListenError} for one of the network's or the operating system's, C{ValueError}
        where the endpoint can be none. Another error is returned itself.
    """
    if isinstance(error, CannotListenError):
        # The endpoint is named once, in its own words.
        return CannotListenOnEndpointError(endpoint, error.socketError)
    if isinstance(error, OSError):
        return CannotListenOnEndpointError(endpoint, error)
    if isinstance(error, ValueError | OverflowError):
        return ValueError(f"{endpoint}: {error}")
    return error
