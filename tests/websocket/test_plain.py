"""
Tests for L{netkit.websocket.plain} and L{netkit.websocket.serveropening}: plain HTTP on
connections that may become WebSockets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.logger import LogEvent
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from twisted.web.server import Request as WebRequest
from zope.interface.verify import verifyObject

from netkit.http import HTTPFactory, Request, Response, Upgrade
from netkit.websocket import WebSocketFactory, WebSocketOptions
from netkit.wire.http.connection import ResponseReceiver
from netkit.wire.http.content import Content, EndOfMessage
from netkit.wire.http.head import ResponseHead
from tests.conftest import Listen

from .helpers import HANDSHAKE, Application, Echo, Server, Waiters, lost

GET = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"
UPLOAD = (
    b"POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n"
    b"5;x=y\r\nhello\r\n00\r\nT: t\r\n\r\n"
)
LENGTH = b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
HEAD = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
OPENING = HANDSHAKE % b""


class Tree(Resource):
    """
    Answers as L{answer} does, for twisted.web.
    """

    isLeaf = True

    def __init__(self, site: PlainSite) -> None:
        super().__init__()
        self._site = site

    def render(self, request: WebRequest) -> bytes | int:
        assert request.content is not None
        if request.path == b"/slow":
            self._site.slow.append(lambda: (request.write(b"slow"), request.finish()))
            return NOT_DONE_YET
        return b"%b %b %b" % (request.method, request.path, request.content.read())


class PlainSite:
    """
    The other protocol's side.

    @ivar slow: what answers the requests that wait for it.
    """

    def __init__(self, kind: str, server: dict[str, Any], **settings: Any) -> None:
        self.slow: list[Callable[[], object]] = []
        self.factory: Any
        if kind == "twisted.web":
            self.factory = Site(Tree(self), reactor=server["clock"], timeout=None)
        else:
            self.factory = HTTPFactory(self._answer, clock=server["clock"], **settings)

    async def _answer(self, request: Request) -> Response:
        content = await request.read()
        if request.path == b"/slow":
            waiting: Deferred[None] = Deferred()
            self.slow.append(lambda: waiting.callback(None))
            await waiting
            return Response(200, b"slow")
        return Response(200, b"%b %b %b" % (request.method, request.path, content))


class Mixed(Server):
    """
    A connection to a server of both.
    """

    def __init__(self, kind: str, *, halfOpen: bool = False, **arguments: Any) -> None:
        arguments["clock"] = Clock()
        self.site = PlainSite(kind, arguments, **({"allowHalfOpen": True} if halfOpen else {}))
        super().__init__(Application(Echo), httpFactory=self.site.factory, **arguments)
        self.methods: list[bytes] = []

    def feed(self, octets: bytes, pieces: bool = False) -> None:
        """
        Let it receive octets, at once or one by one.
        """
        for i in range(len(octets)) if pieces else [0]:
            self.receive(octets[i : i + 1] if pieces else octets)
        self.clock.advance(0)

    def answers(self, *methods: bytes) -> list[tuple[int, bytes]]:
        """
        The responses to requests of those methods, and nothing else.
        """
        receiver = ResponseReceiver()
        for method in methods:
            receiver.request_sent(method)
        receiver.receive(self.response())
        self.transport.clear()
        found: list[tuple[int, bytes]] = []
        while (event := receiver.next_event()) is not None:
            if isinstance(event, ResponseHead):
                found.append((event.status, b""))
                if event.status == 101:
                    break
            elif isinstance(event, Content):
                found[-1] = (found[-1][0], found[-1][1] + event.data)
            else:
                assert isinstance(event, EndOfMessage)
        assert receiver.detach() == b""
        return found

    def echoes(self) -> bool:
        """
        Whether it is a WebSocket now.
        """
        self.receive(self.client.send_text("hello"))
        return self.sent() == ["hello"]


KINDS = pytest.mark.parametrize("kind", ["netkit.http", "twisted.web"])


@KINDS
@pytest.mark.parametrize("pieces", [False, True])
def test_each_request_decides(kind: str, pieces: bool) -> None:
    server = Mixed(kind)
    server.feed(GET % b"one", pieces)
    assert server.answers(b"GET") == [(200, b"GET /one ")]
    server.feed(UPLOAD + LENGTH + HEAD + GET % b"two", pieces)
    assert server.answers(b"POST", b"PUT", b"HEAD", b"GET") == [
        (200, b"POST /up hello"),
        (200, b"PUT /up hello"),
        (200, b""),
        (200, b"GET /two "),
    ]
    server.feed(OPENING, pieces)
    assert server.answers(b"GET") == [(101, b"")]
    assert server.echoes()
    # The other protocol is done with.
    assert not getattr(server.site.factory, "connections", None)
    server.lose(ConnectionDone())
    assert not server.clock.getDelayedCalls()


EXCHANGES = {
    GET % b"one": (b"GET", 200, b"GET /one "),
    UPLOAD: (b"POST", 200, b"POST /up hello"),
    LENGTH: (b"PUT", 200, b"PUT /up hello"),
    HEAD: (b"HEAD", 200, b""),
    b"\r\n" + GET % b"two": (b"GET", 200, b"GET /two "),
}


@given(
    st.lists(st.sampled_from(sorted(EXCHANGES)), max_size=6),
    st.lists(st.integers(0, 800), max_size=8),
)
def test_any_requests_in_any_pieces(requests: list[bytes], cuts: list[int]) -> None:
    server = Mixed("netkit.http")
    octets = b"".join(requests) + OPENING
    edges = sorted({0, len(octets), *(cut for cut in cuts if cut < len(octets))})
    for start, end in pairwise(edges):
        server.feed(octets[start:end])
    methods = [EXCHANGES[request][0] for request in requests]
    assert server.answers(*methods, b"GET") == [
        *(EXCHANGES[request][1:] for request in requests),
        (101, b""),
    ]
    assert server.echoes()


@given(
    st.lists(
        st.sampled_from([*sorted(EXCHANGES), OPENING, OPENING[:40], b"\r\n", b"x", b"\0" * 40])
        | st.binary(max_size=30),
        max_size=8,
    )
)
def test_any_octets_at_all(pieces: list[bytes]) -> None:
    server = Mixed("netkit.http")
    for piece in pieces:
        server.feed(piece)
    server.lose(ConnectionDone())
    assert not server.clock.getDelayedCalls()
    assert not server.factory.connections
    assert not server.site.factory.connections
    assert server.factory.budget.used == 0


@KINDS
@pytest.mark.parametrize("pieces", [False, True])
def test_a_handshake_waits_for_the_answers_before_it(kind: str, pieces: bool) -> None:
    server = Mixed(kind, options=WebSocketOptions(openTimeout=5.0))
    early = server.client.send_text("early")
    server.feed(GET % b"one" + GET % b"slow" + OPENING + early, pieces)
    assert server.answers(b"GET") == [(200, b"GET /one ")]
    # That is not the client's time.
    server.clock.advance(20.0)
    assert not server.transport.disconnected
    server.site.slow[0]()
    # It is still written when the answer is.
    assert server.answers(b"GET") == [(200, b"slow")]
    server.clock.advance(0)
    head, rest = server.response().split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 101 ")
    assert list(server.client.receive_data(rest)) == ["early"]
    server.transport.clear()
    assert server.echoes()


@KINDS
def test_a_handshake_that_is_refused(kind: str, logged: list[LogEvent]) -> None:
    server = Mixed(kind)
    server.feed(GET % b"slow" + OPENING.replace(b"13", b"8"))
    assert server.response() == b""
    server.site.slow[0]()
    server.clock.advance(0)
    assert [status for status, _ in server.answers(b"GET", b"GET")] == [200, 426]
    assert server.protocol.lingering
    assert [event["status"] for event in logged if "status" in event] == [426]
    server.feed(GET % b"more")
    assert server.response() == b""


@KINDS
@pytest.mark.parametrize("pieces", [False, True])
def test_nothing_follows_the_last_answer(kind: str, pieces: bool) -> None:
    server = Mixed(kind)
    last = (GET % b"one").replace(b"Host", b"Connection: close\r\nHost")
    server.feed(last + OPENING, pieces)
    assert server.answers(b"GET") == [(200, b"GET /one ")]
    assert server.transport.disconnecting or server.transport.halfClosed
    assert not server.application.made
    server.feed(OPENING)
    assert server.response() == b""
    slow = Mixed(kind)
    slow.feed((GET % b"slow").replace(b"Host", b"Connection: close\r\nHost") + OPENING, pieces)
    slow.site.slow[0]()
    slow.clock.advance(0)
    assert slow.answers(b"GET") == [(200, b"slow")]
    assert not slow.application.made


@KINDS
def test_flow_control_is_the_websockets_own(kind: str) -> None:
    server = Mixed(kind)
    server.feed(GET % b"one")
    server.transport.clear()
    server.feed(OPENING)
    server.transport.clear()
    assert server.transport.producerState == "producing"
    server.app.transport.sendTextMessage("x")
    assert server.transport.producer is not None
    assert verifyObject(IPushProducer, server.transport.producer)
    server.transport.producer.pauseProducing()
    server.receive(server.client.send_text("held up"))
    assert server.sent() == ["x"]
    server.transport.producer.resumeProducing()
    assert server.sent() == ["held up"]


@KINDS
def test_a_stop_lets_plain_requests_be_answered(kind: str) -> None:
    server = Mixed(kind)
    server.feed(GET % b"slow" + OPENING)
    stopped = server.factory.closeConnections(5.0)
    server.clock.advance(4.0)
    assert not server.transport.disconnecting
    server.site.slow[0]()
    server.clock.advance(0)
    assert server.answers(b"GET") == [(200, b"slow")]
    assert server.transport.disconnecting
    server.lose(ConnectionDone())
    assert stopped.called


@KINDS
def test_an_upload_goes_on_in_a_stop(kind: str) -> None:
    server = Mixed(kind)
    server.feed(LENGTH[:-3])
    server.factory.closeConnections(5.0)
    assert not server.transport.disconnecting
    server.feed(LENGTH[-3:])
    assert server.answers(b"PUT") == [(200, b"PUT /up hello")]
    server.clock.advance(0)
    assert server.transport.disconnecting


@KINDS
def test_a_stop_ends_what_is_idle(kind: str) -> None:
    server = Mixed(kind)
    server.feed(GET % b"one")
    server.factory.closeConnections(5.0)
    assert server.transport.disconnecting


@KINDS
def test_a_stop_does_not_wait_for_ever(kind: str) -> None:
    server = Mixed(kind)
    server.feed(GET % b"slow")
    server.factory.closeConnections(5.0)
    server.clock.advance(5.0)
    assert server.transport.disconnected


@KINDS
def test_lost_while_a_plain_request_is_answered(kind: str) -> None:
    server = Mixed(kind)
    server.feed(GET % b"slow" + OPENING)
    server.lose(ConnectionDone())
    assert not server.factory.connections
    assert not getattr(server.site.factory, "connections", None)
    assert not server.application.made
    assert server.response() == b""


def test_the_answer_comes_though_the_client_closed_its_half() -> None:
    server = Mixed("netkit.http", halfOpen=True)
    server.feed(GET % b"slow" + OPENING)
    server.protocol.readConnectionLost()
    server.protocol.writeConnectionLost()
    server.site.slow[0]()
    server.clock.advance(0)
    assert server.answers(b"GET") == [(200, b"slow")]
    assert server.transport.disconnecting
    assert not server.application.made


def test_too_much_kept_for_all_of_them() -> None:
    server = Mixed("netkit.http", maxBuffered=1000)
    server.feed(GET % b"slow" + OPENING + bytes(1000))
    assert not server.transport.disconnected
    server.feed(b"x")
    assert server.transport.disconnected
    assert server.factory.budget.used == 0


def test_too_much_behind_a_handshake_that_waits() -> None:
    server = Mixed("netkit.http", options=WebSocketOptions(maxHandshakeSize=1000))
    server.feed(GET % b"slow" + OPENING)
    server.feed(bytes(1000))
    assert not server.transport.disconnected
    server.feed(b"x")
    assert server.response() == b""
    assert server.transport.disconnected


def test_a_head_that_does_not_come() -> None:
    server = Mixed("netkit.http", options=WebSocketOptions(openTimeout=3.0))
    server.feed(GET % b"one")
    server.clock.advance(60.0)
    assert not server.transport.disconnected
    server.feed(OPENING[:-1])
    server.clock.advance(2.9)
    server.feed(OPENING[-1:])
    assert server.answers(b"GET", b"GET")[-1] == (101, b"")
    late = Mixed("netkit.http", options=WebSocketOptions(openTimeout=3.0))
    late.feed(GET % b"one" + OPENING[:-1])
    late.clock.advance(3.1)
    assert late.transport.disconnected


def dateless(answers: bytes) -> bytes:
    """
    Take the dates out: a Site tells the system's, which may go on between two answers.
    """
    return re.sub(rb"\r\nDate: [^\r]*", b"", answers)


@KINDS
@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"no HTTP\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", None),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70_000, None),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n", 400),
    ],
)
@pytest.mark.parametrize("before", [b"", GET % b"one"])
def test_faults_are_for_the_other_protocol_to_answer(
    kind: str, octets: bytes, status: int | None, before: bytes
) -> None:
    server = Mixed(kind)
    server.feed(before + octets)
    alone = PlainSite(kind, {"clock": server.clock}).factory.buildProtocol(None)
    link = type(server.transport)()
    alone.makeConnection(link)
    alone.dataReceived(before + octets)
    assert dateless(server.response()) == dateless(link.value())
    if status is not None:
        assert b"HTTP/1.1 %d " % status in server.response()
    server.lose(ConnectionDone())
    alone.connectionLost(Failure(ConnectionDone()))


class Lines(Protocol):
    """
    A protocol that is not HTTP, and answers with what it got.
    """

    lost = False
    transport: Any

    def dataReceived(self, data: bytes) -> None:
        self.transport.writeSequence([b"got ", data, b"\n"])

    def connectionLost(self, reason: object = None) -> None:
        self.lost = True


def test_what_cannot_be_followed_has_the_connection_for_good() -> None:
    server = Server(httpFactory=Factory.forProtocol(Lines))
    server.receive(GET % b"")
    server.receive(OPENING)
    server.receive(b"more")
    assert server.response() == b"".join(
        b"got %b\n" % data for data in (GET % b"", OPENING, b"more")
    )
    server.clock.advance(10_000)
    assert not server.transport.disconnected
    server.protocol.readConnectionLost()
    assert server.transport.disconnecting
    at_once = Server(httpFactory=Factory.forProtocol(Lines))
    at_once.receive(GET % b"" + OPENING)
    at_once.clock.advance(0)
    assert at_once.response() == b"got %b\ngot %b\n" % (GET % b"", OPENING)
    at_once.factory.closeConnections(5.0)
    assert at_once.transport.disconnecting


@pytest.mark.parametrize("tunnel", [b"GET / HTTP/1.1\r\nUpgrade: lines", b"CONNECT a:1 HTTP/1.1"])
def test_another_upgrade_has_it_for_good(tunnel: bytes) -> None:
    def upgrade(request: Request) -> Upgrade:
        return Upgrade(Lines(), [(b"Upgrade", b"lines")] if request.method == b"GET" else None)

    server = Server(httpFactory=HTTPFactory(upgrade, refusedMethods=frozenset()))
    server.receive(tunnel + b"\r\nHost: a:1\r\nConnection: Upgrade\r\n\r\n")
    server.transport.clear()
    server.receive(OPENING)
    assert server.response() == b"got %b\n" % OPENING
    assert not server.application.made


def test_the_other_factory_starts_and_stops_as_well() -> None:
    told: list[str] = []

    class Other(Factory[Any]):
        def startFactory(self) -> None:
            told.append("start")

        def stopFactory(self) -> None:
            told.append("stop")

    factory = WebSocketFactory(Application(), httpFactory=Other(), clock=Clock())
    factory.doStart()
    assert told == ["start"]
    factory.doStop()
    assert told == ["start", "stop"]


def test_nobody_answers() -> None:
    class Nobody(Factory[Any]):
        def buildProtocol(self, addr: object) -> None:
            return None

    server = Server(httpFactory=Nobody())
    server.receive(GET % b"")
    assert server.transport.disconnecting
    server.receive(GET % b"")
    server.protocol.readConnectionLost()
    server.protocol.writeConnectionLost()
    server.lose(ConnectionAborted())
    assert server.response() == b""


def test_a_transport_that_was_taken_away() -> None:
    """
    Whatever the other protocol still does with it touches the WebSocket no more.
    """
    made: list[Any] = []

    class Ok(Protocol):
        transport: Any

        def connectionMade(self) -> None:
            made.append(self)
            self.transport.registerProducer(self, True)
            self.transport.pauseProducing()

        def dataReceived(self, data: bytes) -> None:
            self.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    server = Server(httpFactory=Factory.forProtocol(Ok))
    server.receive(GET % b"")
    assert server.transport.producerState == "paused"
    server.receive(OPENING)
    server.transport.clear()
    assert server.transport.producerState == "producing"
    transport = made[0].transport
    producer = server.transport.producer
    assert producer is not made[0]
    transport.write(b"x")
    transport.writeSequence([b"x"])
    transport.pauseProducing()
    transport.registerProducer(made[0], True)
    transport.unregisterProducer()
    transport.resumeProducing()
    transport.loseConnection()
    transport.loseWriteConnection()
    transport.abortConnection()
    assert server.response() == b""
    assert server.transport.producerState == "producing"
    assert server.transport.producer is producer
    assert not server.transport.disconnecting
    assert not server.transport.disconnected
    assert transport.getPeer() == server.transport.getPeer()
    assert server.app.events == ["open"]


class Raw(Protocol):
    """
    A client that waits for octets.
    """

    transport: Any

    def __init__(self) -> None:
        self.received = b""
        self._end = b""
        self._waiting: Deferred[None] = Deferred()

    def until(self, end: bytes) -> Deferred[None]:
        """
        Wait until what was received ends so.
        """
        self._end, self._waiting = end, Deferred()
        self.dataReceived(b"")
        return self._waiting

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        if self.received.endswith(self._end) and not self._waiting.called:
            self._waiting.callback(None)


@KINDS
@pytest_twisted.ensureDeferred
async def test_on_a_real_connection(kind: str, listen: Listen) -> None:
    from twisted.internet import reactor

    clock = IReactorTime(reactor)
    site = PlainSite(kind, {"clock": clock})
    servers = Waiters()
    over = await listen(WebSocketFactory(servers, httpFactory=site.factory, clock=clock))
    raw: Any = await over.connect(Factory.forProtocol(Raw))
    raw.transport.write(UPLOAD + GET % b"one" + OPENING)
    await raw.until(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
    assert raw.received.count(b"HTTP/1.1 200 ") == 2
    servers.made[0].transport.ping(b"pong!")
    await raw.until(b"pong!")
    raw.transport.loseConnection()
    await lost(servers.made[0])
