"""
Tests for L{netkit.base.deadlines}.
"""

from __future__ import annotations

import gc
import weakref
from functools import partial

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from netkit.base.deadlines import Deadline, Deadlines, IdleTimer, Ticker


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def calls() -> list[float]:
    """
    When something was called.
    """
    return []


def test_a_deadline_passes_once(clock: Clock, calls: list[float]) -> None:
    deadline = Deadline(clock, lambda: calls.append(clock.seconds()))
    assert not deadline.pending
    deadline.start(5)
    assert deadline.pending
    clock.pump([4, 1, 9])
    assert calls == [5]
    assert not deadline.pending
    deadline.start(0)
    clock.advance(0)
    assert calls == [5, 14]


def test_many_have_one_timer(clock: Clock, calls: list[float]) -> None:
    deadlines = Deadlines(clock, 5)

    def stopped() -> None:
        raise AssertionError("it was stopped before")

    def late() -> None:
        calls.append(clock.seconds())
        deadlines.stop(stopped)
        # And once more.
        deadlines.start(again)

    def again() -> None:
        calls.append(-clock.seconds())

    deadlines.start(late)
    clock.advance(1)
    deadlines.start(late)
    for _ in range(3):
        deadlines.start(stopped)
    assert len(clock.getDelayedCalls()) == 1
    clock.pump([3, 1, 4, 1, 9])
    assert calls == [5, -10]
    assert not clock.getDelayedCalls()
    deadlines.start(stopped)
    deadlines.stop(stopped)
    deadlines.stop(stopped)
    assert not clock.getDelayedCalls()


def test_one_that_is_started_anew_has_its_whole_time(clock: Clock, calls: list[float]) -> None:
    deadlines = Deadlines(clock, 5)

    def second() -> None:
        calls.append(clock.seconds())

    def first() -> None:
        deadlines.stop(second)
        deadlines.start(second)

    deadlines.start(first)
    deadlines.start(second)
    clock.pump([5, 4, 1])
    assert calls == [10]


def test_each_of_many_is_called_when_it_is_due(clock: Clock, calls: list[float]) -> None:
    deadlines = Deadlines(clock, 8)

    def late(number: int) -> None:
        calls.append(clock.seconds() - number / 4)

    for number in range(100):
        # Binary fractions, so that there is nothing to round.
        clock.advance(number / 4 - clock.seconds())
        deadlines.start(partial(late, number))
    clock.pump([0.25] * 200)
    assert calls == [8] * 100
    assert not clock.getDelayedCalls()


def test_many_are_late_though_one_fails(
    clock: Clock, calls: list[float], logged: list[LogEvent]
) -> None:
    deadlines = Deadlines(clock, 5)
    failing = ValueError("late")

    def fail() -> None:
        raise failing

    deadlines.start(fail)
    deadlines.start(lambda: calls.append(clock.seconds()))
    clock.advance(5)
    assert logged.pop()["log_failure"].value is failing
    assert calls == [5]


def test_no_time_is_any_time(clock: Clock, calls: list[float]) -> None:
    Deadlines(clock, 0).start(lambda: calls.append(clock.seconds()))
    assert not clock.getDelayedCalls()


def test_a_deadline_that_ended_lets_go_of_what_it_would_call(clock: Clock) -> None:
    class Owner:
        def __init__(self) -> None:
            self.deadline = Deadline(clock, self.late)
            self.deadline.start(5)

        def late(self) -> None:
            raise AssertionError("it ended before")

    owner = Owner()
    watched = weakref.ref(owner)
    gc.collect()
    gc.disable()
    try:
        owner.deadline.end()
        clock.advance(9)
        del owner
        assert watched() is None
    finally:
        gc.enable()


def test_a_deadline_that_is_met(clock: Clock, calls: list[float]) -> None:
    deadline = Deadline(clock, lambda: calls.append(clock.seconds()))
    deadline.start(5)
    deadline.stop()
    deadline.stop()
    assert not deadline.pending
    assert not clock.getDelayedCalls()
    # A later one takes the place of an earlier one.
    deadline.start(5)
    deadline.start(9)
    clock.advance(8)
    assert calls == []
    clock.advance(1)
    assert calls == [9]


def test_a_deadline_that_is_started_as_it_passes(clock: Clock, calls: list[float]) -> None:
    def passed() -> None:
        calls.append(clock.seconds())
        deadline.start(3)

    deadline = Deadline(clock, passed)
    deadline.start(3)
    clock.pump([3, 3])
    assert calls == [3, 6]
    assert len(clock.getDelayedCalls()) == 1


def test_idleness(clock: Clock, calls: list[float]) -> None:
    """
    It is told once, and again only when something has moved since.
    """
    timer = IdleTimer(clock)
    timer.moved()
    timer.start(10, lambda: calls.append(clock.seconds()))
    clock.advance(9)
    timer.moved()
    clock.advance(9)
    assert calls == []
    clock.advance(1)
    assert calls == [19]
    clock.advance(99)
    assert calls == [19]
    timer.moved()
    clock.advance(10)
    assert calls == [19, 128]


def test_idleness_that_nobody_wants_to_know_of(clock: Clock, calls: list[float]) -> None:
    timer = IdleTimer(clock)
    timer.start(0, lambda: calls.append(clock.seconds()))
    timer.moved()
    assert not clock.getDelayedCalls()
    for _ in range(2):
        timer.start(10, lambda: calls.append(clock.seconds()))
        timer.stop()
        timer.moved()
    assert not clock.getDelayedCalls()
    assert calls == []


def test_ticks(clock: Clock, calls: list[float]) -> None:
    ticker = Ticker(clock, lambda: calls.append(clock.seconds()))
    ticker.stop()
    ticker.start(0)
    assert not clock.getDelayedCalls()
    ticker.start(5)
    clock.advance(3)
    # It ticks already.
    ticker.start(5)
    clock.pump([2, 5])
    assert calls == [5, 10]
    ticker.stop()
    assert not clock.getDelayedCalls()
    ticker.start(7)
    clock.advance(7)
    assert calls == [5, 10, 17]
