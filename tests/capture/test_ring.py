"""
The last of what was recorded, in memory.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from itertools import islice

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface.verify import verifyObject

from netkit.capture.capture import Capture
from netkit.capture.recorded import RecordedFactory
from netkit.capture.recorder import ISink, Recorder
from netkit.capture.ring import Ring
from netkit.echo import EchoFactory
from netkit.wire.recording import (
    Closed,
    Direction,
    End,
    Event,
    Octets,
    Opened,
    Role,
    Secured,
    Unrecorded,
)

RECEIVED, SENT = Direction


def opened(connection: int) -> Opened:
    return Opened(connection, 1, Role.SERVER, "echo", ("127.0.0.1", 5000), ("127.0.0.1", 80))


def octets(connection: int, data: bytes, direction: Direction = RECEIVED) -> Octets:
    return Octets(connection, 2, direction, data, len(data))


def closed(connection: int) -> Closed:
    return Closed(connection, 3, End.DONE)


def take(ring: Ring, *batches: Sequence[Event]) -> None:
    for batch in batches:
        ring.take(list(batch), 100)


def test_connections_are_found() -> None:
    ring = Ring()
    verifyObject(ISink, ring)
    take(
        ring,
        [opened(1), opened(2), octets(1, b"a"), octets(2, b"b")],
        [Secured(1, 2, "TLSv1.3"), octets(1, b"cc", SENT), closed(1)],
    )
    one, two = ring.connections[1], ring.connections[2]
    assert list(one.events) == [
        opened(1),
        octets(1, b"a"),
        Secured(1, 2, "TLSv1.3"),
        octets(1, b"cc", SENT),
        closed(1),
    ]
    assert one.opened == opened(1)
    assert one.secured == Secured(1, 2, "TLSv1.3")
    assert one.closed == closed(1)
    assert (one.lengths[RECEIVED], one.lengths[SENT]) == (1, 2)
    assert list(two.events) == [opened(2), octets(2, b"b")]
    assert two.closed is None
    assert (ring.taken, ring.octets, ring.used, ring.open) == (7, 4, 200, 1)


def test_the_oldest_makes_room_and_is_counted() -> None:
    ring = Ring(250)
    take(ring, [opened(1), octets(1, b"gone")], [octets(1, b"kept"), opened(2)])
    take(ring, [octets(1, b"new", SENT), closed(2)])
    one = ring.connections[1]
    assert one.opened == opened(1)
    assert (one.evicted, one.gone[RECEIVED], one.gone[SENT]) == (2, 4, 0)
    assert list(one.events) == [octets(1, b"kept"), octets(1, b"new", SENT)]
    assert (one.lengths[RECEIVED], one.lengths[SENT]) == (8, 3)
    assert (ring.evicted, ring.evictedOctets, ring.evictedConnections) == (2, 4, 0)
    take(ring, [opened(3)], [octets(3, b"x")])
    # The second is over, and nothing of it is left; the first is open.
    assert sorted(ring.connections) == [1, 3]
    assert not ring.connections[1].events
    assert (ring.evictedConnections, ring.open) == (1, 2)
    assert ring.used <= ring.limit
    assert (ring.taken, ring.octets) == (8, 12)


def test_more_than_the_ring_has() -> None:
    ring = Ring(50)
    take(ring, [opened(1), octets(1, b"abc"), closed(1)])
    assert not ring.connections
    assert (ring.used, ring.evicted, ring.evictedConnections) == (0, 3, 1)


def test_what_is_of_no_connection() -> None:
    ring = Ring()
    take(ring, [Unrecorded(1, 2, 3, 4), octets(9, b"of one that nobody saw begin")])
    assert not ring.connections
    assert ring.taken == 2


def test_a_cursor_goes_on() -> None:
    ring = Ring()
    take(ring, [opened(1), octets(1, b"a")])
    cursor = ring.cursor()
    assert list(islice(cursor.read(), 1)) == [opened(1)]
    assert cursor.behind == 1
    take(ring, [octets(1, b"b")])
    assert list(cursor.read()) == [octets(1, b"a"), octets(1, b"b")]
    assert list(cursor.read()) == []
    take(ring, [closed(1)])
    assert list(cursor.read()) == [closed(1)]
    assert (cursor.behind, cursor.skipped, cursor.position) == (0, 0, 4)


def test_a_cursor_counts_what_was_gone() -> None:
    ring = Ring(250)
    cursor = ring.cursor()
    take(ring, [opened(1), octets(1, b"a")], [octets(1, b"b")])
    reading = cursor.read()
    assert next(reading) == opened(1)
    # While it reads, too.
    take(ring, [octets(1, b"c")], [octets(1, b"d")])
    assert list(reading) == [octets(1, b"c"), octets(1, b"d")]
    assert (cursor.skipped, cursor.behind) == (2, 0)
    for letter in b"efgh":
        take(ring, [octets(1, bytes([letter]))])
    assert [event.data for event in cursor.read() if isinstance(event, Octets)] == [b"g", b"h"]
    assert cursor.skipped == 4
    assert ring.cursor().position == ring.evicted


def test_a_cursor_that_is_not_read_keeps_nothing() -> None:
    ring = Ring(1000)
    cursor = ring.cursor()
    take(ring, [opened(1)])

    def kept() -> int:
        return sum(type(each).__module__ == Ring.__module__ for each in gc.get_objects())

    take(ring, *([octets(1, b"x" * 100)] for _ in range(100)))
    before = kept()
    take(ring, *([octets(1, b"x" * 100)] for _ in range(100)))
    assert kept() == before
    seen = list(cursor.read())
    assert seen == [octets(1, b"x" * 100)] * len(seen)
    assert len(seen) + cursor.skipped == 201


def test_clear() -> None:
    ring = Ring()
    take(ring, [opened(1), closed(1), opened(2), octets(2, b"a")])
    cursor = ring.cursor()
    ring.clear()
    assert sorted(ring.connections) == [2]
    assert (ring.used, ring.evicted, ring.taken) == (0, 4, 4)
    take(ring, [octets(2, b"b")])
    assert list(cursor.read()) == [octets(2, b"b")]
    assert ring.connections[2].gone[RECEIVED] == 1


def test_whoever_watches_is_told() -> None:
    ring = Ring()
    told: list[int] = []
    ring.onEvents(lambda: told.append(ring.taken))
    take(ring, [opened(1)], [closed(1)])
    assert told == [1, 2]


def test_what_a_service_does_is_in_it() -> None:
    ring = Ring()
    recorder = Recorder([ring], Clock())
    factory = RecordedFactory(EchoFactory(clock=Clock()), recorder, "echo")
    protocol = factory.buildProtocol(None)
    protocol.makeConnection(StringTransport())
    protocol.dataReceived(b"hello")
    recorder.flush()
    (kept,) = ring.connections.values()
    said = [(event.direction, event.data) for event in kept.events if isinstance(event, Octets)]
    assert said == [(RECEIVED, b"hello"), (SENT, b"hello")]


def test_a_capture_has_one() -> None:
    clock = Clock()
    capture = Capture(clock, ring=Ring())
    recorder = capture.recorder()
    assert recorder is not None
    assert capture.ring is not None
    recorder.event(opened(1))
    clock.advance(0.02)
    assert sorted(capture.ring.connections) == [1]
    assert Capture(clock).recorder() is None
