"""
Connecting through an HTTP proxy (RFC 9110 section 9.3.6).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer

from ..base.switching import SwitchedProtocol
from ..tls import wrapClientTLS
from ..wire.errors import HTTPProtocolError
from ..wire.http.connection import ResponseReceiver
from ..wire.http.fields import encode_fields
from .url import WebSocketURL


class ProxyFailed(ConnectError):
    """
    The proxy did not make the connection.
    """


class Proxy:
    """
    An HTTP proxy to connect through, by CONNECT.
    """

    def __init__(self, url: str, tlsPolicy: IPolicyForHTTPS, reactor: IReactorTime) -> None:
        """
        @param url: the proxy's URL.
        @param tlsPolicy: how to verify the certificates of the servers behind it.
        @param reactor: what tells the time.
        @raise ValueError: it is no URL of a proxy.
        """
        try:
            parsed = WebSocketURL.parse(url)
        except ValueError as error:
            raise ValueError(
                f"{url!r} is not the URL of a proxy such as http://host:3128"
            ) from error
        self._credentials = parsed.credentials
        self._uri = URI.fromBytes(parsed.http.encode("ascii"))
        self._tlsPolicy = tlsPolicy
        self._reactor = reactor

    def endpoint(
        self, direct: IAgentEndpointFactory, uri: URI, connected: Callable[[], None]
    ) -> IStreamClientEndpoint:
        """
        Make the endpoint that connects to a URL through the proxy.

        @param direct: makes the endpoint that connects to the proxy.
        @param uri: the URL.
        @param connected: called when the connection to the proxy is made.
        """
        endpoint: IStreamClientEndpoint = _TunnelEndpoint(
            direct.endpointForURI(self._uri), uri, self._credentials, connected
        )
        if uri.scheme == b"https":
            creator = self._tlsPolicy.creatorForNetloc(uri.host, uri.port)
            endpoint = wrapClientTLS(creator, endpoint, self._reactor)
        return endpoint


@implementer(IStreamClientEndpoint)
class _TunnelEndpoint:
    """
    Connects to a proxy, and through it to the URL.
    """

    def __init__(
        self,
        proxy: IStreamClientEndpoint,
        uri: URI,
        credentials: bytes | None,
        connected: Callable[[], None],
    ) -> None:
        host = b"[%b]" % uri.host if b":" in uri.host else uri.host
        authority = b"%b:%d" % (host, uri.port)
        fields = [(b"Host", authority)]
        if credentials is not None:
            fields.append((b"Proxy-Authorization", credentials))
        self._proxy = proxy
        self._request = b"CONNECT %b HTTP/1.1\r\n%b\r\n" % (authority, encode_fields(fields))
        self._connected = connected

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, protocolFactory: IProtocolFactory) -> IProtocol:
        factory: Factory[Any] = Factory.forProtocol(
            lambda: _Tunnel(self._request, protocolFactory, self._connected)
        )
        factory.noisy = False
        tunnel: Any = await self._proxy.connect(factory)
        protocol: IProtocol = await tunnel.opened
        return protocol


@implementer(IHalfCloseableProtocol)
class _Tunnel(Protocol):
    """
    A connection to a proxy. Sends CONNECT, and switches to the tunnelled protocol when the proxy
    answers with 2xx.

    @ivar opened: fires with the tunnelled protocol, or fails with L{ProxyFailed}.
    """

    transport: ITCPTransport
    _switched: SwitchedProtocol | None = None

    def __init__(
        self, request: bytes, factory: IProtocolFactory, connected: Callable[[], None]
    ) -> None:
        self.opened: Deferred[IProtocol] = Deferred(lambda _: self.transport.abortConnection())
        self._request = request
        self._factory = factory
        self._connected = connected
        self._receiver = ResponseReceiver()
        self._receiver.request_sent(b"CONNECT")

    def connectionMade(self) -> None:
        self._connected()
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        if self._switched is not None:
            self._switched.dataReceived(data)
            return
        if self.opened.called:
            # It failed, or was given up.
            return
        self._receiver.receive(data)
        try:
            head = self._receiver.next_final_head()
        except HTTPProtocolError as error:
            self._fail(f"the proxy speaks no HTTP: {error}")
            return
        if head is None:
            return
        if not 200 <= head.status < 300:
            words = head.reason.decode("latin-1")
            self._fail(f"the proxy answers {head.status} {words}")
            return
        protocol = self._factory.buildProtocol(self.transport.getPeer())
        if protocol is None:
            self._fail("the connection is not wanted any more")
            return
        self._switched = SwitchedProtocol(protocol, self.transport)
        self.opened.callback(protocol)
        rest = self._receiver.detach()
        if rest:
            self._switched.dataReceived(rest)

    def _fail(self, reason: str) -> None:
        self.opened.errback(Failure(ProxyFailed(string=reason)))
        self.transport.abortConnection()

    def readConnectionLost(self) -> None:
        if self._switched is not None:
            self._switched.readConnectionLost()
        else:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        if self._switched is not None:
            self._switched.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._switched is not None:
            self._switched.connectionLost(reason)
        elif not self.opened.called:
            if reason.check(ConnectionDone):
                reason = Failure(ProxyFailed(string="the proxy closed without an answer"))
            self.opened.errback(reason)
