"""
Recorded events that go from one process to another.
"""

from __future__ import annotations

import os
import pickle
from struct import pack
from threading import Thread
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as globalReactor
from twisted.logger import LogEvent
from zope.interface import implementer
from zope.interface.verify import verifyObject

from netkit.capture.passing import EventReceiver, EventSender
from netkit.capture.recorder import EVENT, IPlainSink, ISink
from netkit.wire.recording import (
    Closed,
    Direction,
    Dropped,
    End,
    Event,
    HalfClosed,
    Note,
    Octets,
    Opened,
    PlainOctets,
    Role,
    Secured,
    Unrecorded,
)

reactor: Any = globalReactor

RECEIVED, SENT = Direction

OPENED = Opened(7, 1, Role.SERVER, "http", ("::1", 5000), "/run/x.sock")
PLAIN: PlainOctets = (7, 2, RECEIVED, b"GET /", 5)
EVENTS: list[Event | PlainOctets] = [
    OPENED,
    Secured(7, 1, "TLSv1.3", "http/1.1", "x"),
    PLAIN,
    (7, 2, SENT, b"cut", 300),
    Note(7, 3, "something"),
    HalfClosed(7, 4, RECEIVED),
    Dropped(7, 5, 1, 2),
    Unrecorded(6, 1, 2, 3),
    Closed(7, 8, End.RESET, "lost"),
]


@implementer(ISink)
class Sink:
    """
    Keeps what it takes.
    """

    full = False

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.size = 0

    def onDrain(self, call: Any) -> None: ...

    def take(self, events: list[Event], size: int) -> None:
        self.events += events
        self.size += size


class Passed:
    """
    A sender, and all that comes out of it, which nobody takes before L{end}.
    """

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        self.sender = EventSender(self._writing, reactor)
        verifyObject(IPlainSink, self.sender)
        self.sender.start()

    async def end(self) -> bytes:
        taken: list[bytes] = []

        def read() -> None:
            with open(self._reading, "rb") as file:
                taken.append(file.read())

        thread = Thread(target=read)
        thread.start()
        await self.sender.stop()
        os.close(self._writing)
        thread.join()
        return taken[0]


async def passed(events: list[Event | PlainOctets]) -> bytes:
    its = Passed()
    its.sender.take(events, 0)
    its.sender.take([Note(7, 9, "behind it")], 0)
    return await its.end()


def received(*pieces: bytes) -> tuple[Sink, EventReceiver]:
    sink = Sink()
    receiver = EventReceiver(ISink(sink))
    for piece in pieces:
        receiver.dataReceived(piece)
    return sink, receiver


@pytest_twisted.ensureDeferred
async def test_events_arrive_as_they_were() -> None:
    data = await passed(EVENTS)
    whole, _ = received(data)
    wanted = [Octets(*each) if isinstance(each, tuple) else each for each in EVENTS]
    assert whole.events == [*wanted, Note(7, 9, "behind it")]
    assert isinstance(whole.events[2], Octets)
    assert whole.events[2].direction is RECEIVED
    assert whole.size == 8 + 10 * EVENT
    single, _ = received(*(data[at : at + 1] for at in range(len(data))))
    assert (single.events, single.size) == (whole.events, whole.size)


@pytest_twisted.ensureDeferred
async def test_what_the_other_process_is_too_slow_for_is_left_out() -> None:
    """
    Nobody waits; it is told how much there was, and of all connections how they went.
    """
    its = Passed()
    piece = bytes(2**20)
    its.sender.take([OPENED], EVENT)
    for _ in range(30):
        event: PlainOctets = (7, 2, RECEIVED, piece, len(piece))
        its.sender.take([event], len(piece) + EVENT)
        assert not its.sender.full
    its.sender.take([Closed(7, 3, End.DONE)], EVENT)
    assert 0 < its.sender.dropped < 30 * 2**20
    sink, receiver = received(await its.end())
    receiver.ended()
    octets = [each for each in sink.events if isinstance(each, Octets)]
    dropped = [each for each in sink.events if isinstance(each, Dropped)]
    assert sum(each.received for each in dropped) == its.sender.dropped
    assert len(octets) * 2**20 + its.sender.dropped == 30 * 2**20
    assert sink.events[0] == OPENED
    assert sink.events[-1] == Closed(7, 3, End.DONE)


@pytest_twisted.ensureDeferred
async def test_what_a_process_had_open_ends_with_it() -> None:
    data = await passed([OPENED, PLAIN])
    more = await passed([Closed(7, 3, End.DONE)])
    sink, receiver = received(data, data[:-1])
    receiver.ended()
    lost = sink.events[-1]
    assert isinstance(lost, Closed)
    assert (lost.connection, lost.how) == (7, End.ABORTED)
    sink, receiver = received(data, more)
    before = list(sink.events)
    receiver.ended()
    assert sink.events == before


@pytest.mark.parametrize(
    "content", [pickle.dumps([os.system]), pickle.dumps([bytearray()]), b"none", b""]
)
def test_what_is_no_events_is_not_taken(content: bytes, logged: list[LogEvent]) -> None:
    sink, receiver = received(pack("!II", len(content), 1) + content)
    good = pickle.dumps([OPENED])
    receiver.dataReceived(pack("!II", len(good), 1) + good)
    receiver.ended()
    assert sink.events == []
    assert len(logged) == 1
