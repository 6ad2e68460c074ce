"""
Tests for L{netkit.base.proxied}, and for C{haproxy:} in endpoint strings.
"""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IListeningPort,
    IProtocolFactory,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from netkit import net
from netkit.base import proxied
from netkit.base.endpoints import serverEndpoint
from netkit.base.proxied import ProxiedFactory, ProxiedProtocol
from netkit.echo import EchoFactory
from netkit.printrespond import PrintRespondFactory
from netkit.wire.proxyprotocol import InternetAddress, ProxyHeader, encode_v1, encode_v2

from ..clients import Client, connect
from ..narrow import tcpAddress
from ..recording import Records

HEADER = ProxyHeader(
    InternetAddress(ip_address("192.0.2.7"), 4711), InternetAddress(ip_address("192.0.2.1"), 80)
)
V1, V2 = encode_v1(HEADER), encode_v2(HEADER)
PEER, HOST = IPv4Address("TCP", "192.0.2.7", 4711), IPv4Address("TCP", "192.0.2.1", 80)

Connect = Callable[[IProtocolFactory], Awaitable[Client]]


@pytest_twisted.async_yield_fixture(params=["tcp", "unix"])
async def behind(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Connect]:
    """
    A function that makes a factory listen behind C{haproxy:}, and connects as a proxy does.
    """
    from twisted.internet import reactor

    ports: list[IListeningPort] = []

    async def behind(factory: IProtocolFactory) -> Client:
        if not ports:
            inner = "tcp:0:interface=127.0.0.1" if request.param == "tcp" else f"unix:{tmp_path}/s"
            ports.append(await serverEndpoint(reactor, f"haproxy:{inner}").listen(factory))
        if request.param == "unix":
            client = f"unix:{tmp_path}/s"
        else:
            client = f"tcp:127.0.0.1:{tcpAddress(ports[0].getHost()).port}"
        return await connect(clientFromString(reactor, client))

    yield behind
    for port in ports:
        await maybeDeferred(port.stopListening)


class Told(Protocol):
    """
    Answers who is connected with whom.
    """

    transport: ITCPTransport

    def dataReceived(self, data: bytes) -> None:
        peer, host = self.transport.getPeer(), self.transport.getHost()
        self.transport.write(b"%s %r %r\n" % (data, str(peer).encode(), str(host).encode()))
        self.transport.loseConnection()


async def told(client: Client, *pieces: bytes) -> str:
    """
    Send piece by piece, and give the answer.
    """
    for piece in pieces:
        client.transport.write(piece)
        await later()
    await client.lost
    return client.received.decode()


async def later() -> None:
    from twisted.internet import reactor

    turn: Deferred[None] = Deferred()
    reactor.callLater(0, turn.callback, None)
    await turn


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
async def test_print_respond(behind: Connect, header: bytes) -> None:
    printed = Records()
    client = await behind(printed.of(PrintRespondFactory(b"answer")))
    client.transport.write(header + b"content")
    client.transport.loseWriteConnection()
    await client.lost
    assert client.received == b"answer"
    assert (printed.all, printed.peers) == ([b"content"], [(PEER.host, PEER.port)])


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
async def test_an_echo_comes_back_whole(behind: Connect, header: bytes) -> None:
    data = os.urandom(3_000_000)
    client = await behind(EchoFactory())
    client.transport.write(header + data)
    client.transport.loseWriteConnection()
    assert isinstance(await client.lost, ConnectionDone)
    assert client.received == data


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
async def test_a_header_in_pieces(behind: Connect, header: bytes) -> None:
    client = await behind(Factory.forProtocol(Told))
    pieces = [header[:1], header[1:7], header[7:14], header[14:-1], header[-1:], b"x"]
    answer = await told(client, *pieces)
    assert "192.0.2.7" in answer
    assert "192.0.2.1'" in answer


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "header",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ::1 ::2 1 2\r\n",
        encode_v2(ProxyHeader()),
        encode_v2(ProxyHeader(local=True)),
    ],
)
async def test_a_header_without_addresses(behind: Connect, header: bytes) -> None:
    # The connection's own are told.
    answer = await told(await behind(Factory.forProtocol(Told)), header + b"x")
    assert answer.startswith("x")
    assert "192.0.2" not in answer
    assert "127.0.0.1" in answer or "UNIXAddress" in answer


