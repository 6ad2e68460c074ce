"""
Delayed calls.
"""

from __future__ import annotations

import sys
from asyncio import TimerHandle
from time import sleep
from typing import Any
from weakref import WeakSet

import pytest
from twisted.internet.base import DelayedCall
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.logger import LogEvent
from uvloop import Loop

from netkit.reactor import UvloopReactor
from tests.reactor.conftest import Run
from tests.reactor.peers import later
from tests.reactor.test_stream import failures


def test_runs_in_order(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        order: list[str] = []
        for delay in (0.03, 0.01, 0.02, 0.0, 0.01):
            reactor.callLater(delay, order.append, f"{delay}, {len(order)}")
        for number in range(3):
            reactor.callLater(0, order.append, f"at once {number}")
        assert order == []
        await later(reactor, 0.05)
        assert [entry.partition(",")[0] for entry in order] == [
            "0.0",
            "at once 0",
            "at once 1",
            "at once 2",
            "0.01",
            "0.01",
            "0.02",
            "0.03",
        ]

    run(scenario)


def test_late_calls_that_are_delayed_keep_their_place(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        made: list[str] = []
        reactor.callLater(0.001, lambda: delayed.delay(0.002))
        delayed = reactor.callLater(1, made.append, "delayed")
        await later(reactor)
        # So it is known twice.
        delayed.reset(0.002)
        reactor.callLater(0.003, made.append, "before it")
        reactor.callLater(0.005, made.append, "behind it")
        # All of them are late.
        sleep(0.02)
        await later(reactor, 0.05)
        assert made == ["before it", "delayed", "behind it"]

    run(scenario)


def test_a_late_call_that_is_known_twice_is_not_made_early(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        now = reactor.seconds()
        reactor.seconds = lambda: now
        made: list[str] = []
        delayed = reactor.callLater(1, made.append, "delayed")
        other = reactor.callLater(1, made.append, "other")
        await later(reactor)
        # For the same time, so that the one is between the other's two places.
        delayed.reset(0.5)
        other.reset(0.5)
        reactor.callLater(0.4, delayed.delay, 10)
        now += 1
        await later(reactor)
        assert made == ["other"]
        now += 10
        await later(reactor)
        assert made == ["other", "delayed"]

    run(scenario)


def test_keeps_the_order_of_many_that_are_moved_and_cancelled(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        made: list[DelayedCall] = []
        calls: list[DelayedCall] = []
        for turn in range(20):
            for number in range(40):
                call = reactor.callLater((turn * 7 + number * 11) % 30 / 500, lambda: None)
                call.func, call.args = made.append, (call,)
                calls.append(call)
            for number, waiting in enumerate(call for call in calls[::3] if call.active()):
                if number % 3 == 0:
                    waiting.reset(turn % 5 / 250)
                elif number % 3 == 1:
                    waiting.delay(turn % 5 / 250)
                else:
                    waiting.cancel()
            await later(reactor, turn % 3 / 500)
        await later(reactor, 0.2)
        # Each is an argument of itself: it has no end to be shown.
        assert not any(call.active() for call in calls)
        assert {*map(id, made)} == {id(call) for call in calls if not call.cancelled} != set()
        times = [call.time for call in made]
        assert times == sorted(times)

    run(scenario)


def test_is_never_early(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        for step in range(60):
            due = reactor.seconds() + step / 5000
            await later(reactor, step / 5000)
            assert reactor.seconds() >= due

    run(scenario)


def test_is_made_in_a_later_turn(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        turns: list[int] = []

        def again(turn: int) -> None:
            turns.append(turn)
            if turn:
                reactor.callLater(0, again, turn - 1)
                assert turns[-1] == turn

        reactor.callLater(0, again, 3)
        reactor.callLater(0, turns.append, -1)
        await later(reactor, 0.02)
        assert turns == [3, -1, 2, 1, 0]

    run(scenario)


def test_can_be_cancelled(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        called: list[str] = []
        atOnce = reactor.callLater(0, called.append, "at once")
        atOnce.cancel()
        soon = reactor.callLater(0.01, called.append, "soon")
        await later(reactor)
        soon.cancel()
        with pytest.raises(AlreadyCancelled):
            soon.cancel()
        # One that cancels the next in the same turn.
        reactor.callLater(0, lambda: other.cancel())
        other = reactor.callLater(0, called.append, "other")
        made = reactor.callLater(0, called.append, "made")
        await later(reactor, 0.02)
        with pytest.raises(AlreadyCalled):
            made.cancel()
        assert called == ["made"]

    run(scenario)


def test_can_be_moved(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        order: list[str] = []
        first = reactor.callLater(60, order.append, "sooner")
        second = reactor.callLater(0.01, order.append, "later")
        third = reactor.callLater(0.02, order.append, "in between")
        await later(reactor)
        first.reset(0.01)
        second.reset(0.04)
        third.delay(0.005)
        # Of one that is still of this turn.
        postponed = reactor.callLater(0, order.append, "last")
        postponed.reset(0.05)
        # While it waits for its turn in the batch.
        reactor.callLater(0, lambda: batch.reset(0.06))
        batch = reactor.callLater(0, order.append, "really last")
        await later(reactor, 0.1)
        assert order == ["sooner", "in between", "later", "last", "really last"]

    run(scenario)


def test_tells_what_is_pending(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        before = set(reactor.getDelayedCalls())
        new = reactor.callLater(10, lambda: None)
        assert set(reactor.getDelayedCalls()) - before == {new}
        await later(reactor)
        new.reset(5)
        assert reactor.getDelayedCalls().count(new) == 1
        new.cancel()
        assert set(reactor.getDelayedCalls()) == before

    run(scenario)


def test_tells_what_is_pending_in_its_own_turn(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        pending: list[set[object]] = []
        calls = [
            reactor.callLater(0, lambda: pending.append(set(reactor.getDelayedCalls())))
            for _ in range(3)
        ]
        await later(reactor)
        assert [seen.intersection(calls) for seen in pending] == [
            set(calls[1:]),
            set(calls[2:]),
            set(),
        ]

    run(scenario)


def test_does_not_keep_the_cancelled(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        kept: WeakSet[object] = WeakSet()
        for number in range(20):
            calls = [reactor.callLater(0.05 if number % 2 else 60, int) for _ in range(100)]
            kept.update(calls)
            await later(reactor, 0.002 * number)
            for call in calls:
                if call.active():
                    call.cancel()
        del calls, call
        await later(reactor)
        assert len(kept) < 300

    run(scenario)


def test_keeps_once_what_is_moved_often(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        call = reactor.callLater(60, int)
        for number in range(2000):
            call.reset(60 - number / 100)
            if number % 100 == 0:
                await later(reactor)
        await later(reactor)
        assert sys.getrefcount(call) < 300
        assert reactor.getDelayedCalls().count(call) == 1
        call.cancel()

    run(scenario)


def test_tells_the_time_of_the_reactor(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        seconds, passed = reactor.seconds, 0
        monkeypatch.setattr(reactor, "seconds", lambda: seconds() + passed)
        called: list[str] = []
        call = reactor.callLater(4, called.append, "four seconds later")
        assert call.seconds is reactor.seconds
        await later(reactor, 0.01)
        assert called == []
        passed = 5
        await later(reactor, 0.01)
        assert called == ["four seconds later"]

    run(scenario)


def test_logs_what_a_call_raises(
    run: Run, logged: list[LogEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    async def scenario(reactor: UvloopReactor) -> None:
        reactor.callLater(0, broken)
        await later(reactor, 0.01)
        monkeypatch.setattr(DelayedCall, "debug", True)
        reactor.callLater(0, broken)
        await later(reactor, 0.01)
        monkeypatch.setattr(DelayedCall, "debug", False)

    run(scenario)
    assert any("traceback at creation" in str(event.get("call")) for event in logged)
    assert failures(logged) == [ZeroDivisionError] * 2


def test_has_one_timer_of_the_loop(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    That of the call which is next; an earlier one takes its place.
    """

    async def scenario(reactor: UvloopReactor) -> None:
        timers: list[TimerHandle] = []
        loop: Any = reactor.eventloop

        def callLater(*args: Any, **kw: Any) -> TimerHandle:
            timers.append(Loop.call_later(loop, *args, **kw))
            return timers[-1]

        monkeypatch.setattr(loop, "call_later", callLater)
        calls = []
        for step in range(5):
            calls.append(reactor.callLater(10 - step, lambda: None))
            await later(reactor)
        now = loop.time()
        pending = [timer for timer in timers if not timer.cancelled() and timer.when() > now + 1]
        assert len(pending) == 1
        assert pending[0].when() < now + 9
        for call in calls:
            call.cancel()

    run(scenario)
