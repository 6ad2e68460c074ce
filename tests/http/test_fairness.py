"""
An HTTP client that sends much at once is not served before all others.
"""

from __future__ import annotations

import pytest

from netkit.http import Request, Response

from ..turns import turn
from .connected import Connection, answer, get

CHUNKED = get(b"/", b"Transfer-Encoding: chunked")


def slow(seconds: float = 0.001) -> Connection:
    """
    A connection to a handler that takes so many seconds for each request.
    """

    def handler(request: Request) -> Response:
        client.clock.rightNow += seconds
        return Response(200, request.target)

    client = Connection(handler)
    return client


def requests(*numbers: int) -> bytes:
    return b"".join(get(b"/%d" % number) for number in numbers)


def answers(*numbers: int) -> bytes:
    return b"".join(answer(b"/%d" % number) for number in numbers)


def test_requests_that_take_long_go_on_in_later_turns() -> None:
    client = slow()
    client.send(requests(*range(100)))
    turns = 0
    while len(client.requests) < 100 and turns < 100:
        before = len(client.requests)
        turn(client.clock)
        assert before < len(client.requests) <= before + 16
        turns += 1
    assert 5 < turns < 100
    assert client.take() == answers(*range(100))
    assert client.clock.rightNow < 0.2


def test_many_short_requests_go_on_in_later_turns() -> None:
    client = slow(0.0001)
    client.send(requests(*range(100)))
    assert len(client.requests) <= 16
    for _ in range(20):
        turn(client.clock)
    assert client.take() == answers(*range(100))


def test_content_that_takes_long_goes_on_in_later_turns() -> None:
    pieces: list[bytes] = []

    async def handler(request: Request) -> Response:
        async for piece in request.content:
            client.clock.rightNow += 0.001
            pieces.append(piece)
        return Response(200, b"read")

    client = Connection(handler)
    client.send(CHUNKED + b"1\r\nx\r\n" * 20_000)
    # So much is left that it is not read from meanwhile.
    assert client.transport.producerState == "paused"
    before = len(pieces)
    turn(client.clock)
    assert before < len(pieces) <= before + 16
    client.send(b"0\r\n\r\n")
    turns = 0
    while client.transport.value() == b"" and turns < 20_000:
        turn(client.clock)
        turns += 1
    assert client.take() == answer(b"read")
    assert b"".join(pieces) == b"x" * 20_000
    assert client.transport.producerState == "producing"


def test_what_arrives_meanwhile_is_answered_in_order() -> None:
    client = slow()
    client.send(requests(*range(20)))
    client.send(requests(*range(20, 40)))
    assert len(client.requests) <= 16
    client.end()
    for _ in range(20):
        turn(client.clock)
    assert client.take() == answers(*range(40))
    assert client.closing


@pytest.mark.parametrize("gone", ["lost", "stopping"])
def test_nothing_is_handled_after_the_end(gone: str) -> None:
    client = slow()
    client.send(requests(*range(100)))
    if gone == "lost":
        client.lose()
    else:
        client.protocol.serviceStopping()
    handled = len(client.requests)
    turn(client.clock)
    assert len(client.requests) - handled <= 1