@pytest.mark.parametrize(
    ("header", "peer"),
    [
        (HEADER, PEER),
        (
            ProxyHeader(
                InternetAddress(ip_address("2001:db8::1"), 1),
                InternetAddress(ip_address("::1"), 2),
            ),
            IPv6Address("TCP", "2001:db8::1", 1),
        ),
        (ProxyHeader(b"/run/x", b""), UNIXAddress(b"/run/x")),
        (ProxyHeader(b"", b""), UNIXAddress(None)),
        (
            ProxyHeader(HEADER.source, HEADER.destination, datagram=True),
            IPv4Address("UDP", "192.0.2.7", 4711),
        ),
    ],
)
def test_addresses(header: ProxyHeader, peer: IAddress) -> None:
    transport = StringTransport()
    seen: list[IAddress | None] = []

    class Recording(Factory[Protocol]):
        def buildProtocol(self, addr: IAddress | None) -> Protocol:
            seen.append(addr)
            return Told()

    protocol = ProxiedFactory(Recording(), clock=Clock()).buildProtocol(transport.getPeer())
    protocol.makeConnection(transport)
    assert seen == []
    protocol.dataReceived(encode_v2(header))
    assert seen == [peer]
    assert protocol.wrappedProtocol.transport.getPeer() == peer


@pytest_twisted.ensureDeferred
async def test_who_may_connect_is_the_client(tmp_path: Path) -> None:
    from twisted.internet import reactor

    met: list[net.Socket] = []

    async def answer(socket: net.Socket) -> None:
        met.append(socket)
        await socket.end(b"welcome")

    server = net.createServer(
        answer, deny=["192.0.2.0/24"], keepAlive=True, keepAliveInitialDelay=5, noDelay=True
    )
    await server.listen(f"haproxy:unix:{tmp_path}/s")
    for host, let in (("192.0.2.7", False), ("198.51.100.7", True)):
        client = await connect(clientFromString(reactor, f"unix:{tmp_path}/s"))
        end = InternetAddress(ip_address(host), 1)
        client.transport.write(encode_v1(ProxyHeader(end, end)))
        await client.lost
        assert bytes(client.received) == (b"welcome" if let else b"")
    [socket] = met
    assert socket.remoteAddress == IPv4Address("TCP", "198.51.100.7", 1)
    assert server.droppedConnections == 1
    await server.close()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", V1[:-2] + b"\n", V2[:12] + b"\x11"])
async def test_no_header(behind: Connect, data: bytes, logged: list[LogEvent]) -> None:
    client = await behind(Factory.forProtocol(Told))
    client.transport.write(data)
    assert isinstance(await client.lost, ConnectionLost | ConnectionDone)
    assert client.received == b""
    [line] = [text for text in map(formatEvent, logged) if text and "PROXY header" in text]
    assert "\n" not in line


@pytest_twisted.ensureDeferred
async def test_who_just_looks_is_no_event(behind: Connect, logged: list[LogEvent]) -> None:
    client = await behind(Factory.forProtocol(Told))
    client.transport.loseConnection()
    await client.lost
    other = await behind(Factory.forProtocol(Told))
    await told(other, V1, b"x")
    assert not [event for event in logged if "PROXY header" in (formatEvent(event) or "")]


def pending(factory: IProtocolFactory, clock: Clock) -> tuple[ProxiedProtocol, StringTransport]:
    transport = StringTransport()
    protocol = ProxiedFactory(factory, clock=clock).buildProtocol(None)
    protocol.makeConnection(transport)
    return protocol, transport


def test_a_header_that_does_not_come(logged: list[LogEvent]) -> None:
    clock = Clock()
    protocol, transport = pending(Factory.forProtocol(Told), clock)
    protocol.dataReceived(V1[:-1])
    clock.advance(proxied.HEADER_TIMEOUT - 0.1)
    assert not transport.disconnecting
    clock.advance(0.1)
    assert transport.disconnecting
    protocol.connectionLost(Failure(ConnectionAborted()))
    assert "within 10 seconds" in (formatEvent(logged[-1]) or "")


def test_a_header_that_came_has_no_time_out() -> None:
    clock = Clock()
    protocol, transport = pending(Factory.forProtocol(Told), clock)
    protocol.dataReceived(V1)
    assert clock.getDelayedCalls() == []
    assert not transport.disconnecting


def test_what_is_lost_in_its_header(logged: list[LogEvent]) -> None:
    clock = Clock()
    protocol, _ = pending(Factory.forProtocol(Told), clock)
    protocol.dataReceived(V1[:-1])
    protocol.connectionLost(Failure(ConnectionDone()))
    assert clock.getDelayedCalls() == []
    assert "ended within it" in (formatEvent(logged[-1]) or "")


