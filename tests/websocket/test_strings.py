"""
Tests for L{netkit.websocket.strings} and L{netkit.websocket.stream}: any protocol over WebSocket.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint, clientFromString, serverFromString
from twisted.internet.error import ConnectionDone, NoProtocol
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogEvent, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from netkit.echo import EchoFactory
from netkit.net import createConnection
from netkit.printrespond import PrintRespondFactory
from netkit.websocket import (
    ConnectionRejected,
    WebSocketClosed,
    WebSocketStream,
    WebSocketStreamServerEndpoint,
)
from netkit.wire.websocket.events import Close
from tests.clients import connect
from tests.recording import Records

from .helpers import Server

SERVER = "ws:tcp\\:0\\:interface\\=127.0.0.1:path=/x"


@pytest_twisted.ensureDeferred
async def test_echo_with_a_half_close() -> None:
    from twisted.internet import reactor

    content = os.urandom(3 * 10**6)
    factory = EchoFactory()
    port = await serverFromString(reactor, SERVER).listen(factory)
    assert factory.numPorts == 1
    url = f"ws://127.0.0.1:{port.getHost().port}/x"
    client = await connect(clientFromString(reactor, url))
    client.transport.setTcpNoDelay(True)
    client.transport.setTcpKeepAlive(True)
    assert client.transport.getTcpNoDelay()
    assert client.transport.getTcpKeepAlive()
    client.transport.write(content[:1000])
    client.transport.writeSequence([content[1000:5000], b"", content[5000:]])
    client.transport.loseWriteConnection()
    client.transport.write(b"too late")
    assert isinstance(await client.lost, WebSocketClosed)
    assert bytes(client.received) == content
    with pytest.raises(ConnectionRejected, match="404"):
        await connect(clientFromString(reactor, url + "y"))
    await port.stopListening()
    assert factory.numPorts == 0
    assert not factory.connections


@pytest_twisted.ensureDeferred
async def test_print_respond_after_a_half_close() -> None:
    from twisted.internet import reactor

    records = Records()
    port = await serverFromString(reactor, SERVER).listen(
        records.of(PrintRespondFactory(b"the response"))
    )
    client = await connect(clientFromString(reactor, f"ws://127.0.0.1:{port.getHost().port}/x"))
    client.transport.write(b"the content")
    client.transport.loseWriteConnection()
    assert isinstance(await client.lost, WebSocketClosed)
    assert client.received == b"the response"
    assert records.all == [b"the content"]
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_socket_of_netkit() -> None:
    from twisted.internet import reactor

    port = await serverFromString(reactor, SERVER).listen(PrintRespondFactory(b"the response"))
    url = f"ws://127.0.0.1:{port.getHost().port}/x"
    socket = await createConnection(url, allowHalfOpen=True)
    await socket.end(b"the content")
    assert [piece async for piece in socket] == [b"the response"]
    with pytest.raises(ConnectionRejected, match="404"):
        await createConnection(url + "y")
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_factory_that_makes_no_protocol() -> None:
    from twisted.internet import reactor

    class Nobody(Factory[Any]):
        noisy = False

        def buildProtocol(self, addr: object) -> None:
            return None

    port = await serverFromString(reactor, SERVER).listen(EchoFactory())
    url = f"ws://127.0.0.1:{port.getHost().port}/x"
    with pytest.raises(NoProtocol):
        await clientFromString(reactor, url).connect(Nobody())
    await port.stopListening()
    port = await serverFromString(reactor, SERVER).listen(Nobody())
    url = f"ws://127.0.0.1:{port.getHost().port}/x"
    with pytest.raises(ConnectionRejected, match="403"):
        await connect(clientFromString(reactor, url))
    await port.stopListening()


@pytest.mark.parametrize(
    ("description", "problem"),
    [
        ("ws:tcp\\:0:path=x", "path=x is not a path"),
        ("ws:tcp\\:0:path=/x?y", r"path=/x\?y is not a path"),
        ("ws:tcp\\:0:path=/x y", "path=/x y is not a path"),
        ("ws:tcp\\:0\\:interface=127.0.0.1", "is escaped, as in"),
        ("ws:nosuch\\:1", "nosuch"),
    ],
)
def test_server_strings_that_are_none(description: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        serverFromString(MemoryReactorClock(), description)


@pytest_twisted.ensureDeferred
async def test_client_strings() -> None:
    reactor = MemoryReactorClock()
    connecting = clientFromString(reactor, "ws://127.0.0.1:81/x:timeout=3").connect(Factory())
    assert reactor.tcpClients[0][:2] == ("127.0.0.1", 81)
    connecting.cancel()
    connecting.addErrback(lambda reason: None)
    connecting = clientFromString(reactor, "wss://127.0.0.1/x?a\\=b:subprotocol=mqtt").connect(
        Factory()
    )
    assert reactor.tcpClients[1][:2] == ("127.0.0.1", 443)
    connecting.cancel()
    connecting.addErrback(lambda reason: None)
    with pytest.raises(ValueError, match="where the URL itself has a = in it, write"):
        clientFromString(reactor, "ws://127.0.0.1:81/x?a=b")
    for seconds in ("soon", "-1", "nan"):
        with pytest.raises(ValueError, match=f"'{seconds}' is not a number of seconds"):
            clientFromString(reactor, f"ws://127.0.0.1:81/x:timeout={seconds}")


@implementer(IHalfCloseableProtocol)
class Inner(Protocol):
    """
    A protocol over WebSocket.
    """

    def __init__(self) -> None:
        self.events: list[Any] = []

    def connectionMade(self) -> None:
        self.events.append("made")

    def dataReceived(self, data: bytes) -> None:
        self.events.append(data)

    def readConnectionLost(self) -> None:
        self.events.append("end")

    def writeConnectionLost(self) -> None:
        raise AssertionError

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        self.events.append(reason.value)


class Streams:
    """
    Makes a stream for each request.
    """

    def __init__(self) -> None:
        self.inner = Inner()
        self.stream = WebSocketStream(self.inner)

    def buildProtocol(self, request: Any) -> WebSocketStream:
        """
        Make one.
        """
        return self.stream


def opened() -> tuple[Server, Inner, WebSocketStream]:
    """
    A server's side of an open stream.
    """
    streams = Streams()
    server = Server(streams).open()
    return server, streams.inner, streams.stream


def test_the_transport() -> None:
    server, inner, stream = opened()
    for interface in (ITCPTransport, IConsumer, IPushProducer):
        verifyObject(interface, stream)
    assert inner.transport is stream
    assert stream.getPeer() == server.transport.getPeer()
    assert stream.getHost() == server.transport.getHost()
    octets = server.client.send_bytes(b"abcdef") + server.client.send_bytes(b"")
    server.receive(octets[:9])
    server.receive(octets[9:])
    assert inner.events == ["made", b"abc", b"def"]
    stream.write(b"")
    stream.write(b"x" * 65537)
    assert server.sent() == [b"x" * 65536, b"x"]
    stream.pauseProducing()
    assert server.transport.producerState == "paused"
    server.receive(server.client.send_bytes(b"later"))
    stream.resumeProducing()
    assert inner.events[-1] == b"later"
    stream.abortConnection()
    stream.write(b"too late")
    assert server.transport.disconnected
    server.lose(ConnectionDone())
    assert isinstance(inner.events[-1], ConnectionDone)


def test_text_is_refused() -> None:
    server, inner, _ = opened()
    server.receive(server.client.send_text("x"))
    assert server.sent() == [Close(1003, "only binary messages are taken here")]
    assert inner.events == ["made"]


def test_the_peer_half_closes() -> None:
    server, inner, stream = opened()
    server.receive(server.client.send_close())
    assert inner.events == ["made", "end"]
    assert server.sent() == []
    server.clock.advance(100)
    stream.write(b"still")
    assert server.sent() == [b"still"]
    stream.loseWriteConnection()
    assert server.sent() == [Close(1000, "")]
    assert server.transport.disconnecting


def test_the_peer_leaves() -> None:
    server, inner, _ = opened()
    server.receive(server.client.send_close(1001))
    assert inner.events == ["made"]
    assert server.sent() == [Close(1001, "")]
    assert server.transport.disconnecting


def test_we_half_close() -> None:
    server, inner, stream = opened()
    stream.loseWriteConnection()
    stream.loseWriteConnection()
    stream.write(b"too late")
    assert server.sent() == [Close(1000, "")]
    messages = (
        server.client.send_bytes(b"1") + server.client.send_ping() + server.client.send_bytes(b"2")
    )
    server.receive(messages)
    assert inner.events == ["made", b"1", b"2"]
    assert server.sent() == []
    server.receive(server.client.send_close())
    assert server.transport.disconnecting


def test_we_half_close_and_then_close() -> None:
    server, _, stream = opened()
    stream.loseWriteConnection()
    stream.loseConnection()
    assert server.sent() == [Close(1000, "")]
    server.receive(server.client.send_bytes(b"1"))
    server.clock.advance(10.0)
    assert server.transport.disconnected


@pytest.mark.parametrize("streaming", [True, False])
def test_producers(streaming: bool) -> None:
    server, _, stream = opened()
    produced: list[str] = []

    class Producer:
        def resumeProducing(self) -> None:
            produced.append("resume")

        def pauseProducing(self) -> None:
            produced.append("pause")

        def stopProducing(self) -> None:
            produced.append("stop")

    stream.unregisterProducer()
    stream.registerProducer(Producer(), streaming)  # type: ignore[arg-type]
    assert server.transport.streaming is streaming
    # What a producer has begun is not cut off.
    stream.stopProducing()
    assert server.sent() == []
    stream.unregisterProducer()
    assert server.sent() == [Close(1000, "")]


def test_lost_before_it_is_open() -> None:
    stream = WebSocketStream(Inner())
    stream.connectionLost(Failure(ConnectionDone()))
    assert stream.protocol.events == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(("path", "error"), [("/x", TypeError), (b"x", ValueError)])
def test_a_path_that_is_none(path: Any, error: type[Exception]) -> None:
    reactor = MemoryReactorClock()
    with pytest.raises(error, match="path is"):
        WebSocketStreamServerEndpoint(TCP4ServerEndpoint(reactor, 0), path=path, clock=reactor)


@pytest_twisted.ensureDeferred
async def test_the_log_names_the_factory(logged: list[LogEvent]) -> None:
    from twisted.internet import reactor

    port = await serverFromString(reactor, SERVER).listen(EchoFactory())
    await maybeDeferred(port.stopListening)
    texts = [formatEvent(event) for event in logged]
    assert any(text.startswith("EchoFactory starting on ") for text in texts)
