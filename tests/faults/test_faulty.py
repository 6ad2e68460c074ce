"""
Tests for L{netkit.faults.faulty}: what faults do to a connection.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer, ITCPTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from netkit.base.notes import INoted
from netkit.faults import Faults, FaultyFactory, parseFault
from netkit.wire.websocket.codec import serialize_frame

PEER = IPv4Address("TCP", "192.0.2.1", 50000)

REQUEST = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


class Transport(StringTransport):
    """
    A transport that tells what it was asked for.
    """

    halfClosed = aborted = False

    def __init__(self) -> None:
        super().__init__(peerAddress=PEER)
        alsoProvides(self, ITCPTransport)

    def loseWriteConnection(self) -> None:
        self.halfClosed = True

    def abortConnection(self) -> None:
        self.aborted = True


@implementer(IHalfCloseableProtocol, INoted)
class Service(Protocol):
    """
    A protocol that the test speaks for, and that is told of notes.
    """

    transport: Any

    def __init__(self) -> None:
        self.received = b""
        self.pieces: list[bytes] = []
        self.ended = False
        self.lost: Failure | None = None
        self.notes: list[str] = []

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.pieces.append(data)

    def readConnectionLost(self) -> None:
        self.ended = True

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        self.lost = reason

    def note(self, text: str) -> None:
        self.notes.append(text)


class Scene:
    """
    A connection with faults.
    """

    def __init__(self, *specifications: str, seed: int = 1, server: bool = True) -> None:
        self.clock = Clock()
        self.faults = Faults(*map(parseFault, specifications), seed=seed)
        self.factory = FaultyFactory(
            Factory.forProtocol(Service), self.faults, self.clock, server=server
        )
        self.protocol = self.factory.buildProtocol(PEER)
        self.service: Service = self.protocol.wrappedProtocol
        self.transport = Transport()
        self.protocol.makeConnection(self.transport)

    @property
    def sent(self) -> bytes:
        value: bytes = self.transport.value()
        return value


def test_without_faults_all_passes() -> None:
    scene = Scene()
    scene.protocol.dataReceived(b"in")
    scene.service.transport.write(b"out")
    scene.service.transport.writeSequence([b"1", b"2"])
    assert (scene.service.received, scene.sent) == (b"in", b"out12")
    scene.protocol.readConnectionLost()
    assert scene.service.ended
    scene.service.transport.loseWriteConnection()
    assert scene.transport.halfClosed
    scene.service.transport.loseConnection()
    assert scene.transport.disconnecting
    reason = Failure(ConnectionDone())
    scene.protocol.connectionLost(reason)
    assert scene.service.lost is reason
    assert scene.service.notes == []


def test_latency() -> None:
    scene = Scene("latency:delay=1")
    scene.service.transport.write(b"a")
    scene.clock.advance(0.5)
    scene.service.transport.write(b"b")
    scene.service.transport.loseConnection()
    assert scene.sent == b""
    scene.clock.advance(0.5)
    assert scene.sent == b"a"
    assert not scene.transport.disconnecting
    scene.clock.advance(0.5)
    assert scene.sent == b"ab"
    assert scene.transport.disconnecting
    assert scene.service.notes == ["fault latency-1 (latency:delay=1) strikes"]
    assert scene.clock.getDelayedCalls() == []


def test_latency_upstream_outlives_the_connection() -> None:
    """
    What was received comes to the service, and the end behind it.
    """
    scene = Scene("latency:upstream,delay=1")
    scene.protocol.dataReceived(b"late")
    scene.protocol.connectionLost(Failure(ConnectionDone()))
    assert scene.service.lost is None
    scene.clock.advance(1)
    assert scene.service.received == b"late"
    assert scene.service.lost is not None


def test_jitter_keeps_the_order() -> None:
    scene = Scene("latency:delay=1,jitter=1")
    for number in range(50):
        scene.service.transport.write(b"%d " % number)
        scene.clock.advance(0.1)
    scene.clock.pump([0.1] * 30)
    assert scene.sent == b"".join(b"%d " % number for number in range(50))


def test_jitter_has_bounds() -> None:
    scene = Scene("latency:delay=1,jitter=0.25")
    arrived = []
    for _ in range(100):
        scene.service.transport.write(b"x")
        sent, before = scene.clock.seconds(), len(scene.sent)
        while len(scene.sent) == before:
            scene.clock.advance(0.01)
        arrived.append(scene.clock.seconds() - sent)
    assert 0.75 <= min(arrived) < 0.85
    assert 1.15 < max(arrived) <= 1.26


def test_throttle() -> None:
    scene = Scene("throttle:rate=1000")
    scene.service.transport.write(bytes(3000))
    arrived = []
    for _ in range(3):
        scene.clock.pump([0.01] * 100)
        arrived.append(len(scene.sent))
    assert arrived == [pytest.approx(1000 * n, abs=40) for n in (1, 2, 3)]


def test_slice() -> None:
    scene = Scene("slice:upstream,size=4,variation=2,delay=1")
    scene.protocol.dataReceived(bytes(range(40)))
    scene.clock.pump([1] * 40)
    assert scene.service.received == bytes(range(40))
    assert all(2 <= len(piece) <= 6 for piece in scene.service.pieces[:-1])
    assert len({len(piece) for piece in scene.service.pieces}) > 1


def test_no_delay_before_the_first_piece() -> None:
    scene = Scene("slice:size=1,delay=1")
    scene.service.transport.write(b"ab")
    assert scene.sent == b"a"
    scene.clock.advance(1)
    scene.service.transport.write(b"c")
    assert scene.sent == b"ab"
    scene.clock.advance(1)
    assert scene.sent == b"abc"


def test_limit() -> None:
    scene = Scene("limit:octets=3")
    scene.service.transport.write(b"ab")
    assert not scene.transport.disconnecting
    scene.service.transport.write(b"cd")
    assert (scene.sent, scene.transport.disconnecting) == (b"abc", True)


def test_limit_is_reached() -> None:
    """
    With the last octet, and not with one behind it.
    """
    scene = Scene("limit:octets=3")
    scene.service.transport.write(b"abc")
    assert (scene.sent, scene.transport.disconnecting) == (b"abc", True)


def test_timeout() -> None:
    """
    The time runs from the last that came on, and an end passes.
    """
    scene = Scene("timeout:upstream,seconds=2")
    for _ in range(3):
        scene.protocol.dataReceived(b"lost")
        scene.clock.advance(1.5)
    assert (scene.service.received, scene.transport.disconnecting) == (b"", False)
    scene.protocol.readConnectionLost()
    assert scene.service.ended
    scene.clock.advance(0.5)
    assert scene.transport.disconnecting


def test_reset_peer() -> None:
    """
    The time runs from the first that comes on.
    """
    scene = Scene("reset-peer:seconds=2")
    scene.clock.advance(3)
    assert not scene.transport.aborted
    scene.service.transport.write(b"lost")
    scene.clock.advance(1.5)
    scene.service.transport.write(b"lost")
    assert not scene.transport.aborted
    scene.clock.advance(0.5)
    assert (scene.sent, scene.transport.aborted) == (b"", True)


def test_reset_after_octets() -> None:
    scene = Scene("reset:upstream,octets=2")
    scene.protocol.dataReceived(b"ab")
    assert not scene.transport.aborted
    scene.protocol.dataReceived(b"c")
    assert (scene.service.received, scene.transport.aborted) == (b"ab", True)


def test_reset_after_seconds() -> None:
    scene = Scene("reset:seconds=2")
    scene.service.transport.write(b"a")
    scene.clock.advance(1)
    assert not scene.transport.aborted
    scene.clock.advance(1)
    assert (scene.sent, scene.transport.aborted) == (b"a", True)


def test_half_close() -> None:
    scene = Scene("half-close:octets=2")
    scene.service.transport.write(b"abc")
    assert (scene.sent, scene.transport.halfClosed) == (b"ab", True)
    scene.protocol.dataReceived(b"still")
    assert scene.service.received == b"still"


def test_half_close_upstream() -> None:
    scene = Scene("half-close:upstream,octets=2")
    scene.protocol.dataReceived(b"abc")
    assert (scene.service.received, scene.service.ended) == (b"ab", True)


def test_truncate() -> None:
    scene = Scene("truncate:octets=2")
    scene.service.transport.write(b"abc")
    scene.service.transport.loseConnection()
    assert (scene.sent, scene.transport.disconnecting) == (b"ab", True)


def test_black_hole() -> None:
    scene = Scene("black-hole:seconds=5")
    scene.service.transport.write(b"abc")
    scene.service.transport.loseConnection()
    assert (scene.sent, scene.transport.disconnecting) == (b"", False)
    scene.clock.advance(5)
    assert scene.transport.disconnecting


def test_slow_close() -> None:
    scene = Scene("slow-close:delay=2")
    scene.service.transport.write(b"abc")
    scene.service.transport.loseConnection()
    assert (scene.sent, scene.transport.disconnecting) == (b"abc", False)
    scene.clock.advance(2)
    assert scene.transport.disconnecting


def test_refuse() -> None:
    scene = Scene("refuse:first=1")
    assert scene.transport.aborted
    assert scene.service.notes == ["fault refuse-1 (refuse:first=1) strikes the connection"]


def test_flip() -> None:
    scene = Scene("flip:share=0.01")
    scene.service.transport.write(bytes(100_000))
    flipped = sum(octet.bit_count() for octet in scene.sent)
    assert 800 < flipped < 1200


def test_only_some_clients() -> None:
    assert not Scene("refuse:client=198.51.100.0/24").transport.aborted
    assert Scene("refuse:client=192.0.2.0/24").transport.aborted


def test_what_is_held_is_bounded() -> None:
    scene = Scene("latency:upstream,delay=1", "latency:delay=1")

    class Producer:
        """
        Notes what it is told.
        """

        paused = False

        def pauseProducing(self) -> None:
            self.paused = True

        def resumeProducing(self) -> None:
            self.paused = False

    producer = Producer()
    scene.service.transport.registerProducer(producer, True)
    for _ in range(3):
        scene.protocol.dataReceived(bytes(30_000))
        scene.service.transport.write(bytes(30_000))
    assert scene.transport.producerState == "paused"
    assert producer.paused
    scene.clock.advance(1)
    assert scene.transport.producerState == "producing"
    assert not producer.paused
    assert len(scene.service.received) == len(scene.sent) == 90_000


def test_a_service_that_pauses_gets_nothing() -> None:
    scene = Scene("latency:upstream,delay=1")
    scene.protocol.dataReceived(b"a")
    IPushProducer(scene.service.transport).pauseProducing()
    scene.clock.advance(1)
    assert scene.service.received == b""
    IPushProducer(scene.service.transport).resumeProducing()
    assert scene.service.received == b"a"


def test_faults_come_and_go() -> None:
    scene = Scene()
    armed = scene.faults.add(parseFault("latency:delay=10"))
    scene.service.transport.write(b"a")
    assert scene.sent == b""
    scene.faults.remove(armed.name)
    assert scene.sent == b"a"
    scene.service.transport.write(b"b")
    assert scene.sent == b"ab"
    scene.protocol.connectionLost(Failure(ConnectionDone()))
    scene.faults.add(parseFault("reset"))
    assert not scene.transport.aborted


@given(
    pieces=some.lists(some.binary(min_size=1, max_size=20), max_size=8),
    specifications=some.lists(
        some.sampled_from(["latency:delay=1,jitter=1", "slice:size=2", "throttle:rate=50"]),
        max_size=3,
    ),
    pauses=some.lists(some.sampled_from([0.0, 0.3, 1.0]), min_size=8, max_size=8),
)
def test_what_only_delays_loses_nothing(
    pieces: list[bytes], specifications: list[str], pauses: list[float]
) -> None:
    scene = Scene(*specifications, *(f"{each},upstream" for each in specifications))
    for piece, pause in zip(pieces, pauses, strict=False):
        scene.protocol.dataReceived(piece)
        scene.service.transport.write(piece)
        scene.clock.advance(pause)
    scene.service.transport.loseConnection()
    scene.protocol.readConnectionLost()
    scene.clock.pump([0.5] * 60)
    assert scene.service.received == scene.sent == b"".join(pieces[:8])
    assert scene.service.ended
    assert scene.transport.disconnecting


# HTTP


def exchange(scene: Scene, path: bytes = b"/", response: bytes = RESPONSE) -> bytes:
    before = len(scene.sent)
    scene.protocol.dataReceived(REQUEST % path)
    scene.service.transport.write(response)
    return scene.sent[before:]


def test_a_status() -> None:
    scene = Scene("status:status=503,first=1,path=/a*,method=GET")
    assert exchange(scene, b"/b") == RESPONSE
    answer = exchange(scene, b"/a?b=c")
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert answer.endswith(b"\r\n\r\na fault\n")
    assert exchange(scene, b"/a") == RESPONSE
    assert scene.service.notes == [
        "fault status-1 (status:first=1,path=/a*,method=GET) strikes GET /a"
    ]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_pieces_make_no_difference(size: int) -> None:
    scene = Scene("status:status=500,every=2")
    requests, responses = (REQUEST % b"/") * 3, RESPONSE * 3
    for at in range(0, len(requests), size):
        scene.protocol.dataReceived(requests[at : at + size])
    assert scene.service.received == requests
    for at in range(0, len(responses), size):
        scene.service.transport.write(responses[at : at + size])
    assert scene.sent.count(b"HTTP/1.1 200 OK") == 2
    assert scene.sent.count(b"HTTP/1.1 500 ") == 1
    assert scene.sent.startswith(RESPONSE)
    assert scene.sent.endswith(RESPONSE)


def test_drop_head() -> None:
    assert exchange(Scene("drop-head")) == b"hello"


def test_delay_head() -> None:
    scene = Scene("delay-head:delay=1")
    assert exchange(scene) == b""
    scene.clock.advance(1)
    assert scene.sent == RESPONSE


def test_wrong_length() -> None:
    assert exchange(Scene("wrong-length:by=-2")) == RESPONSE.replace(b": 5", b": 3")


def test_cut() -> None:
    scene = Scene("cut:octets=2")
    assert exchange(scene) == RESPONSE[:-3]
    assert scene.transport.disconnecting


def test_cut_in_chunks() -> None:
    scene = Scene("cut:octets=9")
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert exchange(scene, response=head + b"5\r\nhello\r\n0\r\n\r\n") == head + b"5\r\nhello\r"


def test_drip() -> None:
    scene = Scene("drip:size=2,delay=1,first=1")
    assert exchange(scene) == RESPONSE[:-5]
    for size in (-3, -1, None):
        scene.clock.advance(1)
        assert scene.sent == RESPONSE[:size]
    assert exchange(scene) == RESPONSE


def test_latency_of_one_path() -> None:
    scene = Scene("latency:delay=1,path=/slow")
    assert exchange(scene, b"/fast") == RESPONSE
    assert exchange(scene, b"/slow") == b""
    scene.clock.advance(1)
    assert scene.sent == RESPONSE * 2
    assert exchange(scene, b"/fast") == RESPONSE


def test_reset_of_one_request() -> None:
    scene = Scene("reset:upstream,octets=4,path=/bad")
    exchange(scene, b"/good")
    scene.protocol.dataReceived(REQUEST % b"/bad")
    assert scene.service.received == REQUEST % b"/good" + b"GET "
    assert scene.transport.aborted


def test_head_and_interim_responses() -> None:
    scene = Scene("status:status=404")
    scene.protocol.dataReceived(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    scene.service.transport.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    assert scene.sent == b"HTTP/1.1 103 Early Hints\r\n\r\n"
    scene.service.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    assert b"HTTP/1.1 404 Not Found" in scene.sent
    assert scene.sent.endswith(b"\r\n\r\n")


def test_what_is_not_http_passes() -> None:
    scene = Scene("status:status=404")
    scene.protocol.dataReceived(b"\x00\x01")
    scene.protocol.dataReceived(b"\x02")
    scene.service.transport.write(b"\xff\xfe")
    assert (scene.service.received, scene.sent) == (b"\x00\x01\x02", b"\xff\xfe")


def test_an_end_in_a_head_passes() -> None:
    scene = Scene("status:status=404")
    scene.protocol.dataReceived(b"GET / HT")
    scene.protocol.readConnectionLost()
    assert (scene.service.received, scene.service.ended) == (b"GET / HT", True)


# WebSocket


def opened(*specifications: str) -> Scene:
    scene = Scene(*specifications)
    scene.protocol.dataReceived(UPGRADE)
    scene.service.transport.write(SWITCHING)
    scene.service.received = b""
    scene.transport.clear()
    return scene


def test_refuse_handshake() -> None:
    scene = Scene("refuse-handshake:status=401")
    scene.protocol.dataReceived(UPGRADE)
    scene.service.transport.write(SWITCHING + b"\x81\x02hi")
    assert scene.sent.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert b"connection: close" in scene.sent
    assert scene.transport.disconnecting
    assert b"hi" not in scene.sent


def test_hang_handshake() -> None:
    scene = Scene("hang-handshake")
    scene.protocol.dataReceived(UPGRADE)
    scene.service.transport.write(SWITCHING + b"\x81\x02hi")
    scene.service.transport.write(b"\x81\x02hi")
    assert scene.sent == b""


def test_handshake_faults_spare_plain_requests() -> None:
    scene = Scene("hang-handshake", "refuse-handshake")
    assert exchange(scene) == RESPONSE


def test_cut_frame() -> None:
    scene = opened("cut-frame:after=1")
    scene.service.transport.write(b"\x81\x02hi\x81\x04more")
    assert scene.sent == b"\x81\x02hi\x81\x04m"
    assert scene.transport.disconnecting


def test_close() -> None:
    scene = opened("close:code=1001")
    scene.service.transport.write(b"\x81\x02hi\x81\x02ho")
    assert scene.sent == b"\x88\x02\x03\xe9"
    assert scene.transport.disconnecting


def test_no_pong() -> None:
    scene = opened("no-pong")
    scene.service.transport.write(b"\x81\x02hi\x8a\x01x\x89\x01y")
    assert scene.sent == b"\x81\x02hi\x89\x01y"


def test_invalid_utf8() -> None:
    scene = opened("invalid-utf8:upstream")
    scene.protocol.dataReceived(serialize_frame(0x81, b"hi", b"abcd"))
    scene.protocol.dataReceived(serialize_frame(0x82, b"hi", b"abcd"))
    assert scene.service.received == (
        serialize_frame(0x81, b"\xffi", b"abcd") + serialize_frame(0x82, b"hi", b"abcd")
    )


@pytest.mark.parametrize("key", [None, b"abcd"])
def test_fragment(key: bytes | None) -> None:
    scene = opened("fragment:size=2" + (",upstream" if key else ""))
    frame = serialize_frame(0x81, b"hello", key)
    if key:
        scene.protocol.dataReceived(frame)
    else:
        scene.service.transport.write(frame)
    expected = [(0x01, b"he"), (0x00, b"ll"), (0x80, b"o")]
    fragments = b"".join(serialize_frame(first, part, key) for first, part in expected)
    assert (scene.service.received if key else scene.sent) == fragments


def test_fragments_have_a_bound() -> None:
    scene = opened("fragment:size=1")
    scene.service.transport.write(serialize_frame(0x82, b"x" * 20_000))
    small = b"\x02\x01x" + b"\x00\x01x" * 9_998
    assert scene.sent == small + serialize_frame(0x80, b"x" * 10_001)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_frames_in_pieces(size: int) -> None:
    scene = opened("no-pong")
    frames = b"".join(
        serialize_frame(0x82, bytes(length)) + b"\x8a\x00" for length in (0, 125, 126, 70_000)
    )
    for at in range(0, len(frames), size):
        scene.service.transport.write(frames[at : at + size])
    assert scene.sent == frames.replace(b"\x8a\x00", b"")


def test_large_frames_pass() -> None:
    scene = opened("fragment:size=1")
    frame = serialize_frame(0x82, bytes(2**20 + 1))
    scene.service.transport.write(frame[:1000])
    assert scene.sent == frame[:1000]
    scene.service.transport.write(frame[1000:] + b"\x82\x02ab")
    assert scene.sent == frame + b"\x02\x01a\x80\x01b"


def test_a_client_is_struck_the_other_way_round() -> None:
    scene = Scene("truncate:upstream,octets=1", server=False)
    scene.service.transport.write(b"ab")
    scene.protocol.dataReceived(b"cd")
    assert (scene.sent, scene.service.received) == (b"a", b"cd")
