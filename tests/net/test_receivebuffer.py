"""
Tests for L{netkit.net.receivebuffer}.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost

from netkit.net import IncompleteReadError, LimitExceededError
from netkit.net.receivebuffer import ReceiveBuffer
from tests.net.results import now

Read = Callable[[ReceiveBuffer], Deferred[bytes]]
Arrive = Callable[[ReceiveBuffer, Read, bytes], Deferred[bytes]]

# A read, what arrives for it, what it gives, and what it leaves.
CASES: dict[str, tuple[Read, bytes, bytes]] = {
    "all": (lambda buffer: buffer.everything(10), b"0123456789", b"0123456789"),
    "none": (lambda buffer: buffer.everything(10), b"", b""),
    "exactly": (lambda buffer: buffer.exactly(4), b"0123", b"0123"),
    "exactly nothing": (lambda buffer: buffer.exactly(0), b"", b""),
    "until": (lambda buffer: buffer.until(b"\n", 9), b"line\n", b"line\n"),
    "until two": (lambda buffer: buffer.until(b"\r\n", 9), b"\r\r\n", b"\r\r\n"),
    "until limit": (lambda buffer: buffer.until(b"\r\n", 5), b"123\r\n", b"123\r\n"),
}


@pytest.fixture(params=["whole", "byte by byte", "before"])
def arrive(request: pytest.FixtureRequest) -> Arrive:
    def arrive(buffer: ReceiveBuffer, read: Read, data: bytes) -> Deferred[bytes]:
        if request.param == "before":
            buffer.received(data)
            return read(buffer)
        reading = read(buffer)
        pieces = [data] if request.param == "whole" else [bytes([byte]) for byte in data]
        for piece in pieces:
            buffer.received(piece)
        return reading

    return arrive


@pytest.fixture
def ends() -> list[None]:
    return []


@pytest.fixture
def buffer(ends: list[None]) -> ReceiveBuffer:
    return ReceiveBuffer(lambda: ends.append(None))


@pytest.mark.parametrize(("read", "data", "expected"), CASES.values(), ids=list(CASES))
def test_read(
    buffer: ReceiveBuffer, arrive: Arrive, read: Read, data: bytes, expected: bytes
) -> None:
    reading = arrive(buffer, read, data)
    buffer.end()
    assert now(reading) == expected
    assert len(buffer) == 0


@pytest.mark.parametrize("case", ["exactly", "until", "until two", "until limit"])
def test_what_follows_is_left(buffer: ReceiveBuffer, arrive: Arrive, case: str) -> None:
    read, data, expected = CASES[case]
    assert now(arrive(buffer, read, data + b"rest")) == expected
    buffer.end()
    assert now(buffer.everything(10)) == b"rest"


def test_some_is_what_is_there(buffer: ReceiveBuffer) -> None:
    reading = buffer.some(4)
    assert buffer.awaited
    buffer.received(b"012")
    assert now(reading) == b"012"
    assert not buffer.awaited
    reading = buffer.some(4)
    buffer.received(b"0123456")
    assert now(reading) == b"0123"
    assert now(buffer.some(sys.maxsize)) == b"456"
    buffer.end()
    assert now(buffer.some(4)) == b""


@given(st.binary(), st.lists(st.integers(1, 9)), st.lists(st.integers(1, 9)))
def test_nothing_is_lost_or_added(data: bytes, arrivals: list[int], reads: list[int]) -> None:
    buffer = ReceiveBuffer(lambda: None)
    taken = bytearray()
    rest = data
    for index in range(max(len(arrivals), len(reads))):
        if index < len(reads) and not buffer.awaited:
            buffer.some(reads[index]).addCallback(taken.extend)
        if index < len(arrivals) and rest:
            buffer.received(rest[: arrivals[index]])
            rest = rest[arrivals[index] :]
    if rest:
        buffer.received(rest)
    buffer.end()
    taken += now(buffer.everything(len(data)))
    assert taken == data


def test_everything_is_limited(buffer: ReceiveBuffer, arrive: Arrive) -> None:
    reading = arrive(buffer, lambda buffer: buffer.everything(4), b"01234")
    with pytest.raises(LimitExceededError, match="more than 4 bytes") as caught:
        now(reading)
    assert caught.value.limit == 4
    # It is not lost.
    assert now(buffer.some(9)) == b"01234"


def test_until_is_limited(buffer: ReceiveBuffer, arrive: Arrive) -> None:
    reading = arrive(buffer, lambda buffer: buffer.until(b"\r\n", 4), b"012\r\n")
    with pytest.raises(LimitExceededError, match=r"no b'\\r\\n' within 4 bytes"):
        now(reading)
    assert now(buffer.some(9))[:3] == b"012"


@pytest.mark.parametrize(
    ("read", "awaited"),
    [
        (lambda buffer: buffer.exactly(9), "9 bytes awaited"),
        (lambda buffer: buffer.until(b"\n", 9), r"b'\\n' awaited"),
    ],
    ids=["exactly", "until"],
)
def test_the_end_in_the_middle(
    buffer: ReceiveBuffer, arrive: Arrive, read: Read, awaited: str
) -> None:
    reading = arrive(buffer, read, b"part")
    buffer.end()
    with pytest.raises(IncompleteReadError, match=awaited) as caught:
        now(reading)
    assert caught.value.partial == b"part"
    assert now(buffer.some(1)) == b""


@pytest.mark.parametrize(
    "read",
    [
        lambda buffer: buffer.everything(9),
        lambda buffer: buffer.exactly(9),
        lambda buffer: buffer.until(b"\n", 9),
    ],
    ids=["all", "exactly", "until"],
)
def test_a_loss_in_the_middle(buffer: ReceiveBuffer, arrive: Arrive, read: Read) -> None:
    """
    What had arrived can still be read, and then the loss is met.
    """
    reading = arrive(buffer, read, b"part")
    buffer.end(ConnectionLost("the endpoint"))
    with pytest.raises(ConnectionLost, match="the endpoint"):
        now(reading)
    assert now(buffer.exactly(2)) == b"pa"
    assert now(buffer.some(9)) == b"rt"
    with pytest.raises(ConnectionLost):
        now(buffer.some(9))


def test_the_end_is_seen_by_a_read(buffer: ReceiveBuffer, ends: list[None]) -> None:
    buffer.received(b"data")
    buffer.end()
    assert now(buffer.some(9)) == b"data"
    assert ends == []
    assert now(buffer.some(9)) == b""
    assert ends == [None]


def test_a_loss_is_no_end(buffer: ReceiveBuffer, ends: list[None]) -> None:
    reading = buffer.some(1)
    buffer.end(ConnectionLost())
    with pytest.raises(ConnectionLost):
        now(reading)
    assert ends == []


def test_the_first_end_counts(buffer: ReceiveBuffer) -> None:
    buffer.end()
    buffer.end(ConnectionLost())
    assert now(buffer.everything(1)) == b""


def test_one_read_at_a_time(buffer: ReceiveBuffer) -> None:
    reading = buffer.some(9)
    with pytest.raises(RuntimeError, match="still waiting"):
        now(buffer.exactly(1))
    buffer.received(b"data")
    assert now(reading) == b"data"


def test_a_cancelled_read_takes_nothing(buffer: ReceiveBuffer) -> None:
    for read in (lambda: buffer.some(9), lambda: buffer.exactly(1)):
        reading = read()
        reading.cancel()
        with pytest.raises(CancelledError):
            now(reading)
    buffer.received(b"data")
    assert now(buffer.some(9)) == b"data"


def test_a_reader_reads_on(buffer: ReceiveBuffer) -> None:
    """
    What a read's callback reads comes after what it got.
    """
    got: list[bytes] = []

    def first(data: bytes) -> None:
        got.append(data)
        buffer.exactly(2).addCallback(got.append)

    buffer.exactly(1).addCallback(first)
    buffer.received(b"012")
    assert got == [b"0", b"12"]


@pytest.mark.parametrize("ended", [False, True])
def test_drop(buffer: ReceiveBuffer, ended: bool) -> None:
    """
    Whatever the peer did before, there is no end to be read, which would make the rest look whole.
    """
    buffer.received(b"data")
    if ended:
        buffer.end()
    reading = None if ended else buffer.exactly(9)
    buffer.drop(LookupError("why"))
    buffer.end()
    for read in filter(None, (reading, buffer.everything(9), buffer.some(9))):
        with pytest.raises(LookupError, match="why"):
            now(read)
    assert len(buffer) == 0


def test_nothing_is_asked_for(buffer: ReceiveBuffer) -> None:
    assert now(buffer.some(0)) == b""
    buffer.received(b"data")
    assert now(buffer.some(0)) == b""
    assert now(buffer.some(9)) == b"data"
