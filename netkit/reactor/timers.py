"""
Delayed calls: a list for those that wait, a heap, and one timer of uvloop's for the call that is
next.

A timer of uvloop's for each call costs three times as much to set and cancel, which is what
happens to most of them: they are time-outs. So a call is put in order only when its time may have
come, and the heap orders numbers, not calls, so that it is kept without running any Python;
nothing is ever searched in it.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle
from bisect import insort
from collections.abc import Callable, Sequence
from contextvars import Context
from heapq import heapify, heappop, heappush
from itertools import count
from math import ceil, inf
from operator import attrgetter
from traceback import format_stack
from typing import Any

from twisted.internet.base import DelayedCall
from twisted.logger import Logger

_log = Logger()

# So many dead entries are not worth a look at all.
_FEW = 50

_time = attrgetter("time")


def _soonestLast(call: DelayedCall) -> float:
    return -call.time


class Call(DelayedCall):
    """
    A delayed call of Twisted's that takes less time to make: programs make one for each thing
    that they do.
    """

    def __init__(
        self,
        time: float,
        func: Callable[..., Any],
        args: Sequence[object],
        kw: dict[str, object],
        calls: TimedCalls,
        seconds: Callable[[], float],
    ) -> None:
        """
        @param time: when to make it, in the time of C{seconds}.
        @param func: what to call.
        @param args: its positional arguments.
        @param kw: its keyword arguments.
        @param calls: those of the reactor.
        @param seconds: tells the time.
        """
        self.time = time
        self.func = func
        self.args = args
        self.kw = kw
        self.canceller = calls.cancelled
        self.resetter = calls.moved
        self.seconds = seconds
        self.cancelled = self.called = 0
        self.delayed_time = 0.0
        if self.debug:
            self.creator = format_stack()[:-2]


class TimedCalls:
    """
    The delayed calls of one reactor.

    A call is in C{new} until the turn is over; then it waits, in no order, until the first of
    those that wait may be due; then it is in the heap. What is cancelled gets no further.

    @ivar new: what was made or moved in this turn.
    @ivar cancelled: to be called with a call that is not to run any more.
    @ivar moved: to be called with a call that is to run sooner than it was.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        context: Context,
        seconds: Callable[[], float],
        make: Callable[[], None],
    ) -> None:
        """
        @param loop: whose timers to use.
        @param context: in which the calls run.
        @param seconds: tells the time that the calls' C{time} is on.
        @param make: called when calls may be due, to call L{run}.
        """
        self._loop = loop
        self._context = context
        self._seconds = seconds
        self._make = make
        self.new: list[DelayedCall] = []
        self._waiting: list[DelayedCall] = []
        # None of those that wait is due before.
        self._earliest = inf
        # When, in which order for the same time, what. An entry is dead when its call was made or
        # cancelled, or was moved to another time.
        self._heap: list[tuple[float, int, DelayedCall]] = []
        self._serial = count()
        # What is to be made now, the first one last.
        self._due: list[DelayedCall] = []
        # What was cancelled or moved since somebody looked: counted so, it runs no Python.
        self._dead: list[DelayedCall] = []
        # Here, because a method would be made anew for each call.
        self.cancelled = self._dead.append
        self.moved = self._moved
        self._timer: TimerHandle | None = None
        self._timerTime = 0.0

    def expectNew(self) -> None:
        """
        The first call of this turn is about to be appended to C{new}.
        """
        self._loop.call_soon(self._make, context=self._context)

    def _moved(self, call: DelayedCall) -> None:
        self._dead.append(call)
        self._renew(call)

    def _renew(self, call: DelayedCall) -> None:
        if not self.new:
            self.expectNew()
        self.new.append(call)

    def pending(self) -> list[DelayedCall]:
        """
        The calls that were neither made nor cancelled.
        """
        ordered = [call for _, _, call in self._heap]
        calls = dict.fromkeys(self._due + ordered + self._waiting + self.new)
        return [call for call in calls if call.active()]

    def run(self) -> None:
        """
        Make the calls whose time has come, and see to it that the next one is not missed.
        """
        now = self._seconds()
        due, waiting = self._due, self._waiting
        if self._earliest <= now:
            self._order()
        heap = self._heap
        while heap and heap[0][0] <= now:
            time, _, call = heappop(heap)
            if call.time == time and not (call.called or call.cancelled):
                if call.delayed_time:
                    call.activate_delay()
                    heappush(heap, (call.time, next(self._serial), call))
                else:
                    due.append(call)
        # Most are made for this turn, or are cancelled in it: these are in no heap.
        new, self.new = self.new, []
        for call in new:
            if not call.cancelled:
                if call.delayed_time:
                    call.activate_delay()
                if call.time <= now:
                    due.append(call)
                else:
                    waiting.append(call)
                    if call.time < self._earliest:
                        self._earliest = call.time
        if due:
            self._makeDue(now)
        if len(self._dead) > max(_FEW, (len(heap) + len(waiting)) // 2):
            self._forget()
        time = min(self._earliest, heap[0][0]) if heap else self._earliest
        if time < inf:
            self._arm(time)

    def _order(self) -> None:
        """
        Put those that wait in order.
        """
        heap, serial = self._heap, self._serial
        for call in self._waiting:
            if not (call.called or call.cancelled):
                heappush(heap, (call.time, next(serial), call))
        self._waiting.clear()
        self._earliest = inf

    def _makeDue(self, now: float) -> None:
        """
        Make those that are due.

        @param now: what the others were due at.
        """
        due = self._due
        if len(due) > 1:
            due.sort(key=_time)
            due.reverse()
        while due:
            call = due.pop()
            # One that was moved may be here twice, and have been delayed meanwhile.
            if call.called or call.cancelled or call.time > now:
                continue
            if call.delayed_time:
                # By one that was made just now: it may be late all the same, and has its place.
                while due and due[-1] is call:
                    due.pop()
                call.activate_delay()
                if call.time <= now:
                    insort(due, call, key=_soonestLast)
                else:
                    self._renew(call)
                continue
            try:
                call.called = 1
                call.func(*call.args, **call.kw)
            except BaseException:
                if call.creator is None:
                    _log.failure("while handling timed call")
                else:
                    # Its repr tells where it was made.
                    _log.failure("while handling timed call {call!r}", call=call)

    def _forget(self) -> None:
        """
        Drop dead entries.
        """
        self._dead.clear()
        # One that was moved is there more than once.
        once = dict.fromkeys(self._waiting)
        self._waiting[:] = [call for call in once if not (call.called or call.cancelled)]
        self._earliest = min(map(_time, self._waiting), default=inf)
        self._heap[:] = [
            entry for entry in self._heap if entry[2].active() and entry[2].time == entry[0]
        ]
        heapify(self._heap)

    def _arm(self, time: float) -> None:
        now = self._seconds()
        if self._timer is not None:
            # One that should have fired is of the time before the clock was set.
            if now < self._timerTime <= time:
                return
            self._timer.cancel()
        self._timerTime = time
        # Whole milliseconds are what libuv counts; it may be up to one early.
        delay = max(1, ceil((time - now) * 1000)) / 1000
        self._timer = self._loop.call_later(delay, self._timerFired, context=self._context)

    def _timerFired(self) -> None:
        self._timer = None
        self._make()
