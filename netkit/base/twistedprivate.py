"""
The private names of Twisted that netkit uses: here, and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from OpenSSL import SSL
from twisted.application.internet import StreamServerEndpointService
from twisted.internet import endpoints, tcp
from twisted.internet._signals import SignalHandling
from twisted.internet.endpoints import SSL4ClientEndpoint, TCP4ClientEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.posixbase import _ContinuousPolling as ContinuousPolling
from twisted.internet.process import _BaseProcess as BaseProcess
from twisted.python.failure import Failure

if TYPE_CHECKING:
    from twisted.web.client import Response
    from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
    from twisted.web.server import Request

__all__ = [
    "BaseProcess",
    "ConnectionTarget",
    "ContinuousPolling",
    "SignalHandling",
    "connectionPath",
    "connectionTarget",
    "contentEnded",
    "contentReceived",
    "contextFactory",
    "endpointService",
    "handshakeDone",
    "reserveDescriptor",
    "splitEndpoint",
    "standardEndpoints",
    "upgradeChannel",
]


class ConnectionTarget(NamedTuple):
    """
    Where a client endpoint connects to, and how: what L{HostnameEndpoint
    <twisted.internet.endpoints.HostnameEndpoint>} takes as well.

    @ivar host: a name or an address.
    @ivar port: the port.
    @ivar timeout: for how many seconds to try.
    @ivar bindAddress: where to connect from, host and port.
    """

    host: str
    port: int
    timeout: float
    bindAddress: Any


def connectionTarget(endpoint: TCP4ClientEndpoint | SSL4ClientEndpoint) -> ConnectionTarget:
    """
    Tell where a client endpoint connects to.
    """
    return ConnectionTarget(
        endpoint._host, endpoint._port, endpoint._timeout, endpoint._bindAddress
    )


def connectionPath(endpoint: UNIXClientEndpoint) -> str | bytes:
    """
    Tell which UNIX socket a client endpoint connects to.
    """
    path: str | bytes = endpoint._path
    return path


def contextFactory(endpoint: SSL4ClientEndpoint) -> Any:
    """
    Tell what an C{ssl:} endpoint makes its TLS connections with.
    """
    return endpoint._sslContextFactory


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


def standardEndpoints(
    reactor: object,
    tlsPolicy: IPolicyForHTTPS,
    connectTimeout: float | None,
    bindAddress: bytes | None,
) -> IAgentEndpointFactory:
    """
    Make what an L{Agent <twisted.web.client.Agent>} connects with where it is told nothing else.

    @param reactor: what connects.
    @param tlsPolicy: how to verify certificates.
    @param connectTimeout: how many seconds connecting may take.
    @param bindAddress: the address to connect from.
    """
    # Not for those who have nothing to do with the Web.
    from twisted.web.client import _StandardEndpointFactory

    made: IAgentEndpointFactory = _StandardEndpointFactory(
        reactor, tlsPolicy, connectTimeout, bindAddress
    )
    return made


def contentReceived(response: Response, data: bytes) -> None:
    """
    Have a response of L{twisted.web.client} deliver a piece of its content.
    """
    response._bodyDataReceived(data)


def contentEnded(response: Response, reason: Failure) -> None:
    """
    Have a response of L{twisted.web.client} deliver the end of its content.

    @param reason: L{ConnectionDone <twisted.internet.error.ConnectionDone>} where it is whole.
    """
    response._bodyDataFinished(reason)


def upgradeChannel(request: Request, protocol: IProtocol) -> None:
    """
    Hand the connection of a request of L{twisted.web} over to another protocol.
    """
    request.channel._protocolUpgradeForWebsockets(protocol)
