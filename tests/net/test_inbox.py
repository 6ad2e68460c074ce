"""
Tests for L{netkit.net.inbox}.
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
from netkit.net.inbox import Inbox
from tests.net.results import now

Read = Callable[[Inbox], Deferred[bytes]]
Arrive = Callable[[Inbox, Read, bytes], Deferred[bytes]]

# A read, what arrives for it, what it gives, and what it leaves.
CASES: dict[str, tuple[Read, bytes, bytes]] = {
    "all": (lambda inbox: inbox.everything(10), b"0123456789", b"0123456789"),
    "none": (lambda inbox: inbox.everything(10), b"", b""),
    "exactly": (lambda inbox: inbox.exactly(4), b"0123", b"0123"),
    "exactly nothing": (lambda inbox: inbox.exactly(0), b"", b""),
    "until": (lambda inbox: inbox.until(b"\n", 9), b"line\n", b"line\n"),
    "until two": (lambda inbox: inbox.until(b"\r\n", 9), b"\r\r\n", b"\r\r\n"),
    "until limit": (lambda inbox: inbox.until(b"\r\n", 5), b"123\r\n", b"123\r\n"),
}


@pytest.fixture(params=["whole", "byte by byte", "before"])
def arrive(request: pytest.FixtureRequest) -> Arrive:
    def arrive(inbox: Inbox, read: Read, data: bytes) -> Deferred[bytes]:
        if request.param == "before":
            inbox.received(data)
            return read(inbox)
        reading = read(inbox)
        pieces = [data] if request.param == "whole" else [bytes([byte]) for byte in data]
        for piece in pieces:
            inbox.received(piece)
        return reading

    return arrive


@pytest.fixture
def ends() -> list[None]:
    return []


@pytest.fixture
def inbox(ends: list[None]) -> Inbox:
    return Inbox(lambda: ends.append(None))


@pytest.mark.parametrize(("read", "data", "expected"), CASES.values(), ids=list(CASES))
def test_read(inbox: Inbox, arrive: Arrive, read: Read, data: bytes, expected: bytes) -> None:
    reading = arrive(inbox, read, data)
    inbox.end()
    assert now(reading) == expected
    assert len(inbox) == 0


@pytest.mark.parametrize("case", ["exactly", "until", "until two", "until limit"])
def test_what_follows_is_left(inbox: Inbox, arrive: Arrive, case: str) -> None:
    read, data, expected = CASES[case]
    assert now(arrive(inbox, read, data + b"rest")) == expected
    inbox.end()
    assert now(inbox.everything(10)) == b"rest"


def test_some_is_what_is_there(inbox: Inbox) -> None:
    reading = inbox.some(4)
    assert inbox.awaited
    inbox.received(b"012")
    assert now(reading) == b"012"
    assert not inbox.awaited
    reading = inbox.some(4)
    inbox.received(b"0123456")
    assert now(reading) == b"0123"
    assert now(inbox.some(sys.maxsize)) == b"456"
    inbox.end()
    assert now(inbox.some(4)) == b""


@given(st.binary(), st.lists(st.integers(1, 9)), st.lists(st.integers(1, 9)))
def test_nothing_is_lost_or_added(data: bytes, arrivals: list[int], reads: list[int]) -> None:
    inbox = Inbox(lambda: None)
    taken = bytearray()
    rest = data
    for index in range(max(len(arrivals), len(reads))):
        if index < len(reads) and not inbox.awaited:
            inbox.some(reads[index]).addCallback(taken.extend)
        if index < len(arrivals) and rest:
            inbox.received(rest[: arrivals[index]])
            rest = rest[arrivals[index] :]
    if rest:
        inbox.received(rest)
    inbox.end()
    taken += now(inbox.everything(len(data)))
    assert taken == data


def test_everything_is_limited(inbox: Inbox, arrive: Arrive) -> None:
    reading = arrive(inbox, lambda inbox: inbox.everything(4), b"01234")
    with pytest.raises(LimitExceededError, match="more than 4 bytes") as caught:
        now(reading)
    assert caught.value.limit == 4
    # It is not lost.
    assert now(inbox.some(9)) == b"01234"


def test_until_is_limited(inbox: Inbox, arrive: Arrive) -> None:
    reading = arrive(inbox, lambda inbox: inbox.until(b"\r\n", 4), b"012\r\n")
    with pytest.raises(LimitExceededError, match=r"no b'\\r\\n' within 4 bytes"):
        now(reading)
    assert now(inbox.some(9))[:3] == b"012"


@pytest.mark.parametrize(
    ("read", "awaited"),
    [
        (lambda inbox: inbox.exactly(9), "9 bytes awaited"),
        (lambda inbox: inbox.until(b"\n", 9), r"b'\\n' awaited"),
    ],
    ids=["exactly", "until"],
)
def test_the_end_in_the_middle(inbox: Inbox, arrive: Arrive, read: Read, awaited: str) -> None:
    reading = arrive(inbox, read, b"part")
    inbox.end()
    with pytest.raises(IncompleteReadError, match=awaited) as caught:
        now(reading)
    assert caught.value.partial == b"part"
    assert now(inbox.some(1)) == b""


@pytest.mark.parametrize(
    "read",
    [
        lambda inbox: inbox.everything(9),
        lambda inbox: inbox.exactly(9),
        lambda inbox: inbox.until(b"\n", 9),
    ],
    ids=["all", "exactly", "until"],
)
def test_a_loss_in_the_middle(inbox: Inbox, arrive: Arrive, read: Read) -> None:
    """
    What had arrived can still be read, and then the loss is met.
    """
    reading = arrive(inbox, read, b"part")
    inbox.end(ConnectionLost("the endpoint"))
    with pytest.raises(ConnectionLost, match="the endpoint"):
        now(reading)
    assert now(inbox.exactly(2)) == b"pa"
    assert now(inbox.some(9)) == b"rt"
    with pytest.raises(ConnectionLost):
        now(inbox.some(9))


def test_the_end_is_seen_by_a_read(inbox: Inbox, ends: list[None]) -> None:
    inbox.received(b"data")
    inbox.end()
    assert now(inbox.some(9)) == b"data"
    assert ends == []
    assert now(inbox.some(9)) == b""
    assert ends == [None]


def test_a_loss_is_no_end(inbox: Inbox, ends: list[None]) -> None:
    reading = inbox.some(1)
    inbox.end(ConnectionLost())
    with pytest.raises(ConnectionLost):
        now(reading)
    assert ends == []


def test_the_first_end_counts(inbox: Inbox) -> None:
    inbox.end()
    inbox.end(ConnectionLost())
    assert now(inbox.everything(1)) == b""


def test_one_read_at_a_time(inbox: Inbox) -> None:
    reading = inbox.some(9)
    with pytest.raises(RuntimeError, match="still waiting"):
        now(inbox.exactly(1))
    inbox.received(b"data")
    assert now(reading) == b"data"


def test_a_cancelled_read_takes_nothing(inbox: Inbox) -> None:
    for read in (lambda: inbox.some(9), lambda: inbox.exactly(1)):
        reading = read()
        reading.cancel()
        with pytest.raises(CancelledError):
            now(reading)
    inbox.received(b"data")
    assert now(inbox.some(9)) == b"data"


def test_a_reader_reads_on(inbox: Inbox) -> None:
    """
    What a read's callback reads comes after what it got.
    """
    got: list[bytes] = []

    def first(data: bytes) -> None:
        got.append(data)
        inbox.exactly(2).addCallback(got.append)

    inbox.exactly(1).addCallback(first)
    inbox.received(b"012")
    assert got == [b"0", b"12"]


def test_clear(inbox: Inbox) -> None:
    inbox.received(b"data")
    inbox.clear()
    inbox.end()
    assert now(inbox.everything(9)) == b""
