"""
Tests for L{netkit.http.protocol}.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.logger import LogEvent

from netkit.http import Request, Response
from netkit.wire.errors import HTTPProtocolError
from netkit.wire.http import Limits

from .connected import CLOSE, Connection, answer, get, post, readAll

CHUNKED = get(b"/", b"Transfer-Encoding: chunked")


def takeFailure(logged: list[LogEvent]) -> Any:
    """
    Take the one failure that was logged out of the log.
    """
    [event] = [event for event in logged if event.get("log_failure") is not None]
    logged.remove(event)
    return event["log_failure"].value


def test_a_request_is_answered_and_the_connection_kept() -> None:
    client = Connection()
    client.send(get())
    assert client.take() == answer()
    client.send(get())
    assert client.take() == answer()
    assert not client.closing


def test_the_date_is_told() -> None:
    client = Connection()
    client.send(get())
    assert b"\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n" in client.transport.value()
    client.clock.advance(61.5)
    client.send(get())
    assert b"\r\ndate: Thu, 01 Jan 1970 00:01:01 GMT\r\n" in client.transport.value()
    client.lose()
    assert client.clock.getDelayedCalls() == []


def test_pipelined_requests_are_answered_in_order() -> None:
    client = Connection(lambda request: Response(200, request.target))
    client.send(b"".join(get(b"/%d" % number) for number in range(5)))
    assert client.take() == b"".join(answer(b"/%d" % number) for number in range(5))


def test_the_answers_to_pipelined_requests_leave_together() -> None:
    client = Connection()
    client.send(get() * 5 + get()[:5])
    assert client.transport.writes == [len(client.transport.value())]
    client.send(get()[5:])
    assert len(client.transport.writes) == 2
    assert client.take() == answer() * 6


def test_many_answers_do_not_wait_for_one_another() -> None:
    """
    What the client does not take is not made.
    """
    client = Connection(lambda request: Response(200, b"a" * 3_000))
    client.transport.wrote = client.producer.pauseProducing
    client.send(get() * 9)
    assert len(client.requests) == 3
    assert len(client.transport.writes) == 1
    client.producer.resumeProducing()
    assert len(client.requests) == 6


def test_an_answer_does_not_wait_for_one_that_takes_its_time() -> None:
    later = Deferred[Response]()
    answers: list[Response | Deferred[Response]] = [
        Response(200, b"hello"),
        later,
        Response(200, b"hello"),
    ]
    client = Connection(lambda request: answers.pop(0))
    client.send(get() * 3)
    assert client.take() == answer()
    later.callback(Response(200, b"later"))
    assert client.take() == answer(b"later") + answer()


def test_a_head_waits_for_answers_to_be_taken() -> None:
    """
    It is the client who keeps us waiting for them, so its time does not run.
    """
    client = Connection(headTimeout=10.0, idleTimeout=0)
    client.transport.wrote = client.producer.pauseProducing
    client.send(get() * 2 + get()[:5])
    client.clock.advance(11)
    assert client.take() == answer() * 2
    client.producer.resumeProducing()
    client.clock.advance(10)
    assert client.statuses() == [408]


def test_pipelined_requests_wait_for_the_answer_before() -> None:
    answers: list[Deferred[Response]] = []

    def handler(request: Request) -> Deferred[Response]:
        answers.append(Deferred())
        return answers[-1]

    client = Connection(handler)
    client.send(get() + get() + get())
    assert len(answers) == 1
    answers[0].callback(Response(200, b"1"))
    assert client.take() == answer(b"1")
    answers[1].callback(Response(200, b"2"))
    answers[2].callback(Response(200, b"3"))
    assert client.take() == answer(b"2") + answer(b"3")


def test_reading_goes_on_behind_a_request_but_not_for_ever() -> None:
    """
    Only so is it noticed that the client leaves.
    """
    answers: list[Deferred[Response]] = []

    def handler(request: Request) -> Deferred[Response]:
        answers.append(Deferred())
        return answers[-1]

    client = Connection(handler)
    client.send(get() + get(b"/" + b"a" * 8000) * 7)
    assert client.transport.producerState == "producing"
    client.send(get(b"/" + b"a" * 8000) * 3)
    assert client.transport.producerState == "paused"
    answers[0].callback(Response(200, b"hello"))
    assert client.transport.producerState == "paused"
    answers[1].callback(Response(200, b"hello"))
    assert client.transport.producerState == "producing"


@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_octets_may_come_in_any_pieces(size: int) -> None:
    client = Connection(readAll)
    octets = post(b"abc") + CHUNKED + b"3;x\r\ndef\r\n0\r\nX: y\r\n\r\n" + get()
    for at in range(0, len(octets), size):
        client.send(octets[at : at + size])
    assert client.take() == answer(b"abc") + answer(b"def") + answer(b"")
    assert client.requests[1].trailers.get(b"x") == b"y"


def test_what_a_handler_is_given() -> None:
    client = Connection()
    client.send(get(b"http://b/path/%20?query?", b"X: y"))
    [request] = client.requests
    assert (request.method, request.version) == (b"GET", (1, 1))
    assert request.target == b"http://b/path/%20?query?"
    assert (request.path, request.query) == (b"/path/%20", b"query?")
    assert request.headers.get(b"x") == b"y"
    assert request.rawHead == get(b"http://b/path/%20?query?", b"X: y")
    assert request.peer == client.transport.getPeer()
    assert "/path" in repr(request)


@pytest.mark.parametrize(
    ("line", "path", "query"),
    [
        (b"GET /", b"/", b""),
        (b"GET /a?b", b"/a", b"b"),
        (b"GET http://a", b"/", b""),
        (b"GET http://a?b/c", b"/", b"b/c"),
        (b"GET http://a/b?c", b"/b", b"c"),
        (b"OPTIONS *", b"*", b""),
        (b"CONNECT a:1", b"", b""),
    ],
)
def test_path_and_query(line: bytes, path: bytes, query: bytes) -> None:
    client = Connection(refusedMethods=frozenset())
    client.send(line + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    [request] = client.requests
    assert (request.path, request.query) == (path, query)


def test_content_is_iterated_as_it_arrives() -> None:
    pieces: list[bytes] = []

    async def handler(request: Request) -> Response:
        async for piece in request.content:
            pieces.append(piece)
        assert await request.read() == b""
        return Response(200, b"read")

    client = Connection(handler)
    client.send(post(b"a", length=6))
    assert pieces == [b"a"]
    client.send(b"bc")
    assert pieces == [b"a", b"bc"]
    client.send(b"def" + get())
    assert pieces == [b"a", b"bc", b"def"]
    assert client.take() == answer(b"read") * 2


def test_content_that_nobody_reads_is_not_taken() -> None:
    go = Deferred[None]()

    async def handler(request: Request) -> Response:
        await go
        return Response(200, await request.read())

    client = Connection(handler)
    client.send(post(b"a", length=10**5))
    assert client.transport.producerState == "producing"
    client.send(b"a" * (10**5 - 2))
    assert client.transport.producerState == "paused"
    go.callback(None)
    assert client.transport.producerState == "producing"
    client.send(b"a")
    assert client.take() == answer(b"a" * 10**5)


@pytest.mark.parametrize("behind", [b"", b"x", get()])
def test_content_that_is_there_is_read_without_waiting(behind: bytes) -> None:
    client = Connection(lambda request: Deferred[Response]())
    client.send(post(b"abc") + behind)
    [request] = client.requests
    reading = request.read()
    with pytest.raises(StopIteration) as result:
        reading.send(None)
    assert result.value.value == b"abc"
    assert request.complete


@pytest.mark.parametrize("rest", [b"bc", b""])
def test_the_rest_of_a_content_is_read_without_waiting(rest: bytes) -> None:
    go = Deferred[None]()

    async def handler(request: Request) -> Response:
        first = await anext(request.content)
        await go
        assert client.clock.getDelayedCalls()
        content = first + await request.read()
        # The time for it is over, too.
        assert not client.clock.getDelayedCalls()
        return Response(200, content)

    client = Connection(handler, contentTimeout=10.0, idleTimeout=0)
    client.send(post(b"", length=1 + len(rest)))
    client.send(b"a")
    client.send(rest)
    go.callback(None)
    assert client.take() == answer(b"a" + rest)


def test_reading_goes_on_behind_content_that_was_there() -> None:
    go = [Deferred[None](), Deferred[None]()]

    async def handler(request: Request) -> Response:
        await go[0]
        content = await request.read()
        await go[1]
        return Response(200, content)

    client = Connection(handler)
    client.send(post(b"a" * 10**5))
    assert client.transport.producerState == "paused"
    go[0].callback(None)
    assert client.transport.producerState == "producing"
    go[1].callback(None)
    assert client.take() == answer(b"a" * 10**5)


def test_only_one_can_wait_for_content() -> None:
    problems: list[str] = []

    async def handler(request: Request) -> Response:
        first = Deferred.fromCoroutine(request.content.read())
        with pytest.raises(RuntimeError) as problem:
            await request.read()
        problems.append(str(problem.value))
        return Response(200, await first)

    for octets in (post(b"a", length=2), CHUNKED + b"1\r\na\r\n"):
        client = Connection(handler)
        client.send(octets)
        assert problems.pop() == "another read of this content is still waiting"


def test_a_piece_that_is_waited_for_is_not_taken_by_another_read() -> None:
    async def handler(request: Request) -> Response:
        first = Deferred.fromCoroutine(anext(request.content))
        with pytest.raises(RuntimeError, match="still waiting"):
            await request.read()
        return Response(200, await first)

    client = Connection(handler)
    client.send(post(b"abc"))
    assert client.take() == answer(b"abc")


def test_read_has_a_limit() -> None:
    async def handler(request: Request) -> Response:
        return Response(200, await request.read(3))

    refusal = answer(
        b"the content is larger than 3 octets\n",
        CLOSE,
        b"content-type: text/plain; charset=utf-8",
        status=b"413 Content Too Large",
    )
    for octets in (post(b"abcd"), post(b"", length=10**6), CHUNKED + b"4\r\nabcd\r\n"):
        client = Connection(handler)
        client.send(octets)
        told = client.take().replace(b"Request Entity Too Large", b"Content Too Large")
        if octets.endswith(post(b"abcd")):
            # All of it is here, the connection can go on.
            assert told == refusal.replace(CLOSE + b"\r\n", b"")
            assert not client.closing
        else:
            assert told == refusal
            assert client.closing
    client = Connection(handler)
    client.send(post(b"abc"))
    assert client.take() == answer(b"abc")


def test_content_that_is_there_has_a_limit() -> None:
    """
    Whoever is not told of the length, as a wrapper may be, finds it out.
    """

    async def handler(request: Request) -> Response:
        with pytest.raises(HTTPProtocolError, match="larger than 3 octets"):
            await request.content.read(3)
        return Response(200, await request.content.read(3))

    client = Connection(handler)
    client.send(post(b"abcd") + post(b"abcd"))
    assert client.take() == answer(b"") * 2


def test_content_over_the_limit_of_a_read_is_dropped() -> None:
    async def handler(request: Request) -> Response:
        return Response(200, await request.read(3))

    client = Connection(handler)
    client.send(post(b"a", length=100))
    assert client.statuses() == [413]
    client.send(get() * 2)
    client.send(b"a" * 45 + get())
    assert client.take() == answer(b"")
    assert len(client.requests) == 2


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000, 414),
        (get(b"/", b"X: " + b"a" * 70000), 431),
        (get(b"/", b"Expect: foo"), 417),
        (get(b"/", b"Transfer-Encoding: gzip, chunked"), 501),
        (post(b"", length=10**10), 413),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ],
)
def test_a_refusal_is_an_answer_and_the_end(
    octets: bytes, status: int, logged: list[LogEvent]
) -> None:
    client = Connection()
    client.send(get() + octets)
    told = client.take()
    assert told.startswith(answer() + b"HTTP/1.1 %d " % status)
    assert b"\r\nconnection: close\r\n" in told
    assert b"\r\ncontent-length: " in told
    assert len(client.requests) == 1
    assert client.transport.halfClosed
    assert [event["status"] for event in logged if "status" in event] == [status]
    # What comes behind it is nothing.
    client.send(get())
    assert client.take() == b""
    client.end()
    assert client.transport.disconnecting
    client.lose()
    assert client.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    "octets", [b"HEAD / HTTP/1.1\r\n\r\n", post(b"", length=10**10).replace(b"POST", b"HEAD")]
)
def test_rfc9110_9_3_2_a_refusal_of_head_has_no_content(octets: bytes) -> None:
    client = Connection()
    client.send(octets)
    told = client.take()
    assert told.startswith(b"HTTP/1.1 4")
    assert told.endswith(b"\r\n\r\n")
    assert b"content-length: " in told


def test_the_method_of_the_request_before_does_not_matter() -> None:
    client = Connection()
    client.send(get().replace(b"GET", b"HEAD") + b"nonsense\r\n")
    assert client.take().endswith(b'\\r\\n"\n')


def test_nothing_is_left_of_a_refused_request(logged: list[LogEvent]) -> None:
    client = Connection()
    client.send(post(b"a", length=9).replace(b"POST", b"TRACE"))
    assert client.statuses() == [501]
    client.lose()
    assert not [event for event in logged if "was lost" in event["log_format"]]


def test_an_error_in_the_content_is_told_to_the_handler() -> None:
    errors = []

    async def handler(request: Request) -> Response:
        try:
            await request.read()
        except HTTPProtocolError as error:
            errors.append(error.status)
            raise
        return Response()

    client = Connection(handler)
    client.send(CHUNKED + b"3\r\nabc\r\n")
    client.send(b"x\r\n")
    assert errors == [400]
    assert client.statuses() == [400]
    assert client.transport.halfClosed


def test_a_handler_can_answer_an_error_in_the_content() -> None:
    async def handler(request: Request) -> Response:
        try:
            await request.read()
        except HTTPProtocolError:
            return Response(422)
        return Response()

    client = Connection(handler)
    client.send(CHUNKED + b"x\r\n")
    told = client.take()
    assert told.startswith(b"HTTP/1.1 422")
    assert CLOSE in told
    assert client.transport.halfClosed


def test_a_handler_that_reads_on_after_an_error() -> None:
    errors: list[HTTPProtocolError] = []

    async def handler(request: Request) -> Response:
        while len(errors) < 2:
            try:
                await request.read()
            except HTTPProtocolError as error:
                errors.append(error)
        return Response(422)

    client = Connection(handler)
    client.send(CHUNKED + b"x\r\n")
    assert str(errors[0]) == str(errors[1])
    assert client.statuses() == [422]


def test_a_handler_that_fails(logged: list[LogEvent]) -> None:
    def handler(request: Request) -> Response:
        raise RuntimeError("broken")

    client = Connection(handler)
    client.send(get())
    assert client.statuses() == [500]
    assert not client.closing
    assert str(takeFailure(logged)) == "broken"


def test_a_handler_that_fails_later(logged: list[LogEvent]) -> None:
    async def handler(request: Request) -> Response:
        await request.read()
        raise RuntimeError("broken")

    client = Connection(handler)
    client.send(post(b"a", length=2))
    client.send(b"b")
    assert client.statuses() == [500]
    assert str(takeFailure(logged)) == "broken"
    client.send(get())
    takeFailure(logged)


@pytest.mark.parametrize("later", [False, True])
def test_a_handler_that_answers_nonsense(later: bool, logged: list[LogEvent]) -> None:
    async def coroutine(request: Request) -> Any:
        return 5

    client = Connection(coroutine if later else lambda request: 5)  # type: ignore[arg-type,return-value]
    client.send(get())
    assert client.statuses() == [500]
    assert isinstance(takeFailure(logged), TypeError)


def test_the_clients_going_away_cancels_the_handler() -> None:
    cancelled: list[Deferred[Response]] = []
    client = Connection(lambda request: Deferred(cancelled.append))
    client.send(get())
    client.lose(ConnectionLost())
    assert len(cancelled) == 1
    assert client.take() == b""
    assert not client.factory.connections


def test_the_clients_going_away_ends_a_read() -> None:
    ends: list[BaseException] = []

    async def handler(request: Request) -> Response:
        try:
            await request.read()
        except ConnectionLost as error:
            ends.append(error)
            raise
        return Response()

    client = Connection(handler)
    client.send(post(b"a", length=2))
    client.lose(ConnectionLost())
    assert len(ends) == 1
    assert client.clock.getDelayedCalls() == []


def test_a_handler_that_fails_after_the_clients_going_away(logged: list[LogEvent]) -> None:
    async def handler(request: Request) -> Response:
        try:
            await request.read()
        finally:
            raise RuntimeError("broken")

    client = Connection(handler)
    client.send(post(b"a", length=2))
    client.lose(ConnectionLost())
    assert str(takeFailure(logged)) == "broken"


def test_a_handler_that_answers_after_the_clients_going_away() -> None:
    async def handler(request: Request) -> Response:
        try:
            return Response(200, await request.read())
        except ConnectionLost:
            return Response(400)

    client = Connection(handler)
    client.send(post(b"a", length=2))
    client.lose(ConnectionLost())
    assert client.take() == b""


def test_a_read_can_be_cancelled() -> None:
    async def handler(request: Request) -> Response:
        reading = Deferred.fromCoroutine(request.read())
        reading.addErrback(lambda failure: failure.trap(CancelledError))
        reading.cancel()
        return Response(200, await request.read())

    client = Connection(handler)
    client.send(post(b"a", length=2))
    client.send(b"b")
    assert client.take() == answer(b"ab")


def test_content_of_a_request_that_is_over() -> None:
    client = Connection()
    client.send(post(b"a", length=2))
    assert client.statuses() == [200]
    reading = Deferred.fromCoroutine(client.requests[0].read())
    failures: list[Any] = []
    reading.addErrback(failures.append)
    assert failures[0].check(ConnectionLost)


def test_a_request_that_is_over_gets_nothing_of_the_next_one() -> None:
    answers: list[Deferred[Response]] = []

    def handler(request: Request) -> Deferred[Response]:
        answers.append(Deferred())
        return answers[-1]

    client = Connection(handler)
    client.send(post(b"a") + post(b"b"))
    answers[0].callback(Response(200, b"hello"))
    over, next_ = client.requests
    failures: list[Any] = []
    Deferred.fromCoroutine(over.read()).addErrback(failures.append)
    assert failures[0].check(ConnectionLost)
    assert Deferred.fromCoroutine(next_.read()).result == b"b"


def test_an_early_answer_drops_content_that_is_short() -> None:
    client = Connection()
    client.send(post(b"a", length=5))
    assert client.take() == answer()
    client.send(b"bcde" + get(b"/2"))
    assert client.take() == answer()
    assert [request.target for request in client.requests] == [b"/", b"/2"]


def test_an_early_answer_drops_content_that_is_there() -> None:
    client = Connection()
    client.send(CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + get())
    assert client.take() == answer() * 2


@pytest.mark.parametrize(
    "octets", [post(b"a", length=10**6), CHUNKED + b"3\r\nabc\r\n", CHUNKED + b"x\r\n"]
)
def test_an_early_answer_closes_where_content_is_long(octets: bytes) -> None:
    """
    And what still comes of it is never taken for a request.
    """
    client = Connection()
    client.send(octets)
    assert client.take() == answer(b"hello", CLOSE)
    assert client.transport.halfClosed
    client.send(get())
    assert client.take() == b""
    assert len(client.requests) == 1


def test_an_error_in_content_that_is_dropped() -> None:
    client = Connection()
    client.send(post(b"a", length=5))
    assert client.statuses() == [200]
    client.end()
    assert client.take() == b""
    assert client.transport.disconnecting


def test_a_client_that_goes_away_while_content_is_dropped() -> None:
    client = Connection()
    client.send(post(b"a", length=5))
    client.lose(ConnectionLost())
    assert client.statuses() == [200]
    assert client.clock.getDelayedCalls() == []


def test_rfc9110_10_1_1_continue_is_sent_when_content_is_read() -> None:
    client = Connection(readAll)
    client.send(post(b"", b"Expect: 100-continue", length=3))
    assert client.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"abc")
    assert client.take() == answer(b"abc")


def test_rfc9110_10_1_1_continue_is_not_sent_when_content_is_there() -> None:
    client = Connection(readAll)
    client.send(post(b"abc", b"Expect: 100-continue"))
    assert client.take() == answer(b"abc")


def test_rfc9110_10_1_1_an_answer_instead_of_continue_closes() -> None:
    """
    Whether the client sends the content then, nobody can know.
    """
    client = Connection()
    client.send(post(b"", b"Expect: 100-continue", length=3))
    assert client.take() == answer(b"hello", CLOSE)
    assert client.transport.halfClosed


def test_rfc9110_9_3_2_head() -> None:
    client = Connection()
    client.send(get().replace(b"GET", b"HEAD") * 2)
    assert client.take() == answer(b"").replace(b"length: 0", b"length: 5") * 2


@pytest.mark.parametrize("status", [204, 304])
def test_rfc9110_8_6_no_content(status: int) -> None:
    client = Connection(lambda request: Response(status, b"hello", [(b"X", b"y")]))
    client.send(get() * 2)
    told = client.take()
    assert told.count(b"HTTP/1.1") == 2
    assert told.endswith(b"\r\nX: y\r\n\r\n")
    assert b"content-length" not in told


@pytest.mark.parametrize(
    ("octets", "line", "closes"),
    [
        (get(b"/", b"Connection: Close"), CLOSE, True),
        (get(version=b"1.0"), CLOSE, True),
        (get(b"/", b"Connection: Keep-Alive", version=b"1.0"), b"connection: keep-alive", False),
    ],
)
def test_rfc9112_9_3_persistence(octets: bytes, line: bytes, closes: bool) -> None:
    client = Connection()
    client.send(octets)
    assert client.take() == answer(b"hello", line)
    assert client.closing is closes


def test_rfc9112_9_6_nothing_is_answered_after_close() -> None:
    client = Connection()
    client.send(get(b"/", b"Connection: close") + get())
    assert client.take() == answer(b"hello", CLOSE)
    assert client.transport.halfClosed


def test_a_client_that_half_closes_gets_every_answer() -> None:
    answers: list[Deferred[Response]] = []

    def handler(request: Request) -> Deferred[Response]:
        answers.append(Deferred())
        return answers[-1]

    client = Connection(handler, allowHalfOpen=True)
    client.send(get() + get())
    client.end()
    answers[0].callback(Response(200, b"hello"))
    assert not client.closing
    answers[1].callback(Response(200, b"hello"))
    assert client.take() == answer() * 2
    assert client.transport.disconnecting
    assert client.transport.producer is None


@pytest.mark.parametrize("ahead", [b"", get(), get() * 1000, post(b"a" * 100)])
def test_the_end_of_what_a_client_sends_cancels_its_handler(ahead: bytes) -> None:
    """
    What it had asked for before is answered, what it asked ahead is not.
    """
    cancelled: list[Deferred[Response]] = []
    answers: list[Response | Deferred[Response]] = [
        Response(200, b"hello"),
        Deferred(cancelled.append),
    ]
    client = Connection(lambda request: answers.pop(0))
    client.send(get() * 2 + ahead)
    assert cancelled == []
    client.end()
    assert len(cancelled) == 1
    assert answers == []
    assert client.take() == answer()
    assert client.transport.disconnecting
    client.lose()
    assert client.clock.getDelayedCalls() == []


def test_a_handler_that_begins_to_wait_when_its_client_has_left() -> None:
    cancelled: list[Deferred[Response]] = []
    client = Connection(lambda request: Deferred(cancelled.append))
    client.producer.pauseProducing()
    client.send(get() * 2)
    client.end()
    client.producer.resumeProducing()
    assert len(cancelled) == 1
    assert client.transport.disconnecting


def test_a_handler_that_does_not_read_is_cancelled_too() -> None:
    cancelled: list[Deferred[Response]] = []
    client = Connection(lambda request: Deferred(cancelled.append))
    client.send(post(b"a" * 100, length=10**6))
    client.end()
    assert len(cancelled) == 1
    assert client.transport.disconnecting


def test_a_handler_that_waits_on_after_content_that_was_cut_short() -> None:
    cancelled: list[Deferred[None]] = []

    async def handler(request: Request) -> Response:
        try:
            await request.read()
        except HTTPProtocolError:
            await Deferred[None](cancelled.append)
        return Response()

    client = Connection(handler)
    client.send(post(b"a", length=2))
    client.end()
    assert len(cancelled) == 1
    assert client.take() == b""
    assert client.transport.disconnecting


def test_a_client_that_half_closes_between_requests() -> None:
    client = Connection()
    client.send(get())
    client.end()
    assert client.take() == answer()
    assert client.transport.disconnecting


@pytest.mark.parametrize("octets", [b"GET / HT", post(b"a", length=5)])
def test_a_client_that_half_closes_too_early(octets: bytes) -> None:
    client = Connection(readAll)
    client.send(octets)
    client.end()
    assert client.statuses() == [400]
    assert client.transport.disconnecting


def test_a_client_that_takes_no_answers_gets_no_more_of_them() -> None:
    client = Connection()
    client.producer.pauseProducing()
    client.send(get() * 3)
    assert client.requests == []
    client.send(get() * 3000)
    assert client.transport.producerState == "paused"
    client.producer.resumeProducing()
    assert client.take() == answer() * 3003
    assert client.transport.producerState == "producing"


def test_a_client_that_takes_no_answers_and_half_closes() -> None:
    client = Connection()
    client.producer.pauseProducing()
    client.send(get())
    client.end()
    assert not client.closing
    client.producer.resumeProducing()
    assert client.take() == answer()
    assert client.transport.disconnecting


def test_a_head_has_its_time() -> None:
    client = Connection(headTimeout=10.0, idleTimeout=0)
    client.clock.advance(100)
    client.send(b"G")
    for _ in range(9):
        client.clock.advance(1)
        client.send(b"E")
    assert client.take() == b""
    client.clock.advance(1)
    assert client.statuses() == [408]
    assert client.transport.halfClosed


def test_a_head_in_time_stops_the_clock() -> None:
    client = Connection(headTimeout=10.0, idleTimeout=0)
    for _ in range(3):
        client.send(get()[:9])
        client.clock.advance(9)
        client.send(get()[9:])
    assert client.take() == answer() * 3
    client.clock.advance(100)
    assert client.take() == b""


def test_content_has_its_time() -> None:
    client = Connection(readAll, contentTimeout=10.0, idleTimeout=0)
    client.send(post(b"", length=100))
    for _ in range(9):
        client.clock.advance(1)
        client.send(b"a")
    assert client.take() == b""
    client.clock.advance(1)
    assert client.statuses() == [408]
    assert client.transport.halfClosed


def test_content_that_is_dropped_has_its_time() -> None:
    client = Connection(contentTimeout=10.0, idleTimeout=0)
    client.send(post(b"", length=100))
    client.clock.advance(10)
    assert client.transport.aborted


def test_a_handler_that_does_not_read_may_take_its_time() -> None:
    go = [Deferred[None](), Deferred[None]()]

    async def handler(request: Request) -> Response:
        content = request.content
        await anext(content)
        await go[0]
        return Response(200, await request.read())

    client = Connection(handler, contentTimeout=10.0, idleTimeout=20.0)
    client.send(post(b"", length=3))
    client.clock.advance(9)
    client.send(b"a")
    for _ in range(100):
        client.clock.advance(1)
    assert client.take() == b""
    go[0].callback(None)
    client.clock.advance(9)
    client.send(b"bc")
    assert client.take() == answer(b"bc")


def test_an_idle_connection_is_ended() -> None:
    client = Connection(idleTimeout=8.0)
    client.send(get())
    for _ in range(12):
        client.clock.advance(1)
    assert client.transport.aborted
    assert client.statuses() == [200]


def test_content_that_stops_coming() -> None:
    client = Connection(readAll, idleTimeout=8.0)
    client.send(post(b"a", length=3))
    for _ in range(12):
        client.clock.advance(1)
    assert client.statuses() == [408]


def test_a_client_that_stops_taking_answers() -> None:
    client = Connection(idleTimeout=8.0)
    client.producer.pauseProducing()
    client.send(get())
    for _ in range(12):
        client.clock.advance(1)
    assert client.transport.aborted


def test_the_service_stops_between_requests() -> None:
    client = Connection()
    client.send(get())
    client.factory.closeConnections(5)
    assert client.transport.disconnecting
    client.lose()


def test_the_service_stops_during_a_request() -> None:
    waiting = Deferred[Response]()
    client = Connection(lambda request: waiting)
    client.send(get() * 2)
    client.factory.closeConnections(5)
    assert not client.closing
    waiting.callback(Response(200, b"hello"))
    assert client.take() == answer(b"hello", CLOSE)
    assert client.closing
    client.lose()


def test_the_limits_are_the_factorys() -> None:
    client = Connection(readAll, limits=Limits(content=5))
    client.send(post(b"abcde") + post(b"abcdef"))
    assert client.statuses() == [200, 413]


@pytest.mark.parametrize(
    "octets",
    [
        *(get().replace(b"GET", method) for method in (b"TRACE", b"CONNECT", b"G\xffT", b"G T")),
        *(get(target) for target in (b'/"', b"/\xe9", b"/%zz", b"http://u@a/", b"*")),
        *(get(version=version) for version in (b"1.10", b"2.0", b"1.1 ")),
        *(
            get(b"/", line)
            for line in (
                *(b"Host: c", b"X : y", b"X: \x00", b" X: y", b"\xff: y", b"X", b": y"),
                *(b"Expect: \xff", b"Content-Length: \xe9", b"Transfer-Encoding: \xe9"),
                *(b"Transfer-Encoding: gzip, chunked", b"Content-Length: " + b"9" * 99),
            )
        ),
        *(CHUNKED + chunk for chunk in (b"\xff\r\n", b"1\r\nab\r\n", b"0\r\nHost: \xff\r\n\r\n")),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n",
        b"GET /\n",
    ],
)
def test_what_a_client_is_told_is_no_python(octets: bytes) -> None:
    client = Connection(readAll)
    client.send(octets)
    [head, told] = client.take().split(b"\r\n\r\n")
    assert b"\r\ncontent-type: text/plain; charset=utf-8" in head
    assert told.endswith(b"\n")
    assert told.count(b"\n") == 1
    assert not re.search(rb"\bb['\"]|Error|object at", told)
    assert told.decode().rstrip("\n").isprintable()
