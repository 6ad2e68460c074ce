"""
Tests for L{netkit.net.sendbuffer}.
"""

from __future__ import annotations

from typing import cast

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ISSLTransport, ITCPTransport
from twisted.internet.testing import StringTransport
from zope.interface import alsoProvides

from netkit.net import WriteAfterEndError
from netkit.net.sendbuffer import SendBuffer
from tests.narrow import present
from tests.net.results import now

CLOSED = WriteAfterEndError("closed")


class Transport(StringTransport):
    """
    Takes so many bytes, and then asks its producer to pause, as Twisted's do.
    """

    room = 2**16
    halfClosing = False

    def write(self, data: bytes) -> None:
        super().write(data)
        if len(self.value()) > self.room and self.producer is not None:
            self.producer.pauseProducing()

    def flush(self) -> bytes:
        """
        Send what was written, and ask for more.
        """
        data: bytes = self.value()
        self.clear()
        if self.producer is not None:
            self.producer.resumeProducing()
        return data

    def loseWriteConnection(self) -> None:
        self.halfClosing = True


@pytest.fixture
def transport() -> Transport:
    transport = Transport()
    alsoProvides(transport, ITCPTransport)
    return transport


@pytest.fixture
def moves() -> list[None]:
    return []


@pytest.fixture
def buffer(transport: Transport, moves: list[None]) -> SendBuffer:
    return SendBuffer(cast(ITCPTransport, transport), 10, lambda: moves.append(None), lambda: None)


def pending(deferred: Deferred[None]) -> bool:
    return not deferred.called


def test_write(buffer: SendBuffer, transport: Transport, moves: list[None]) -> None:
    for data in (b"bytes", bytearray(b"bytearray"), memoryview(b"memoryview"), b""):
        now(buffer.write(data))
    assert transport.value() == b"bytesbytearraymemoryview"
    assert buffer.accepted == 24
    assert moves


def test_a_bytearray_may_change(buffer: SendBuffer, transport: Transport) -> None:
    transport.room = 0
    data = bytearray(b"data")
    buffer.write(b"first")
    buffer.write(data)
    data[:] = b"else"
    assert transport.flush() + transport.flush() == b"firstdata"


def test_a_full_transport_makes_writers_wait(buffer: SendBuffer, transport: Transport) -> None:
    """
    As soon as more than the high-water mark waits, and until all of that is taken.
    """
    transport.room = 3
    now(buffer.write(b"0123"))
    now(buffer.write(b"x" * 10))
    late = [buffer.write(b"y"), buffer.write(b"z")]
    assert all(map(pending, late))
    assert transport.flush() == b"0123"
    # The first of what waited has filled the transport again.
    assert all(map(pending, late))
    assert transport.flush() == b"x" * 10
    assert transport.flush() == b"yz"
    for deferred in late:
        now(deferred)


def test_a_long_write_is_seen_to_move(
    buffer: SendBuffer, transport: Transport, moves: list[None]
) -> None:
    data = bytes(range(256)) * 2048
    writing = buffer.write(data)
    sent = bytearray()
    while pending(writing):
        moves.clear()
        sent += transport.flush()
        assert moves
    sent += transport.flush()
    assert sent == data


def test_who_stops_waiting_leaves_the_data(buffer: SendBuffer, transport: Transport) -> None:
    transport.room = 0
    buffer.write(b"first")
    writing = buffer.write(b"second" * 10)
    writing.cancel()
    with pytest.raises(CancelledError):
        now(writing)
    assert transport.flush() + transport.flush() == b"first" + b"second" * 10


def test_end_comes_after_what_was_written(buffer: SendBuffer, transport: Transport) -> None:
    transport.room = 0
    buffer.write(b"first")
    ending = buffer.end(b"last", CLOSED)
    assert not transport.halfClosing
    assert transport.flush() == b"first"
    assert transport.value() == b"last"
    # The transport half-closes once it has sent that, which it would not with a producer.
    assert transport.halfClosing
    assert transport.producer is None
    assert pending(ending)
    buffer.halfClosed()
    now(ending)
    assert buffer.closed


def test_end_again(buffer: SendBuffer) -> None:
    endings = [buffer.end(b"", CLOSED), buffer.end(b"", CLOSED)]
    with pytest.raises(WriteAfterEndError):
        now(buffer.end(b"more", CLOSED))
    buffer.halfClosed()
    for ending in [*endings, buffer.end(b"", CLOSED)]:
        now(ending)


def test_write_after_end(buffer: SendBuffer) -> None:
    buffer.end(b"", CLOSED)
    with pytest.raises(WriteAfterEndError):
        now(buffer.write(b"data"))


def test_a_writer_that_ends(buffer: SendBuffer, transport: Transport) -> None:
    """
    What waited for room may close this half at once.
    """
    transport.room = 0
    buffer.write(b"first")
    buffer.write(b"second" * 10).addCallback(lambda _: buffer.end(b"", CLOSED))
    transport.flush()
    assert transport.halfClosing


def test_a_writer_that_writes_on_and_ends(buffer: SendBuffer, transport: Transport) -> None:
    """
    What it writes then is sent before the end, however much it is, and it waits for room again.
    """
    transport.room = 0
    waiting: list[Deferred[None]] = []

    def writeOn(result: None) -> None:
        waiting.append(buffer.write(b"third" * 10))
        waiting.append(buffer.end(b"", CLOSED))

    buffer.write(b"first")
    buffer.write(b"second" * 10).addCallback(writeOn)
    assert transport.flush() == b"first"
    assert transport.value() == b"second" * 10
    assert all(map(pending, waiting))
    assert not transport.halfClosing
    assert transport.flush() + transport.value() == b"second" * 10 + b"third" * 10
    assert transport.halfClosing


def test_a_transport_without_halves(transport: Transport) -> None:
    alsoProvides(transport, ISSLTransport)
    buffer = SendBuffer(cast(ITCPTransport, transport), 10, lambda: None, lambda: None)
    ending = buffer.end(b"data", CLOSED)
    assert transport.disconnecting
    assert not transport.halfClosing
    buffer.lost(ConnectionDone(), True)
    now(ending)


@pytest.mark.parametrize("clean", [True, False])
def test_lost_while_something_waits(buffer: SendBuffer, transport: Transport, clean: bool) -> None:
    transport.room = 0
    buffer.write(b"first")
    waiting = [buffer.write(b"x" * 99), buffer.end(b"", CLOSED)]
    buffer.lost(ConnectionLost("the endpoint"), clean)
    for deferred in [*waiting, buffer.write(b"data"), buffer.end(b"", CLOSED)]:
        with pytest.raises(ConnectionLost, match="the endpoint"):
            now(deferred)


def test_a_lost_transport_stops_its_producer(buffer: SendBuffer, transport: Transport) -> None:
    present(transport.producer).stopProducing()
    now(buffer.write(b"data"))
    buffer.lost(ConnectionLost(), False)
    with pytest.raises(ConnectionLost):
        now(buffer.write(b"data"))
