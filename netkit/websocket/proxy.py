"""
Connecting through an HTTP proxy (RFC 9110 section 9.3.6).
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer

from ..wire.errors import RemoteProtocolError
from ..wire.http.connection import ResponseReceiver
from ..wire.http.fields import encode_fields
from .url import WebSocketURL


class ProxyFailed(ConnectError):
    """
    The proxy did not make the connection.
    """


@implementer(IAgentEndpointFactory)
class ProxiedEndpointFactory:
    """
    Gives endpoints that connect through a proxy.
    """

    def __init__(
        self, direct: IAgentEndpointFactory, proxy: str, tlsPolicy: IPolicyForHTTPS
    ) -> None:
        """
        @param direct: gives the endpoint for the proxy's own URL.
        @param proxy: that URL.
        @param tlsPolicy: how to verify the certificates of the servers behind it.
        @raise ValueError: it is no URL of a proxy.
        """
        try:
            url = WebSocketURL.parse(proxy)
        except ValueError as error:
            raise ValueError(
                f"{proxy!r} is not the URL of a proxy such as http://host:3128"
            ) from error
        self._credentials = url.credentials
        self._direct = direct
        self._proxy = URI.fromBytes(url.http.encode("ascii"))
        self._tlsPolicy = tlsPolicy

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """
        The endpoint for a URL.
        """
        endpoint: IStreamClientEndpoint = _ProxiedEndpoint(
            self._direct.endpointForURI(self._proxy), uri.host, uri.port, self._credentials
        )
        if uri.scheme == b"https":
            creator = self._tlsPolicy.creatorForNetloc(uri.host, uri.port)
            endpoint = wrapClientTLS(creator, endpoint)
        return endpoint


@implementer(IStreamClientEndpoint)
class _ProxiedEndpoint:
    def __init__(
        self,
        proxy: IStreamClientEndpoint,
        host: bytes,
        port: int,
        credentials: bytes | None,
    ) -> None:
        authority = b"[%b]:%d" % (host, port) if b":" in host else b"%b:%d" % (host, port)
        fields = [(b"Host", authority)]
        if credentials is not None:
            fields.append((b"Proxy-Authorization", credentials))
        self._proxy = proxy
        self._request = b"CONNECT %b HTTP/1.1\r\n%b\r\n" % (authority, encode_fields(fields))

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect to the proxy, and have it connect on.
        """
        tunnels: list[_Tunnel] = []

        def cancel(connected: Deferred[IProtocol]) -> None:
            connecting.cancel()
            for tunnel in tunnels:
                tunnel.cancel()

        connected: Deferred[IProtocol] = Deferred(cancel)

        def made() -> _Tunnel:
            tunnels.append(_Tunnel(self._request, protocolFactory, connected))
            return tunnels[-1]

        def failed(reason: Failure) -> None:
            if not connected.called:
                connected.errback(reason)

        factory: Factory[Any] = Factory.forProtocol(made)
        factory.noisy = False
        connecting = self._proxy.connect(factory)
        connecting.addErrback(failed)
        return connected


class _Tunnel(Protocol):
    """
    A connection to a proxy: once that says that the connection on is made, it belongs to another
    protocol.
    """

    def __init__(
        self, request: bytes, factory: IProtocolFactory, connected: Deferred[IProtocol]
    ) -> None:
        self._request = request
        self._factory = factory
        self._connected = connected
        self._receiver = ResponseReceiver()
        self._receiver.request_sent(b"CONNECT")
        self._inner: IProtocol | None = None

    def cancel(self) -> None:
        """
        Give up.
        """
        if self._inner is None and self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.dataReceived(data)
            return
        self._receiver.receive(data)
        try:
            head = self._receiver.next_final_head()
        except RemoteProtocolError as error:
            self._fail(f"the proxy speaks no HTTP: {error}")
            return
        if head is None:
            return
        if not 200 <= head.status < 300:
            words = head.reason.decode("latin-1")
            self._fail(f"the proxy answers {head.status} {words}")
            return
        self._open(self._receiver.detach())

    def _open(self, rest: bytes) -> None:
        transport: ITransport | None = self.transport
        assert transport is not None
        inner = self._factory.buildProtocol(transport.getPeer())
        if inner is None:
            self._fail("the connection is not wanted any more")
            return
        self._inner = inner
        inner.makeConnection(transport)
        connected = self._connected
        if not connected.called:
            connected.callback(inner)
        if rest:
            inner.dataReceived(rest)

    def _fail(self, reason: str) -> None:
        if not self._connected.called:
            self._connected.errback(Failure(ProxyFailed(string=reason)))
        self.cancel()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._inner is not None:
            self._inner.connectionLost(reason)
        elif not self._connected.called:
            if reason.check(ConnectionDone):
                reason = Failure(ProxyFailed(string="the proxy closed without an answer"))
            self._connected.errback(reason)
