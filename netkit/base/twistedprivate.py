"""
The private names of Twisted that netkit uses: here, and nowhere else.
"""

from __future__ import annotations

from OpenSSL import SSL
from twisted.application.internet import StreamServerEndpointService
from twisted.internet import endpoints, tcp
from twisted.internet._signals import SignalHandling
from twisted.internet.interfaces import IProtocolFactory, IStreamServerEndpoint
from twisted.internet.posixbase import _ContinuousPolling as ContinuousPolling
from twisted.internet.process import _BaseProcess as BaseProcess

__all__ = [
    "BaseProcess",
    "ContinuousPolling",
    "SignalHandling",
    "endpointService",
    "handshakeDone",
    "reserveDescriptor",
    "splitEndpoint",
]


def reserveDescriptor() -> None:
    """
    Have a descriptor in reserve, so that a port can refuse a connection where there is none left.
    """
    tcp._reservedFD.reserve()


def endpointService(
    endpoint: IStreamServerEndpoint, factory: IProtocolFactory
) -> StreamServerEndpointService:
    """
    Make a service that listens on an endpoint, and fails to start where that fails at once, as
    C{twisted.application.strports.service} does of an endpoint string.
    """
    service = StreamServerEndpointService(endpoint, factory)
    service._raiseSynchronously = True
    return service


def splitEndpoint(description: str) -> tuple[list[str], dict[str, str]]:
    """
    Split an endpoint string into its parts and those that have a name.
    """
    parts: tuple[list[str], dict[str, str]] = endpoints._parse(description)
    return parts


def handshakeDone(transport: object) -> bool:
    """
    Whether a connection's TLS handshake was done, or it never had one to do.

    @param transport: the transport, which may be wrapped as often as one likes.
    """
    return bool(getattr(transport, "_handshakeDone", True))


def serverContext(endpoint: IStreamServerEndpoint) -> SSL.Context | None:
    """
    What makes a server's TLS connections; L{None} where there is no TLS.
    """
    if not isinstance(endpoint, endpoints.SSL4ServerEndpoint):
        return None
    context: SSL.Context = endpoint._sslContextFactory.getContext()
    return context
