"""
TLS with contexts of pyOpenSSL's, and the context factories of Twisted's that have them: for
whoever verifies, or issues, certificates in ways of its own.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IListeningPort,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IProtocolNegotiationFactory,
    IReactorTime,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from ..base.twistedprivate import connectionMaker, serverContext
from .connection import OpenSSLConnection, TLSConnection
from .endpoint import TLSClientEndpoint
from .protocol import TLSFactory


class OpenSSLConnections:
    """
    Makes the connections that a context factory of pyOpenSSL's, or of Twisted's, stands for.
    """

    def __init__(self, creator: Any, *, client: bool) -> None:
        """
        @param creator: an L{IOpenSSLClientConnectionCreator
            <twisted.internet.interfaces.IOpenSSLClientConnectionCreator>}, its counterpart for
            servers, or an older context factory.
        @param client: whether it is the client's side.
        """
        self._make = connectionMaker(creator, client)
        self._client = client

    def connection(self, transport: Any) -> TLSConnection:
        """
        Make a connection.
        """
        return OpenSSLConnection(self._make(transport), server_side=not self._client)

    def ended(self, connection: TLSConnection) -> None:
        """
        It is OpenSSL's to know what may be resumed.
        """


def wrapClientTLS(
    creator: object, endpoint: IStreamClientEndpoint, clock: IReactorTime
) -> TLSClientEndpoint:
    """
    Speak TLS with a context of pyOpenSSL's: as L{twisted.internet.endpoints.wrapClientTLS}, with
    halves that end one by one.

    @param creator: an L{IOpenSSLClientConnectionCreator
        <twisted.internet.interfaces.IOpenSSLClientConnectionCreator>}.
    @param endpoint: what to connect with.
    @param clock: what tells the time.
    """
    return TLSClientEndpoint(endpoint, OpenSSLConnections(creator, client=True), clock)


@implementer(IStreamServerEndpoint)
class OpenSSLServerEndpoint:
    """
    Listens on another endpoint, and speaks TLS on its connections.

    @ivar context: what they have in common.
    """

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        creator: IOpenSSLServerConnectionCreator,
        context: SSL.Context,
        clock: IReactorTime,
    ) -> None:
        """
        @param endpoint: what to listen on.
        @param creator: makes the TLS of each connection.
        @param context: what all of them are made with.
        @param clock: what tells the time.
        """
        self.context = context
        self._endpoint = endpoint
        self._creator = creator
        self._clock = clock

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen.

        @param protocolFactory: makes the protocols.
        """
        connections = OpenSSLConnections(self._creator, client=False)
        return self._endpoint.listen(TLSFactory(protocolFactory, connections, self._clock))


def tlsContext(endpoint: IStreamServerEndpoint) -> SSL.Context | None:
    """
    Tell what a server's TLS connections are made with.

    @param endpoint: what listens.
    @return: L{None} where there is no TLS.
    """
    return (
        endpoint.context
        if isinstance(endpoint, OpenSSLServerEndpoint)
        else serverContext(endpoint)
    )


def negotiateStrictly(endpoint: IStreamServerEndpoint) -> None:
    """
    Have a TLS server do about ALPN what RFC 7301 section 3.2 says. Twisted's refuses each client
    that offers a protocol, curl and browsers among them, where the factory has no list of its own.

    @param endpoint: what listens; left as it is if it has no TLS.
    """
    context = tlsContext(endpoint)
    if context is not None:
        context.set_alpn_select_callback(_selectProtocol)


def _selectProtocol(connection: SSL.Connection, offered: list[bytes]) -> Any:
    factory = IProtocolNegotiationFactory(connection.get_app_data().factory.wrappedFactory, None)
    if factory is None:
        return SSL.NO_OVERLAPPING_PROTOCOLS
    for name in factory.acceptableProtocols():
        if name in offered:
            return name
    # What is raised here is what the handshake fails with, after the alert that is for this.
    raise SSL.Error([("ALPN", "", "no application protocol that both sides take")])
