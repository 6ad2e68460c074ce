"""
Tests for L{netkit.websocket.proxy}.
"""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, clientFromString
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
)
from twisted.internet.interfaces import IHalfCloseableProtocol, ITransport
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.web.client import URI, BrowserLikePolicyForHTTPS
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer
from zope.interface.verify import verifyObject

from netkit.websocket import (
    HandshakeFailed,
    ProxyFailed,
    WebSocketClientEndpoint,
    WebSocketFactory,
    WebSocketOptions,
)
from netkit.websocket.proxy import Proxy as HTTPProxy

from ..narrow import present
from .helpers import Link, Waiters, lost

OPEN = b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n"


class Proxy(Protocol):
    """
    A proxy with one answer, that connects to one place.
    """

    transport: ITransport

    def __init__(self, answer: bytes, port: int) -> None:
        self._answer = answer
        self._port = port
        self.request = b""
        self._onward: Any = None

    def dataReceived(self, data: bytes) -> None:
        if self._onward is not None:
            self._onward.transport.write(data)
            return
        self.request += data
        if not self.request.endswith(b"\r\n\r\n"):
            return
        if not self._answer.startswith(b"HTTP/1.1 200"):
            self.transport.write(self._answer)
            self.transport.loseConnection()
            return
        from twisted.internet import reactor

        proxy = self

        class Onward(Protocol):
            def connectionMade(self) -> None:
                proxy._onward = self
                proxy.transport.write(proxy._answer)

            def dataReceived(self, data: bytes) -> None:
                proxy.transport.write(data)

            def connectionLost(self, reason: object = None) -> None:
                proxy.transport.loseConnection()

        clientFromString(reactor, f"tcp:127.0.0.1:{self._port}").connect(
            Factory.forProtocol(Onward)
        )

    def connectionLost(self, reason: object = None) -> None:
        if self._onward is not None:
            self._onward.transport.loseConnection()


async def through(answer: bytes, url: str = "ws://[::1]:8080/x") -> tuple[Any, Proxy, list[Any]]:
    """
    Connect through a proxy.
    """
    from twisted.internet import reactor

    servers, proxies = Waiters(), []
    server = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(
        WebSocketFactory(servers)
    )

    def make() -> Proxy:
        proxies.append(Proxy(answer, server.getHost().port))
        return proxies[-1]

    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(
        Factory.forProtocol(make)
    )
    proxy = f"http://us%40er:pass@127.0.0.1:{port.getHost().port}"
    try:
        endpoint = WebSocketClientEndpoint.new(reactor, url, proxy=proxy)
        client = await endpoint.connect(Waiters())
        return client, proxies[0], servers.made
    finally:
        await port.stopListening()
        await server.stopListening()


