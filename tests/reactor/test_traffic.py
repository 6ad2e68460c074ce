"""
The way of every byte: in C and in Python the same.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
import traceback
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

import pytest

from netkit.reactor.traffic import python
from netkit.reactor.traffic.states import FIRST, QUEUED, STRAIGHT, THROUGH_TLS
from tests.compiled import compiled

native = compiled("netkit.reactor.traffic")

# Far more than the kernel takes of a peer that does not read.
LARGE = bytes(range(256)) * 64 * 1024


class Uv:
    """
    uvloop's transport, where the kernel takes nothing.
    """

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


class Application:
    """
    Writes down what arrives, and who had the word then.
    """

    def __init__(self, floor: list[object]) -> None:
        self.floor = floor
        self.received: list[tuple[bytes, object]] = []

    def dataReceived(self, data: bytes) -> object:
        self.received.append((data, self.floor[0]))
        return "what nobody asked for"


class Reactor:
    def __init__(self) -> None:
        self.flushed: list[object] = []

    def _flushSoon(self, stream: object) -> None:
        self.flushed.append(stream)


Make = Callable[[], Any]


@pytest.fixture(params=["python", "native"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """
    A function that makes a connection, whose peer is C{theirs}; in one of the languages.
    """
    module: ModuleType = python
    if request.param == "native":
        if native is None:
            pytest.skip("it was not built in C: there was no compiler")
        module = native

    class Stream(module.Traffic):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            self.ours, self.theirs = socket.socketpair()
            self.ours.setblocking(False)
            self.theirs.setblocking(False)
            self._fileno = self.ours.fileno
            self._floor: list[object] = [None]
            self._uv = Uv()
            self._open = self._next = STRAIGHT
            self.protocol: Any = Application(self._floor)
            self.reactor = Reactor()
            self.errors: list[BaseException] = []
            self.others: list[object] = []

        def _raised(self, error: BaseException) -> None:
            self.errors.append(error)

        def _writeOther(self, data: object) -> None:
            self.others.append(data)

        @property
        def sent(self) -> bytes:
            """
            What left, by way of the kernel or of uvloop's transport.
            """
            try:
                arrived = self.theirs.recv(2 * len(LARGE))
            except BlockingIOError:
                arrived = b""
            return arrived + b"".join(self._uv.written)

    made: list[Stream] = []

    def makeOne() -> Stream:
        made.append(Stream())
        return made[-1]

    yield makeOne
    for stream in made:
        stream.ours.close()
        stream.theirs.close()


def test_handsOnWhatArrives(make: Make) -> None:
    stream = make()
    assert stream._received(b"one") is None
    stream._received(b"two")
    assert stream.protocol.received == [(b"one", stream), (b"two", stream)]
    assert stream._floor == [None]


def test_asksWhoTheProtocolIsEachTime(make: Make) -> None:
    stream = make()
    first, stream.protocol = stream.protocol, Application(stream._floor)
    stream._received(b"to the second")
    taken: list[bytes] = []
    stream.protocol.dataReceived = taken.append
    stream._received(b"to what was assigned")
    assert first.received == []
    assert stream.protocol.received == [(b"to the second", stream)]
    assert taken == [b"to what was assigned"]


def test_tellsWhatTheApplicationRaised(make: Make) -> None:
    def wrong(data: bytes) -> None:
        raise KeyboardInterrupt(data)

    stream = make()
    stream.protocol.dataReceived = wrong
    assert stream._received(b"data") is None
    [error] = stream.errors
    assert isinstance(error, KeyboardInterrupt)
    assert error.args == (b"data",)
    assert traceback.extract_tb(error.__traceback__)[-1].name == "wrong"
    assert stream._floor == [None]


def test_tellsOfAProtocolThatIsNone(make: Make) -> None:
    stream = make()
    stream.protocol = None
    stream._received(b"data")
    [error] = stream.errors
    assert isinstance(error, AttributeError)


def test_whatArrivedAllowsAWrite(make: Make) -> None:
    stream = make()
    stream._next = QUEUED
    stream._received(b"data")
    assert stream._next == STRAIGHT
    stream._open = QUEUED
    stream._received(b"data")
    assert stream._next == QUEUED


def test_writesOnceAndNoMore(make: Make) -> None:
    stream = make()
    assert stream._write(b"at once") is None
    assert stream._write(b"later") is None
    assert stream.sent == b"at once"
    assert stream.others == [b"later"]
    assert stream.reactor.flushed == []


def test_asksForTheTurnsEnd(make: Make) -> None:
    stream = make()
    stream._next = STRAIGHT | FIRST
    assert stream._write(b"at once") is None
    assert stream.sent == b"at once"
    assert stream._next == QUEUED
    assert stream.reactor.flushed == [stream]


@pytest.mark.parametrize("may", [QUEUED, THROUGH_TLS, THROUGH_TLS | FIRST])
def test_leavesWhatIsNotPlain(make: Make, may: int) -> None:
    stream = make()
    stream._next = may
    stream._write(b"data")
    assert stream.sent == b""
    assert stream.others == [b"data"]
    assert stream._next == may


@pytest.mark.parametrize("wrong", ["text", bytearray(b"bytes"), None, type("B", (bytes,), {})()])
def test_leavesWhatIsNotJustBytes(make: Make, wrong: object) -> None:
    stream = make()
    stream._write(wrong)
    assert stream.sent == b""
    assert stream.others == [wrong]


@pytest.mark.parametrize("size", [65536, 65537, len(LARGE)])
def test_losesNothingOfALargeWrite(make: Make, size: int) -> None:
    stream = make()
    stream._write(LARGE[:size])
    assert stream.sent == LARGE[:size]


def test_losesNothingWhereTheKernelIsFull(make: Make) -> None:
    stream = make()
    stream.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    expected = b""
    # What uvloop has to write comes after all that the kernel took.
    while not stream._uv.written:
        stream._next = STRAIGHT
        data = LARGE[len(expected) :][:5000]
        stream._write(data)
        expected += data
    assert stream.sent == expected


def test_writesToNoSocketOfSomebodyElse(make: Make) -> None:
    stream = make()
    stream._write(b"while it is open")
    stream._uv.written.clear()
    stream._next = STRAIGHT
    # As uvloop does when it closes one; the next one that is opened gets its number.
    number = stream.ours.detach()
    other, theirs = socket.socketpair()
    try:
        os.dup2(other.fileno(), number)
        theirs.setblocking(False)
        stream._write(b"data")
        assert stream._uv.written == [b"data"]
        with pytest.raises(BlockingIOError):
            theirs.recv(100)
    finally:
        os.close(number)
        other.close()
        theirs.close()


def test_leavesErrorsToUvloop(make: Make) -> None:
    stream = make()
    stream.theirs.close()
    stream._write(b"data")
    assert stream._uv.written == [b"data"]


def test_raisesWhatUvloopRaises(make: Make) -> None:
    stream = make()
    stream.ours.close()
    del stream._uv.written
    with pytest.raises(AttributeError, match="written"):
        stream._write(b"data")


@pytest.mark.parametrize("size", [1, 65536])
def test_inCItGoesPastUvloop(make: Make, size: int) -> None:
    stream = make()
    data = LARGE[:size]
    stream._write(data)
    assert stream._uv.written == ([data] if isinstance(stream, python.Traffic) else [])
    assert stream.sent == data


def test_countsItsReferences(make: Make) -> None:
    # To None as well: Python 3.11 ends when there are none left, whoever compiled this.
    stream = make()
    data = b"there is one copy of these octets"

    class Wrong(Exception):
        pass

    def wrong(data: bytes) -> None:
        raise Wrong

    # No descriptor, and no small number, of which references are not counted.
    number = int("1000000000")
    counted = [None, data, stream, stream.protocol, Wrong, wrong, number]
    before = [sys.getrefcount(each) for each in counted]
    for may in [STRAIGHT, STRAIGHT | FIRST, QUEUED] * 500:
        stream._received(data)
        stream._next = may
        stream._write(data)
    stream._fileno = lambda: number
    for _ in range(500):
        stream._next = STRAIGHT
        stream._write(data)
    stream.protocol.dataReceived = wrong
    for _ in range(500):
        stream._received(data)
    del stream.protocol.dataReceived
    for kept in stream.protocol.received, stream.reactor.flushed, stream._uv.written:
        kept.clear()
    for kept in stream.others, stream.errors:
        kept.clear()
    after = [sys.getrefcount(each) for each in counted]
    assert all(abs(now - then) < 100 for now, then in zip(after, before, strict=True))


def test_letsGoOfWhatItHas(make: Make) -> None:
    kind = type(make())
    before = sys.getrefcount(kind)
    for _ in range(200):
        stream = kind()
        stream.ours.close()
        stream.theirs.close()
    assert sys.getrefcount(kind) - before < 100
    stream._fileno = partial(int)
    had = [weakref.ref(each) for each in (stream, stream._uv, stream._fileno)]
    del stream
    assert [each() for each in had] == [None] * 3


def test_isCollected(make: Make) -> None:
    class Owned(type(make())):  # type: ignore[misc]
        pass

    stream = Owned()
    stream.ours.close()
    stream.theirs.close()
    # In each of its attributes, a way back to itself.
    stream._uv.stream = stream._floor[0] = stream
    stream._fileno = partial(id, stream)
    gone = [weakref.ref(each) for each in (stream, stream._uv, stream._fileno, Owned)]
    del stream, Owned
    gc.collect()
    assert [each() for each in gone] == [None] * 4
