"""
Tests for L{netkit.capture.loss}.
"""

from __future__ import annotations

from netkit.capture.loss import Loss
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
    Role,
    Unrecorded,
)


def opened(number: int) -> Opened:
    return Opened(number, number * 10, Role.SERVER, "test", ("192.0.2.1", 1), ("192.0.2.2", 2))


def closed(number: int) -> Closed:
    return Closed(number, number * 10 + 5, End.DONE)


def received(number: int, length: int) -> Octets:
    return Octets(number, number * 10 + 1, Direction.RECEIVED, b"x", length)


def sent(number: int, length: int) -> Octets:
    return Octets(number, number * 10 + 2, Direction.SENT, b"x", length)


def test_octets_are_counted_and_all_else_is_kept() -> None:
    loss = Loss()
    assert not loss
    half = HalfClosed(1, 14, Direction.RECEIVED)
    note = Note(2, 21, "refused")
    assert loss.add([opened(1), received(1, 100), sent(1, 7), half]) == 107
    assert loss.add([note, received(2, 1), closed(1), received(1, 3)]) == 4
    assert loss
    assert loss.octets == 111
    assert loss.events(99) == [
        opened(1),
        half,
        note,
        Dropped(1, 15, 103, 7),
        closed(1),
        # It is open still.
        Dropped(2, 99, 1, 0),
    ]


def test_the_order_is_that_in_which_it_happened_whatever_the_clock_says() -> None:
    loss = Loss()
    events: list[Event] = [opened(5), opened(3), closed(5), closed(3)]
    loss.add(events)
    assert loss.events(0) == events


def test_what_was_left_out_is_left_out_again() -> None:
    first, second = Loss(most=1), Loss()
    first.add([opened(1), received(1, 100), closed(1), opened(2), sent(2, 7)])
    assert second.add(first.events(50)) == 107
    assert second.events(60) == [opened(2), Dropped(2, 60, 0, 7), Unrecorded(60, 1, 100, 0)]


def test_of_a_storm_of_connections_the_latest_are_kept() -> None:
    loss = Loss(most=10)
    # It was open before, and is said to be over.
    loss.add([closed(1000)])
    for number in range(1, 101):
        loss.add([opened(number), received(number, 2), Note(number, 1, "said"), closed(number)])
    loss.add([opened(101)])
    events = loss.events(5000)
    assert events[0] == closed(1000)
    assert len(events) <= 14
    assert [event for event in events if isinstance(event, Opened)] == [
        opened(number) for number in (99, 100, 101)
    ]
    assert events[-1] == Unrecorded(5000, 98, 196, 0)
    assert loss.octets == 200
    assert loss.forgotten == 98


def test_notes_have_a_bound() -> None:
    loss = Loss(most=10)
    loss.add([opened(1)])
    for _ in range(100):
        loss.add([Note(1, 1, "said")])
    loss.add([closed(1)])
    assert len(loss.events(1)) <= 11
