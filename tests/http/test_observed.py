"""
What an observer of HTTP connections is told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent
from twisted.python.failure import Failure

from netkit.http import HTTPFactory, Request, Response, Upgrade

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
EXPECTED = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
UPGRADE = b"GET /chat HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n"


class Observer:
    """
    Adds up what it is told.
    """

    def __init__(self, transport: StringTransport) -> None:
        self.transport = transport
        self.octetsReceived = self.octetsSent = self.begunRequests = 0
        self.exchanges: list[tuple[bytes | None, int, int]] = []

    def received(self, data: bytes, /) -> None:
        self.octetsReceived += len(data)

    def sent(self, data: bytes, /) -> None:
        self.octetsSent += len(data)

    def sentFile(self, octets: int, /) -> None:
        self.octetsSent += octets

    def begun(self) -> None:
        self.begunRequests += 1

    def done(self, head: Any, status: int, octets: int, /) -> None:
        self.exchanges.append((None if head is None else head.method, status, octets))


class Answering(Observer):
    """
    Is told at once of what is written whole.
    """

    def answered(
        self,
        head: Any,
        line: bytes,
        section: bytes,
        status: int,
        octets: int,
        data: bytes,
        /,
    ) -> None:
        assert head.raw == line + section
        assert data.startswith(b"HTTP/1.1 ")
        self.octetsSent += len(data)
        self.exchanges.append((head.method, status, octets))


class Peer(StringTransport):
    def loseWriteConnection(self) -> None:
        """
        Nobody reads.
        """


class Echo(Protocol):
    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


async def answer(request: Request) -> Response | Upgrade:
    if request.path == b"/chat":
        return Upgrade(Echo(), [(b"Upgrade", b"chat")])
    if request.path == b"/never":
        await Deferred()
    content = await request.content.read()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"12"
        yield content or b"345"

    return Response(200, pieces() if request.path == b"/streamed" else content or b"whole")


def connect(handler: Any = answer, observing: type[Observer] = Observer) -> tuple[Any, Observer]:
    told: list[Observer] = []

    def observe(transport: Any) -> Observer:
        told.append(observing(transport))
        return told[-1]

    protocol: Any = HTTPFactory(handler, observe=observe, clock=Clock()).buildProtocol(None)
    protocol.makeConnection(Peer())
    [observer] = told
    assert observer.transport is protocol.transport
    return protocol, observer


@pytest.mark.parametrize("observing", [Observer, Answering])
@pytest.mark.parametrize("together", [True, False])
def test_all_octets_and_exchanges_are_told(together: bool, observing: type[Observer]) -> None:
    protocol, observer = connect(observing=observing)
    requests = [
        *(GET, GET.replace(b"GET", b"HEAD"), GET.replace(b"/", b"/streamed", 1)),
        *(EXPECTED, b"abcde", EXPECTED.replace(b"/", b"/streamed", 1), b"abcde", b"none\r\n\r\n"),
    ]
    for octets in [b"".join(requests)] if together else requests:
        protocol.dataReceived(octets)
    assert observer.octetsReceived == len(b"".join(requests))
    assert observer.octetsSent == len(protocol.transport.value())
    *exchanges, refused = observer.exchanges
    assert exchanges == [
        *((b"GET", 200, 5), (b"HEAD", 200, 0), (b"GET", 200, 5)),
        *((b"POST", 200, 5), (b"POST", 200, 7)),
    ]
    assert refused[:2] == (None, 400)
    # Those whose content was awaited, where it had not arrived.
    assert observer.begunRequests == (0 if together else 2)


def test_what_answers_requests_may_answer_what_is_none() -> None:
    observers: list[Observer] = []
    same = Response(200, b"whole")

    def observe(transport: Any) -> Observer:
        observers.append(Answering(transport))
        return observers[-1]

    factory = HTTPFactory(
        lambda request: same, refusal=lambda refusal: same, observe=observe, clock=Clock()
    )
    protocol: Any = factory.buildProtocol(None)
    protocol.makeConnection(Peer())
    protocol.dataReceived(GET * 2 + b"none\r\n\r\n")
    assert observers[0].exchanges == [(b"GET", 200, 5), (b"GET", 200, 5), (None, 200, 5)]
    assert observers[0].octetsSent == len(protocol.transport.value())


@pytest.mark.parametrize("begun", [True, False])
def test_how_long_exchanges_take(begun: bool) -> None:
    clock, seconds = Clock(), []
    waiting: Deferred[Response] = Deferred()

    def tell(head: object, status: int, octets: int, took: float, *_: object) -> None:
        seconds.append(took)

    def handler(request: Request) -> Any:
        clock.advance(1)
        return waiting if begun and request.path == b"/slow" else Response(200, b"whole")

    protocol: Any = HTTPFactory(handler, exchangeDone=tell, clock=clock).buildProtocol(None)
    protocol.makeConnection(Peer())
    # The time that a client takes to send a head is its own.
    protocol.dataReceived(GET[:9])
    clock.advance(8)
    protocol.dataReceived(GET[9:])
    assert seconds == [1]
    # What is received while a request is under way does not begin it anew.
    protocol.dataReceived(GET.replace(b"/", b"/slow", 1))
    protocol.dataReceived(GET[:9])
    clock.advance(2)
    protocol.dataReceived(GET[9:])
    if begun:
        waiting.callback(Response(200, b"whole"))
        # What waited begins when that is over.
        assert seconds == [1, 3, 1]
    else:
        assert seconds == [1, 1, 1]


def test_how_long_a_request_waits_for_a_client_that_takes_no_responses() -> None:
    clock, seconds = Clock(), []

    def tell(head: object, status: int, octets: int, took: float, *_: object) -> None:
        seconds.append(took)

    factory = HTTPFactory(lambda request: Response(200, b"whole"), exchangeDone=tell, clock=clock)
    protocol: Any = factory.buildProtocol(None)
    protocol.makeConnection(Peer())
    protocol.transport.producer.pauseProducing()
    protocol.dataReceived(GET)
    clock.advance(3)
    protocol.dataReceived(GET)
    clock.advance(1)
    assert seconds == []
    protocol.transport.producer.resumeProducing()
    assert seconds == [4, 0]


def test_a_clock_that_is_set_back() -> None:
    clock, seconds = Clock(), []

    def tell(head: object, status: int, octets: int, took: float, *_: object) -> None:
        seconds.append(took)

    def handler(request: Request) -> Response:
        clock.advance(-1)
        return Response(200, b"whole")

    protocol: Any = HTTPFactory(handler, exchangeDone=tell, clock=clock).buildProtocol(None)
    protocol.makeConnection(Peer())
    protocol.dataReceived(GET)
    assert seconds == [0.0]


def test_who_left_before_the_answer_is_told() -> None:
    protocol, observer = connect()
    protocol.dataReceived(GET.replace(b"/", b"/never", 1))
    assert observer.exchanges == []
    protocol.connectionLost(Failure(ConnectionLost()))
    assert observer.exchanges == [(b"GET", 499, 0)]


def test_another_protocol_on_the_connection_is_not_told_of() -> None:
    protocol, observer = connect()
    protocol.dataReceived(UPGRADE)
    protocol.dataReceived(b"chat")
    assert protocol.transport.value().endswith(b"\r\n\r\nchat")
    assert observer.exchanges == [(b"GET", 101, 0)]
    assert (observer.octetsReceived, observer.octetsSent) == (
        *(len(UPGRADE), len(protocol.transport.value()) - 4),
    )


def test_an_observer_that_fails_fails_nobody_else(
    monkeypatch: pytest.MonkeyPatch, logged: list[LogEvent]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Observer, "done", fail)
    protocol, _ = connect(lambda request: Response(200, b"whole"))
    protocol.dataReceived(GET * 2)
    assert protocol.transport.value().count(b"whole") == 2
    assert [event["log_format"] for event in logged] == ["What is told of exchanges failed"] * 2
    logged.clear()


def test_who_would_observe_and_cannot_is_logged(logged: list[LogEvent]) -> None:
    def observe(transport: Any) -> Observer:
        raise ZeroDivisionError

    protocol: Any = HTTPFactory(answer, observe=observe, clock=Clock()).buildProtocol(None)
    protocol.makeConnection(Peer())
    protocol.dataReceived(GET)
    assert protocol.transport.value().endswith(b"whole")
    assert [event["log_format"] for event in logged] == ["What is told of exchanges failed"]
    logged.clear()


def test_one_of_both_is_told() -> None:
    with pytest.raises(ValueError, match="exchangeDone is not told"):
        HTTPFactory(answer, exchangeDone=print, observe=Observer, clock=Clock())
    with pytest.raises(TypeError, match="observe"):
        HTTPFactory(answer, observe=5, clock=Clock())  # type: ignore[arg-type]
