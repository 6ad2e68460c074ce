"""
Tests for L{netkit.websocket.keepalive}: in both roles, in memory and on real sockets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import (
    clientFromString,
    connectProtocol,
    serverFromString,
    wrapClientTLS,
)
from twisted.internet.interfaces import IPushProducer, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from netkit.websocket import WebSocketFactory, WebSocketOptions, broadcast
from netkit.websocket.client import WebSocketClientConnection
from netkit.wire.http.connection import RequestReceiver
from netkit.wire.http.head import RequestHead
from netkit.wire.websocket.connection import Connection
from netkit.wire.websocket.events import Ping
from netkit.wire.websocket.handshake import ClientHandshake, accept, read_request
from tests.certificates import Authority

from ..narrow import present
from .helpers import HANDSHAKE, Link, Recorder, Server, Waiters

EACH = WebSocketOptions(pingInterval=8.0, pingTimeout=8.0, deflate=False)


class Peer:
    """
    A connection in either role, of which the test plays the other side.
    """

    def __init__(self, client: bool, options: WebSocketOptions = EACH) -> None:
        if client:
            self.clock = Clock()
            self.transport = Link()
            self.app = Recorder()
            handshake = ClientHandshake(b"localhost", b"/")
            self.protocol: Any = WebSocketClientConnection(
                handshake, self.app, options, self.clock, lambda: None
            )
            self.protocol.makeConnection(self.transport)
            receiver = RequestReceiver()
            receiver.receive(self.transport.value())
            head = receiver.next_event()
            assert isinstance(head, RequestHead)
            self.protocol.dataReceived(accept(read_request(head))[0])
        else:
            server = Server(options=options, idleTimeout=0).open()
            self.clock, self.transport = server.clock, server.transport
            self.protocol, self.app = server.protocol, server.app
        self.wire = Connection(client=not client)
        self.transport.clear()

    def sent(self) -> list[Any]:
        """
        What was sent since the last time.
        """
        octets = self.transport.value()
        self.transport.clear()
        return list(self.wire.receive_data(octets))

    def wait(self, seconds: int) -> None:
        """
        Let time pass.
        """
        self.clock.pump([1.0] * seconds)


# Twisted's own use of pyOpenSSL.
TWISTED_TLS = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

ROLES = pytest.mark.parametrize("client", [False, True])


@ROLES
def test_any_octet_shows_life(client: bool) -> None:
    """
    Within a long frame, a peer cannot answer.
    """
    peer = Peer(client)
    frame = peer.wire.send_bytes(bytes(100))
    for octet in frame[:60]:
        peer.wait(7)
        peer.protocol.dataReceived(bytes([octet]))
    assert not peer.transport.disconnected
    peer.protocol.dataReceived(frame[60:])
    assert peer.app.events == ["open", bytes(100)]
    peer.wait(15)
    assert not peer.transport.disconnected
    peer.wait(3)
    assert peer.transport.disconnected


@ROLES
def test_a_peer_that_does_not_answer_a_ping_is_asked_again(client: bool) -> None:
    """
    It may answer the last of several pings alone.
    """
    peer = Peer(client)
    pings = []
    for _ in range(20):
        peer.wait(7)
        peer.protocol.dataReceived(peer.wire.send_text("busy"))
        pings += [event for event in peer.sent() if isinstance(event, Ping)]
    assert len(set(pings)) == len(pings)
    assert len(pings) >= 10
    peer.protocol.dataReceived(peer.wire.send_pong(pings[-1].payload))
    assert peer.app.events == ["open", *["busy"] * 20]
    assert peer.app.transport.latency is not None


@ROLES
def test_a_silent_peer_is_asked_once(client: bool) -> None:
    peer = Peer(client, WebSocketOptions(pingInterval=8.0, pingTimeout=0.0))
    peer.wait(1000)
    assert len(peer.sent()) == 1
    assert not peer.transport.disconnected


@ROLES
def test_a_peer_that_takes_nothing(client: bool) -> None:
    peer = Peer(client)
    producer = present(peer.transport.producer)
    producer.pauseProducing()
    for _ in range(15):
        broadcast("news", [peer.app.transport])
        peer.wait(1)
    assert not peer.transport.disconnected
    # No pings behind what it does not take.
    assert peer.sent() == ["news"] * 15
    peer.wait(3)
    assert peer.transport.disconnected


@ROLES
def test_a_peer_that_takes_what_was_sent_slowly(client: bool) -> None:
    peer = Peer(client)
    producer = present(peer.transport.producer)
    for _ in range(10):
        producer.pauseProducing()
        peer.wait(15)
        producer.resumeProducing()
    assert not peer.transport.disconnected


@ROLES
@pytest.mark.parametrize("closed", ["by us", "by the peer"])
def test_a_peer_that_takes_nothing_after_a_close_frame(client: bool, closed: str) -> None:
    """
    It does not answer pings then, and is there as long as nothing has to be sent.
    """
    peer = Peer(client)
    if closed == "by us":
        peer.app.transport.loseWriteConnection()
    else:
        peer.app.closeReceived = lambda code, reason: None  # type: ignore[attr-defined]
        peer.protocol.dataReceived(peer.wire.send_close())
    peer.wait(100)
    assert not peer.transport.disconnected
    present(peer.transport.producer).pauseProducing()
    peer.wait(18)
    assert peer.transport.disconnected


@ROLES
def test_time_that_the_application_takes_is_not_the_peers(client: bool) -> None:
    peer = Peer(client)
    peer.wait(8)
    (ping,) = peer.sent()
    peer.app.transport.pauseProducing()
    peer.wait(100)
    peer.app.transport.resumeProducing()
    peer.wait(14)
    assert not peer.transport.disconnected
    peer.protocol.dataReceived(peer.wire.send_pong(ping.payload))
    peer.wait(14)
    assert not peer.transport.disconnected
    peer.wait(4)
    assert peer.transport.disconnected


class RawClient(Protocol):
    """
    A client that reads when the test does.
    """

    def __init__(self) -> None:
        self.received = 0
        self.lost: Failure | None = None
        self._arrived: Deferred[None] | None = None

    def connectionMade(self) -> None:
        present(self.transport).write(HANDSHAKE % b"")

    def dataReceived(self, data: bytes) -> None:
        self.received += len(data)
        self._producer.pauseProducing()
        self._fire()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason
        self._fire()

    def _fire(self) -> None:
        arrived, self._arrived = self._arrived, None
        if arrived is not None:
            arrived.callback(None)

    @property
    def _producer(self) -> IPushProducer:
        return IPushProducer(self.transport)

    def read(self) -> Deferred[None]:
        """
        Take what one call of the system gives.
        """
        arrived: Deferred[None] = Deferred()
        self._arrived = arrived
        self._producer.resumeProducing()
        return arrived


class Stalling:
    """
    A server, and how to connect to it.
    """

    def __init__(self, clock: Clock, endpoint: IStreamClientEndpoint, servers: Waiters) -> None:
        self.clock = clock
        self.clients: list[RawClient] = []
        self._endpoint = endpoint
        self._servers = servers

    async def connect(self) -> tuple[RawClient, Any]:
        """
        Connect.

        @return: the client, which reads nothing now, and the server's application.
        """
        client: RawClient = await connectProtocol(self._endpoint, RawClient())
        self.clients.append(client)
        while not self._servers.made:
            await client.read()
        return client, self._servers.made[0]


@pytest_twisted.async_yield_fixture(params=["tcp", "unix", "tls"])
async def stalling(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stalling]:
    """
    A server whose time the test has, on real sockets.
    """
    from twisted.internet import reactor

    servers = Waiters()
    clock = Clock()
    factory = WebSocketFactory(servers, options=EACH, idleTimeout=0, clock=clock)
    path = tmp_path / "socket"
    authority = Authority(tmp_path)
    description = {
        "tcp": "tcp:0:interface=127.0.0.1",
        "unix": f"unix:{path}",
        "tls": "ssl:0:interface=127.0.0.1:privateKey={0}:certKey={0}".format(
            authority.issue("localhost")
        ),
    }[request.param]
    port = await serverFromString(reactor, description).listen(factory)
    if request.param == "unix":
        endpoint: IStreamClientEndpoint = clientFromString(reactor, f"unix:{path}")
    else:
        endpoint = clientFromString(reactor, f"tcp:127.0.0.1:{port.getHost().port}")
    if request.param == "tls":
        trusted = trustRootFromCertificates([Certificate.loadPEM(authority.path.read_bytes())])
        endpoint = wrapClientTLS(optionsForClientTLS("localhost", trusted), endpoint)
    yield (stalling := Stalling(clock, endpoint, servers))
    await maybeDeferred(port.stopListening)
    for client in stalling.clients:
        if client.lost is None:
            client.transport.abortConnection()  # type: ignore[union-attr]
    while factory.connections or any(client.lost is None for client in stalling.clients):
        await turn()


async def turn() -> None:
    """
    Let the reactor do what there is to do.
    """
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    await deferLater(reactor, 0)


@TWISTED_TLS
@pytest_twisted.ensureDeferred
async def test_a_reader_that_stalls_is_cut(stalling: Stalling) -> None:
    """
    Also where much is sent to it without being asked for. Systems keep some megabytes for it.
    """
    client, server = await stalling.connect()
    for _ in range(300):
        broadcast(bytes(2**16), [server.transport])
        stalling.clock.advance(1.0)
        await turn()
        if server.lost.called:
            break
    assert server.lost.called
    (reason,) = await server.lost
    assert "nothing sent or taken" in str(reason)
    while client.lost is None:
        await client.read()


@TWISTED_TLS
@pytest_twisted.ensureDeferred
async def test_a_reader_that_is_slow_lives(stalling: Stalling) -> None:
    """
    Though no pong comes from it before it has read everything.
    """
    client, server = await stalling.connect()
    size = 8 * 2**20
    end = client.received + size
    for _ in range(size // 2**16):
        broadcast(bytes(2**16), [server.transport])
    while client.received < end:
        before = client.received
        await client.read()
        assert client.lost is None
        # Several times as long, in all, as it may be silent.
        for _ in range((client.received - before) // 2**17):
            stalling.clock.advance(1.0)
            await turn()
    assert not server.lost.called
    present(client.transport).abortConnection()  # type: ignore[attr-defined]
    await server.lost


@TWISTED_TLS
@pytest_twisted.ensureDeferred
async def test_a_reader_that_is_slow_gets_all_that_was_sent_before_the_close(
    stalling: Stalling,
) -> None:
    client, server = await stalling.connect()
    size = 8 * 2**20
    end = client.received + size
    server.transport.sendBytesMessage(bytes(size))
    server.transport.loseConnection()
    while client.received < end:
        before = client.received
        await client.read()
        assert client.lost is None
        # Several times the time-out, in all.
        for _ in range((client.received - before) // 2**18):
            stalling.clock.advance(1.0)
            await turn()
    for _ in range(12):
        stalling.clock.advance(1.0)
        await turn()
    assert server.lost.called


@TWISTED_TLS
@pytest_twisted.ensureDeferred
async def test_a_reader_that_stalls_holds_up_no_close(stalling: Stalling) -> None:
    _, server = await stalling.connect()
    server.transport.sendBytesMessage(bytes(8 * 2**20))
    server.transport.loseConnection()
    # The systems take some of it, in as many turns.
    for _ in range(150):
        stalling.clock.advance(1.0)
        await turn()
        if server.lost.called:
            break
    assert server.lost.called