def test_how_many_may_be_without_a_header(
    monkeypatch: pytest.MonkeyPatch, logged: list[LogEvent]
) -> None:
    monkeypatch.setattr(proxied, "MAX_PENDING", 2)
    factory = ProxiedFactory(Factory.forProtocol(Told), clock=Clock())
    protocols = []
    for _ in range(2):
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(StringTransport())
        protocols.append(protocol)
    assert factory.buildProtocol(PEER) is None
    assert "192.0.2.7:4711 refused" in (formatEvent(logged[-1]) or "")
    told = len(logged)
    assert factory.buildProtocol(PEER) is None
    assert len(logged) == told
    protocols[0].dataReceived(V1)
    assert factory.buildProtocol(None) is not None


def test_a_stop_ends_those_without_a_header() -> None:
    factory = ProxiedFactory(Factory.forProtocol(Told), clock=Clock())
    factory.doStart()
    transports = [StringTransport(), StringTransport()]
    protocols = [factory.buildProtocol(None) for _ in transports]
    for protocol, transport in zip(protocols, transports, strict=True):
        protocol.makeConnection(transport)
    protocols[0].dataReceived(V1)
    factory.doStop()
    assert [transport.disconnecting for transport in transports] == [False, True]


def test_a_factory_that_makes_no_protocol() -> None:
    class Choosy(Factory[Protocol]):
        def buildProtocol(self, addr: IAddress | None) -> None:
            return None

    protocol, transport = pending(Choosy(), Clock())
    protocol.dataReceived(V1 + b"more")
    assert transport.disconnecting


def test_a_protocol_that_closes_at_once_is_told_nothing_more() -> None:
    class Closing(Protocol):
        def connectionMade(self) -> None:
            assert self.transport is not None
            self.transport.loseConnection()

        def dataReceived(self, data: bytes) -> None:
            raise AssertionError(data)

    protocol, transport = pending(Factory.forProtocol(Closing), Clock())
    protocol.dataReceived(V1 + b"more")
    assert transport.disconnecting


@implementer(IHalfCloseableProtocol, IHandshakeListener)
class Listening(Protocol):
    """
    Keeps the names of what it is told.
    """

    def __init__(self) -> None:
        self.events: list[str] = []

    def readConnectionLost(self) -> None:
        self.events.append("read")

    def writeConnectionLost(self) -> None:
        self.events.append("write")

    def handshakeCompleted(self) -> None:
        self.events.append("handshake")


def test_what_a_transport_tells_is_passed_on() -> None:
    protocol, _ = pending(Factory.forProtocol(Listening), Clock())
    assert not IHalfCloseableProtocol.providedBy(protocol)
    protocol.dataReceived(V1)
    assert IHalfCloseableProtocol.providedBy(protocol)
    assert IHandshakeListener.providedBy(protocol)
    protocol.handshakeCompleted()
    protocol.readConnectionLost()
    protocol.writeConnectionLost()
    assert protocol.wrappedProtocol.events == ["handshake", "read", "write"]


def test_a_protocol_that_knows_no_halves_is_closed_as_ever() -> None:
    protocol, _ = pending(Factory.forProtocol(Told), Clock())
    protocol.dataReceived(V1)
    assert not IHalfCloseableProtocol.providedBy(protocol)


def test_it_provides_what_its_transport_provides() -> None:
    protocol, transport = pending(Factory.forProtocol(Told), Clock())
    protocol.dataReceived(V1)
    served: Any = protocol.wrappedProtocol.transport
    assert ITCPTransport.providedBy(served) == ITCPTransport.providedBy(transport)
    served.pauseProducing()
    assert transport.producerState == "paused"
    served.resumeProducing()
    assert transport.producerState == "producing"
    served.registerProducer(object(), True)
    assert transport.streaming
    served.unregisterProducer()
    served.abortConnection()
    assert transport.disconnecting


def test_its_name_in_the_log() -> None:
    factory = ProxiedFactory(EchoFactory(clock=Clock()), clock=Clock())
    assert factory.logPrefix() == "EchoFactory (PROXY)"
    assert factory.buildProtocol(None).logPrefix() == "EchoFactory (PROXY)"


def test_what_reads_the_header_is_freed_with_it() -> None:
    factory = ProxiedFactory(EchoFactory(clock=Clock()), clock=Clock())
    protocol = factory.buildProtocol(None)
    protocol.makeConnection(StringTransport())
    [pending] = factory.pending
    gone: list[str] = []
    weakref.finalize(pending, gone.append, "gone")
    del pending
    gc.disable()
    try:
        protocol.dataReceived(V1)
        assert gone == ["gone"]
    finally:
        gc.enable()
