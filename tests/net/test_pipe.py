"""
Tests for pipes between sockets of L{netkit.net}.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from netkit import net
from tests.net.conftest import Connect
from tests.net.results import now
from tests.net.test_socket import Fake

CONTENT = os.urandom(2 * 10**6)


@pytest_twisted.ensureDeferred
async def test_both_ways_with_half_closes(connect: Connect) -> None:
    (left, client), (right, server) = await connect(), await connect()
    client.transport.write(b"early")
    piping = left.pipe(right)
    assert await server.receive(5) == b"early"
    client.transport.write(CONTENT)
    client.transport.loseWriteConnection()
    await server.ended
    assert server.received == b"early" + CONTENT
    server.transport.write(CONTENT[::-1])
    server.transport.loseWriteConnection()
    await client.ended
    assert client.received == CONTENT[::-1]
    assert await piping == net.Piped(there=len(CONTENT) + 5, back=len(CONTENT))
    for socket in (left, right):
        assert isinstance(await socket.closed, ConnectionDone)


@pytest_twisted.ensureDeferred
async def test_one_way(connect: Connect) -> None:
    (left, client), (right, server) = await connect(), await connect(allowHalfOpen=True)
    await right.write(b"head ")
    client.transport.write(b"data")
    client.transport.loseWriteConnection()
    assert await left.pipeTo(right, end=False) == 4
    await right.end(b" tail")
    await server.ended
    assert server.received == b"head data tail"
    server.transport.write(b"answer")
    assert await right.readExactly(6) == b"answer"


@pytest_twisted.ensureDeferred
async def test_one_way_to_the_end(connect: Connect) -> None:
    (left, client), (right, server) = await connect(), await connect()
    client.transport.loseWriteConnection()
    assert await left.pipeTo(right) == 0
    await server.ended


@pytest.mark.parametrize("who", [0, 1])
@pytest_twisted.ensureDeferred
async def test_a_connection_that_breaks_cuts_the_other(connect: Connect, who: int) -> None:
    ends = [await connect(), await connect()]
    piping = ends[0][0].pipe(ends[1][0])
    broken, other = ends[who], ends[1 - who]
    broken[0].destroy(ConnectionLost("the reason"))
    with pytest.raises(ConnectionLost, match="the reason"):
        await piping
    assert isinstance(await other[0].closed, ConnectionAborted)


@pytest_twisted.ensureDeferred
async def test_cancelling(connect: Connect) -> None:
    (left, client), (right, server) = await connect(), await connect()
    piping = left.pipe(right)
    client.transport.write(b"one")
    await server.receive(3)
    piping.cancel()
    with pytest.raises(CancelledError):
        await piping
    client.transport.write(b"two")
    assert await left.readExactly(3) == b"two"
    await right.write(b"three")
    assert await server.receive(8) == b"onethree"


def fakes(**options: Any) -> tuple[Fake, Fake]:
    return Fake(**options), Fake(**options)


def test_the_other_one_holds_it_up() -> None:
    left, right = fakes()
    left.socket.pipe(right.socket)
    right.transport.producer.pauseProducing()  # type: ignore[union-attr] # the socket's
    assert not left.reading
    left.protocol.dataReceived(b"data")
    assert right.transport.value() == b""
    assert right.socket.writableLength == 4
    right.transport.producer.resumeProducing()  # type: ignore[union-attr]
    assert right.transport.value() == b"data"
    assert left.reading


def test_one_that_is_held_up_at_the_begin() -> None:
    left, right = fakes()
    right.transport.producer.pauseProducing()  # type: ignore[union-attr]
    left.protocol.dataReceived(b"data")
    left.socket.pipeTo(right.socket)
    assert not left.reading
    assert right.socket.writableLength == 4


def test_nobody_else_reads_meanwhile() -> None:
    left, right = fakes()
    left.socket.pipeTo(right.socket)
    assert isinstance(
        now(left.socket.read().addErrback(lambda failure: failure.value)), RuntimeError
    )


def test_an_end_of_the_other_one_meanwhile() -> None:
    left, right = fakes()
    piping = left.socket.pipeTo(right.socket)
    right.socket.end()
    left.protocol.dataReceived(b"data")
    error = now(piping.addErrback(lambda failure: failure.value))
    assert isinstance(error, net.WriteAfterEndError)
    assert left.reading


@pytest.mark.parametrize("target", [None, "tcp:localhost:80"])
def test_what_is_no_socket(target: Any) -> None:
    socket = Fake().socket
    with pytest.raises(TypeError, match="Socket"):
        socket.pipe(target)
    with pytest.raises(TypeError, match="Socket"):
        socket.pipeTo(target)


def test_wrong_arguments() -> None:
    left, right = fakes()
    with pytest.raises(ValueError, match="itself"):
        left.socket.pipe(left.socket)
    with pytest.raises(TypeError, match="end"):
        left.socket.pipeTo(right.socket, end=1)  # type: ignore[arg-type]


@given(pieces=st.lists(st.tuples(st.booleans(), st.binary(min_size=1))), early=st.integers(0, 10))
def test_any_pieces_arrive_equal(pieces: list[tuple[bool, bytes]], early: int) -> None:
    left, right = fakes()
    sent = {True: b"", False: b""}
    for number, (fromLeft, data) in enumerate(pieces):
        if number == early:
            left.socket.pipe(right.socket)
        (left if fromLeft else right).protocol.dataReceived(data)
        sent[fromLeft] += data
    if len(pieces) <= early:
        left.socket.pipe(right.socket)
    assert right.transport.value() == sent[True]
    assert left.transport.value() == sent[False]


def test_the_other_one_is_lost_meanwhile() -> None:
    left, right = fakes()
    piping = left.socket.pipeTo(right.socket)
    right.protocol.connectionLost(Failure(ConnectionLost("the reason")))
    error = now(piping.addErrback(lambda failure: failure.value))
    assert isinstance(error, ConnectionLost)
    left.protocol.dataReceived(b"data")
    assert now(left.socket.read(4)) == b"data"
