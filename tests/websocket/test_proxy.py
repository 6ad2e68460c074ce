"""
Tests for L{netkit.websocket.proxy}.
"""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.endpoints import TCP4ServerEndpoint, clientFromString
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock

from netkit.websocket import ProxyFailed, WebSocketClientEndpoint, WebSocketFactory

from ..narrow import present
from .helpers import Waiters, lost

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
    from twisted.internet.defer import Deferred

    endpoint = WebSocketClientEndpoint.new(
        reactor, "wss://example.com/", proxy="http://127.0.0.1:3128"
    )
    connecting = Deferred.fromCoroutine(endpoint.connect(Waiters()))
    host, port, factory, *_ = reactor.tcpClients[0]
    assert (host, port) == ("127.0.0.1", 3128)
    from .helpers import Link

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


def test_given_up() -> None:
    reactor = MemoryReactorClock()
    from twisted.internet.defer import CancelledError, Deferred

    endpoint = WebSocketClientEndpoint.new(reactor, "ws://x/", proxy="http://127.0.0.1:3128")
    connecting = Deferred.fromCoroutine(endpoint.connect(Waiters()))
    from .helpers import Link

    link = Link()
    protocol = present(reactor.tcpClients[0][2].buildProtocol(None))
    protocol.makeConnection(link)
    connecting.cancel()
    failures: list[Any] = []
    connecting.addErrback(failures.append)
    assert failures[0].check(CancelledError)
    assert link.disconnected


def test_no_url_of_a_proxy() -> None:
    with pytest.raises(ValueError, match="is not the URL of a proxy"):
        WebSocketClientEndpoint.new(MemoryReactorClock(), "ws://x/", proxy="proxy:3128")
