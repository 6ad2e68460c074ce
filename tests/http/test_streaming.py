"""
Tests for responses whose content is written piece by piece.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IConsumer
from twisted.logger import LogEvent
from twisted.web.client import FileBodyProducer
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from netkit.http import Request, Response

from .connected import CLOSE, Connection, answer, get, post
from .test_protocol import CHUNKED, takeFailure

CHUNKS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Source:
    """
    An asynchronous iterator that gives what it is told to.
    """

    def __init__(self) -> None:
        self.closed = False
        self._next: Deferred[bytes | None] = Deferred()

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            while (piece := await self._next) is not None:
                self._next = Deferred()
                yield piece
        finally:
            self.closed = True

    def give(self, piece: bytes | None) -> None:
        self._next.callback(piece)

    def fail(self, error: Exception) -> None:
        self._next.errback(error)


def streaming(**settings: Any) -> tuple[Connection, Source]:
    source = Source()
    client = Connection(lambda request: Response(200, source.pieces(), **settings))
    return client, source


def test_pieces_are_written_as_they_come() -> None:
    client, source = streaming()
    client.send(get())
    assert client.take() == CHUNKS
    source.give(b"hello")
    assert client.take() == b"5\r\nhello\r\n"
    source.give(b"")
    assert client.take() == b""
    source.give(None)
    assert client.take() == b"0\r\n\r\n"
    assert not client.closing
    assert source.closed


def test_the_next_request_waits_for_the_end() -> None:
    client, source = streaming()
    client.send(get() * 2)
    source.give(b"hello")
    assert len(client.requests) == 1
    source.give(None)
    assert len(client.requests) == 2


def test_a_length_told_before() -> None:
    client, source = streaming(length=5)
    client.send(get())
    source.give(b"hello")
    source.give(None)
    assert client.take() == answer(b"hello")


@pytest.mark.parametrize("keeping", [b"Connection: keep-alive", b"X: y"])
def test_rfc9112_6_1_no_chunks_to_http_1_0(keeping: bytes) -> None:
    client, source = streaming()
    client.send(get(b"/", keeping, version=b"1.0"))
    assert client.take() == b"HTTP/1.1 200 OK\r\n" + CLOSE + b"\r\n\r\n"
    source.give(b"hello")
    source.give(None)
    assert client.take() == b"hello"
    assert client.closing


def test_http_1_0_is_kept_with_a_length() -> None:
    client, source = streaming(length=2)
    client.send(get(b"/", b"Connection: keep-alive", version=b"1.0"))
    source.give(b"ab")
    source.give(None)
    assert client.take() == answer(b"ab", b"connection: keep-alive")
    assert not client.closing


@pytest.mark.parametrize("length", [None, 5])
def test_head_has_no_content(length: int | None) -> None:
    client, _ = streaming(length=length)
    client.send(get().replace(b"GET", b"HEAD"))
    assert client.take() == b"HTTP/1.1 200 OK\r\n%b\r\n" % (
        b"content-length: 5\r\n" if length else b""
    )
    assert not client.closing


def test_trailers() -> None:
    trailers: list[tuple[bytes, bytes]] = []
    client, source = streaming(length=5, trailers=lambda: trailers)
    client.send(get(b"/", b"TE: deflate, Trailers"))
    source.give(b"hello")
    trailers.append((b"X-Check", b"1"))
    source.give(None)
    assert client.take() == CHUNKS + b"5\r\nhello\r\n0\r\nX-Check: 1\r\n\r\n"


def test_rfc9110_6_5_1_no_trailers_for_who_takes_none() -> None:
    client, source = streaming(trailers=lambda: [(b"X-Check", b"1")])
    client.send(get())
    source.give(None)
    assert client.take() == CHUNKS + b"0\r\n\r\n"


def test_trailers_of_octets() -> None:
    response = Response(200, b"hello", trailers=lambda: [(b"X-Check", b"1")])
    client = Connection(lambda request: response)
    client.send(get(b"/", b"TE: trailers"))
    assert client.take() == CHUNKS + b"5\r\nhello\r\n0\r\nX-Check: 1\r\n\r\n"


def test_pieces_wait_for_a_client_that_takes_none() -> None:
    given = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 1
            yield b"a"

    client = Connection(lambda request: Response(200, pieces()))

    def wrote() -> None:
        if len(client.transport.writes) % 10 == 0:
            client.producer.pauseProducing()

    client.transport.wrote = wrote
    client.send(get())
    assert given == 9
    client.producer.resumeProducing()
    assert given == 19
    client.lose()


def test_large_octets_are_written_piece_by_piece() -> None:
    content = bytes(range(256)) * 4096
    client = Connection(lambda request: Response(200, content))
    client.send(get())
    assert client.take() == answer(content)
    assert max(client.transport.writes) == 2**16


@pytest.mark.parametrize("congested", [False, True])
def test_the_clients_going_away_closes_the_source(congested: bool) -> None:
    client, source = streaming()
    client.send(get())
    if congested:
        client.producer.pauseProducing()
    source.give(b"hello")
    client.lose(ConnectionLost())
    assert source.closed
    assert not client.factory.connections


def test_a_source_that_goes_on_after_the_clients_going_away() -> None:
    ends = Deferred[None]()

    class Stubborn:
        def __aiter__(self) -> Stubborn:
            return self

        async def __anext__(self) -> bytes:
            try:
                await Deferred()
            except BaseException:
                await ends
            raise StopAsyncIteration

    client = Connection(lambda request: Response(200, Stubborn()))
    client.send(get())
    assert client.take() == CHUNKS
    client.lose(ConnectionLost())
    ends.callback(None)
    client.take()


@pytest.mark.parametrize(
    ("settings", "spoil", "error"),
    [
        ({}, lambda source: source.fail(RuntimeError("broken")), "broken"),
        ({"length": 9}, lambda source: source.give(None), "4 octets shorter"),
        ({"length": 5}, lambda source: source.give(b"!"), "1 octets longer"),
        ({}, lambda source: source.give("text"), "bytes"),
    ],
)
def test_content_that_is_not_whole_ends_in_an_abort(
    settings: dict[str, Any],
    spoil: Callable[[Source], None],
    error: str,
    logged: list[LogEvent],
) -> None:
    client, source = streaming(**settings)
    client.send(get())
    source.give(b"hello")
    spoil(source)
    assert client.transport.aborted
    assert error in str(takeFailure(logged))
    assert b"500" not in client.take()


def test_content_goes_both_ways_at_once() -> None:
    async def echo(request: Request) -> AsyncIterator[bytes]:
        async for piece in request.content:
            yield piece.upper()

    client = Connection(lambda request: Response(200, echo(request)))
    client.send(CHUNKED)
    client.send(b"3\r\nabc\r\n")
    assert client.take() == CHUNKS + b"3\r\nABC\r\n"
    client.send(b"3\r\ndef\r\n0\r\n\r\n" + get())
    assert client.take() == b"3\r\nDEF\r\n0\r\n\r\n" + CHUNKS + b"0\r\n\r\n"


def test_content_that_is_bad_while_it_is_answered() -> None:
    async def echo(request: Request) -> AsyncIterator[bytes]:
        async for piece in request.content:
            yield piece

    client = Connection(lambda request: Response(200, echo(request)))
    client.send(CHUNKED + b"3\r\nabc\r\n")
    client.send(b"x\r\n")
    assert client.take() == CHUNKS + b"3\r\nabc\r\n"
    assert client.transport.aborted


@pytest.mark.parametrize(("length", "kept"), [(6, True), (10**6, False)])
def test_content_that_is_left_over(length: int, kept: bool) -> None:
    client, source = streaming()
    client.send(post(b"a", length=length))
    source.give(None)
    assert client.take() == CHUNKS + b"0\r\n\r\n"
    client.send(b"bcdef" + get())
    assert client.take() == (CHUNKS + b"0\r\n\r\n" if kept else b"")
    assert client.transport.halfClosed is not kept


def test_a_slow_source_may_take_its_time() -> None:
    client, source = streaming()
    client.send(get())
    client.clock.pump([10] * 100)
    source.give(None)
    assert client.take() == CHUNKS + b"0\r\n\r\n"


@implementer(IBodyProducer)
class Producer:
    """
    A body producer that does what it is told to.
    """

    def __init__(self, length: int | str = UNKNOWN_LENGTH) -> None:
        self.length = length
        self.calls: list[str] = []
        self.done: Deferred[None] = Deferred()

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        self.consumer = consumer
        consumer.registerProducer(self, True)
        return self.done

    def finish(self) -> None:
        self.consumer.unregisterProducer()
        self.done.callback(None)

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")


def test_a_body_producer() -> None:
    producer = Producer()
    client = Connection(lambda request: Response(200, producer))
    client.send(get())
    producer.consumer.write(b"hello")
    client.producer.pauseProducing()
    client.producer.resumeProducing()
    producer.finish()
    client.producer.pauseProducing()
    assert producer.calls == ["pause", "resume"]
    assert client.take() == CHUNKS + b"5\r\nhello\r\n0\r\n\r\n"


def test_a_body_producer_that_writes_as_soon_as_it_may() -> None:
    """
    And is held up by that again, and the next request with it.
    """
    producers = [Producer(), Producer()]

    def resume() -> None:
        Producer.resumeProducing(producers[0])
        producers[0].consumer.write(b"more")

    left = list(producers)
    client = Connection(lambda request: Response(200, left.pop(0)))
    client.send(get() * 2)
    producers[0].resumeProducing = resume  # type: ignore[method-assign]
    client.transport.wrote = client.producer.pauseProducing
    producers[0].consumer.write(b"hello")
    client.producer.resumeProducing()
    assert producers[0].calls == ["pause", "resume", "pause"]
    producers[0].finish()
    assert len(client.requests) == 1
    client.transport.wrote = lambda: None
    client.producer.resumeProducing()
    assert len(client.requests) == 2


def test_a_body_producer_that_knows_its_length() -> None:
    producer = Producer(5)
    client = Connection(lambda request: Response(200, producer))
    client.send(get())
    producer.consumer.write(b"hello")
    producer.finish()
    assert client.take() == answer(b"hello")


def test_a_body_producer_is_stopped_when_the_client_goes_away() -> None:
    producer = Producer()
    client = Connection(lambda request: Response(200, producer))
    client.send(get())
    client.lose(ConnectionLost())
    assert producer.calls == ["stop"]


def test_a_body_producer_that_fails(logged: list[LogEvent]) -> None:
    producer = Producer()
    client = Connection(lambda request: Response(200, producer))
    client.send(get())
    producer.done.errback(RuntimeError("broken"))
    assert client.transport.aborted
    assert producer.calls == []
    assert str(takeFailure(logged)) == "broken"


def test_twisteds_own_body_producer() -> None:
    assert IBodyProducer.implementedBy(FileBodyProducer)


def test_the_end_of_what_a_client_sends_closes_the_source() -> None:
    """
    Less than all of an answer ends in an abort, which is told in every framing.
    """
    client, source = streaming()
    client.send(get())
    source.give(b"hello")
    client.end()
    assert source.closed
    assert client.transport.aborted


def test_a_source_that_waits_when_the_client_has_left() -> None:
    client, source = streaming()
    client.producer.pauseProducing()
    client.send(get())
    client.end()
    client.producer.resumeProducing()
    assert source.closed
    assert client.transport.aborted


def test_a_half_open_client_gets_all_of_a_source() -> None:
    source = Source()
    client = Connection(lambda request: Response(200, source.pieces()), allowHalfOpen=True)
    client.send(get())
    client.end()
    source.give(b"hello")
    source.give(None)
    assert client.take() == CHUNKS + b"5\r\nhello\r\n0\r\n\r\n"
    assert client.transport.disconnecting


def test_content_that_is_all_there_reaches_a_client_that_sends_no_more() -> None:
    """
    Nobody's work is wasted on it.
    """
    content = bytes(10**6)
    client = Connection(lambda request: Response(200, content))
    client.transport.wrote = client.producer.pauseProducing
    client.send(get())
    client.end()
    told = b""
    while not client.closing:
        told += client.take()
        client.producer.resumeProducing()
    assert told + client.take() == answer(content)
    assert not client.transport.aborted
