"""
Tests for what all connections of an L{HTTPFactory} may keep in memory together.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.logger import LogEvent

from netkit.http import HTTPFactory, Request, Response

from .connected import CLOSE, Connection, answer, get, post, readAll

REASON = "the server keeps as much as it may for all its connections together: 1000 bytes"


def beside(other: Connection) -> Connection:
    """
    Make one more connection to the same factory.
    """
    return Connection(factory=other.factory)


def refusals(logged: list[LogEvent]) -> list[object]:
    return [event["reason"] for event in logged if event.get("status") == 503]


async def readLater(request: Request) -> Response:
    return Response(200, b"%d" % len(await request.read()))


@pytest.mark.parametrize("pieces", [1, 60])
def test_contents_read_into_memory(pieces: int, logged: list[LogEvent]) -> None:
    kept = Connection(readLater, maxBuffered=1000)
    greedy = beside(kept)
    kept.send(post(b"a" * 600, length=1000))
    greedy.send(post(b"", length=600))
    for _ in range(pieces):
        greedy.send(b"b" * (600 // pieces))
    assert greedy.statuses() == [503]
    assert refusals(logged) == [REASON]
    # What it kept is there for the one that lives.
    kept.send(b"a" * 400)
    assert kept.take() == answer(b"1000")


def test_contents_that_are_there_when_they_are_read(logged: list[LogEvent]) -> None:
    go = Deferred[None]()

    async def handler(request: Request) -> Response:
        content = await request.read()
        if len(content) == 600:
            await go
        return Response(200, b"%d" % len(content))

    kept = Connection(handler, maxBuffered=1000)
    greedy = beside(kept)
    kept.send(post(b"a" * 600))
    greedy.send(post(b"b" * 500))
    assert greedy.statuses() == [503]
    assert refusals(logged) == [REASON]
    # All of it was there: the connection goes on.
    greedy.send(post(b"b" * 400))
    assert greedy.take() == answer(b"400")
    go.callback(None)
    assert kept.take() == answer(b"600")
    greedy.send(post(b"b" * 1000))
    assert greedy.take() == answer(b"1000")


def test_a_head_that_is_not_complete(logged: list[LogEvent]) -> None:
    head = get(b"/" + b"a" * 700)
    kept = Connection(maxBuffered=1000)
    greedy = beside(kept)
    kept.send(head[:600])
    greedy.send(head[:600])
    assert greedy.statuses() == [503]
    assert greedy.transport.halfClosed
    assert refusals(logged) == [REASON]
    kept.send(head[600:])
    assert kept.take() == answer()


def test_requests_that_wait_for_the_answer_before(logged: list[LogEvent]) -> None:
    """
    The answer that is on its way comes still, and is the last.
    """
    answers: list[Deferred[Response]] = []

    def handler(request: Request) -> Deferred[Response]:
        answers.append(Deferred())
        return answers[-1]

    client = Connection(handler, maxBuffered=1000)
    client.send(get() * 100)
    client.send(get() * 100)
    assert refusals(logged) == [REASON]
    answers[0].callback(Response(200, b"hello"))
    assert client.take() == answer(b"hello", CLOSE)
    assert len(answers) == 1
    assert client.closing


def test_content_that_nobody_reads_yet(logged: list[LogEvent]) -> None:
    go = Deferred[None]()

    async def handler(request: Request) -> Response:
        await go
        return Response(200, await request.read())

    client = Connection(handler, maxBuffered=1000)
    client.send(post(b"a" * 2000))
    assert refusals(logged) == [REASON]
    go.callback(None)
    assert client.statuses() == [503]
    assert client.closing


def lose(client: Connection) -> None:
    client.lose(ConnectionLost())


def answered(client: Connection) -> None:
    client.send(b"a" * 200)


@pytest.mark.parametrize("end", [lose, answered])
def test_what_a_connection_kept_is_given_back(end: Callable[[Connection], None]) -> None:
    first = Connection(readAll, maxBuffered=1000)
    for _ in range(3):
        client = beside(first)
        client.send(post(b"a" * 800, length=1000))
        end(client)
        assert 503 not in client.statuses()


def test_what_waits_is_given_back_when_the_connection_is_lost() -> None:
    first = Connection(maxBuffered=1000)
    for _ in range(3):
        client = beside(first)
        client.send(get(b"/" + b"a" * 1000)[:800])
        assert client.take() == b""
        client.lose()


def test_the_budget_is_256_mib() -> None:
    assert HTTPFactory(readAll).budget.limit == 256 * 2**20