@pytest_twisted.ensureDeferred
async def test_through_a_proxy() -> None:
    client, proxy, servers = await through(OPEN)
    assert proxy.request == (
        b"CONNECT [::1]:8080 HTTP/1.1\r\n"
        b"Host: [::1]:8080\r\n"
        b"Proxy-Authorization: Basic dXNAZXI6cGFzcw==\r\n"
        b"\r\n"
    )
    client.transport.sendTextMessage("hello")
    assert await servers[0].next() == "hello"
    servers[0].transport.sendTextMessage("x" * 100_000)
    assert await client.next() == "x" * 100_000
    client.transport.loseConnection()
    await lost(client)
    await lost(servers[0])


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "answers 407 Proxy Auth"),
        (b"220 mail\r\n", "speaks no HTTP"),
        (b"HTTP/1.1 102 Processing\r\n\r\n" * 65, "more than 64 interim responses"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "answers 101"),
        (b"", "closed without an answer"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_proxy_that_does_not_connect(answer: bytes, problem: str) -> None:
    with pytest.raises(ProxyFailed, match=problem):
        await through(answer)


@pytest_twisted.ensureDeferred
async def test_no_proxy_there() -> None:
    from twisted.internet import reactor

    endpoint = WebSocketClientEndpoint.new(reactor, "ws://x/", proxy="http://127.0.0.1:1")
    with pytest.raises(ConnectionRefusedError):
        await endpoint.connect(Waiters())


def test_tls_goes_through() -> None:
    reactor = MemoryReactorClock()
    endpoint = WebSocketClientEndpoint.new(
        reactor, "wss://example.com/", proxy="http://127.0.0.1:3128"
    )
    connecting = Deferred.fromCoroutine(endpoint.connect(Waiters()))
    host, port, factory, *_ = reactor.tcpClients[0]
    assert (host, port) == ("127.0.0.1", 3128)
    link = Link()
    protocol = present(factory.buildProtocol(None))
    protocol.makeConnection(link)
    assert link.value().startswith(b"CONNECT example.com:443 HTTP/1.1\r\n")
    link.clear()
    for octet in b"HTTP/1.1 103 Early Hints\r\n\r\n" + OPEN:
        assert link.value() == b""
        protocol.dataReceived(bytes([octet]))
    # A TLS handshake record.
    assert link.value().startswith(b"\x16\x03")
    connecting.cancel()
    connecting.addErrback(lambda reason: None)


class Connecting:
    """
    A client that connects, of which the test plays the proxy.

    @ivar failures: why there is no connection.
    """

    def __init__(self, url: str = "ws://x/", openTimeout: float = 10.0) -> None:
        self.reactor = MemoryReactorClock()
        endpoint = WebSocketClientEndpoint.new(
            self.reactor,
            url,
            proxy="http://127.0.0.1:3128",
            options=WebSocketOptions(openTimeout=openTimeout),
        )
        self.failures: list[Any] = []
        self.clients = Waiters()
        self.connecting = Deferred.fromCoroutine(endpoint.connect(self.clients))
        self.connecting.addErrback(self.failures.append)
        self.link = Link()
        self.protocol: Any = present(self.reactor.tcpClients[0][2].buildProtocol(None))
        self.reactor.advance(100.0)
        self.protocol.makeConnection(self.link)


def test_given_up() -> None:
    client = Connecting()
    client.connecting.cancel()
    assert client.failures[0].check(CancelledError)
    assert client.link.disconnected
    client.protocol.connectionLost(Failure(ConnectionAborted()))
    assert not client.reactor.getDelayedCalls()


@pytest.mark.parametrize("url", ["ws://x/", "wss://example.com/"])
@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 200 OK\r\n", OPEN]
)
def test_the_time_for_opening_runs_from_the_first_octet_on(url: str, answer: bytes) -> None:
    """
    Whoever falls silent, and after what: the proxy, TLS, the server.
    """
    client = Connecting(url, openTimeout=5.0)
    assert client.link.value().startswith(b"CONNECT ")
    client.reactor.advance(3.0)
    client.protocol.dataReceived(answer)
    client.reactor.advance(1.9)
    assert not client.failures
    client.reactor.advance(0.2)
    assert client.failures[0].check(HandshakeFailed)
    assert "no answer to the handshake in 5.0 seconds" in client.failures[0].getErrorMessage()
    assert client.link.disconnected


def test_half_closes_go_through() -> None:
    client = Connecting()
    client.protocol.dataReceived(OPEN)
    assert b"GET / HTTP/1.1\r\n" in client.link.value()
    assert verifyObject(IHalfCloseableProtocol, client.protocol)
    # To WebSocket it is the end.
    client.protocol.readConnectionLost()
    assert client.link.disconnecting
    client.protocol.writeConnectionLost()
    client.protocol.connectionLost(Failure(ConnectionDone()))
    assert client.failures[0].check(ConnectionLost)
    silent = Connecting()
    silent.protocol.readConnectionLost()
    silent.protocol.writeConnectionLost()
    assert silent.link.disconnecting
    silent.protocol.connectionLost(Failure(ConnectionDone()))
    assert "closed without an answer" in silent.failures[0].getErrorMessage()


def test_a_connection_that_is_not_wanted_any_more() -> None:
    """
    When the proxy has made it, at last.
    """

    class Unwanted(ClientFactory):
        def buildProtocol(self, addr: object) -> None:
            return None

    reactor = MemoryReactorClock()
    direct = TCP4ClientEndpoint(reactor, "127.0.0.1", 3128)

    @implementer(IAgentEndpointFactory)
    class Direct:
        def endpointForURI(self, uri: URI) -> TCP4ClientEndpoint:
            return direct

    proxy = HTTPProxy("http://127.0.0.1:3128", BrowserLikePolicyForHTTPS(), Clock())
    endpoint = proxy.endpoint(Direct(), URI.fromBytes(b"http://x/"), lambda: None)
    failures: list[Failure] = []
    maybeDeferred(endpoint.connect, Unwanted()).addErrback(failures.append)
    protocol = present(reactor.tcpClients[0][2].buildProtocol(None))
    link = Link()
    protocol.makeConnection(link)
    protocol.dataReceived(OPEN + b"too late")
    assert failures[0].check(ProxyFailed)
    assert link.disconnected
