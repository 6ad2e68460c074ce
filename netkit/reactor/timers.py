"""
Delayed calls: one heap, and one timer of uvloop's for the call that is next.

A timer of uvloop's for each call costs three times as much to set and cancel, which is what
happens to most of them: they are time-outs. The heap orders numbers, not calls, so that it is
kept without running any Python; nothing is ever searched in it.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from contextvars import Context
from heapq import heapify, heappop, heappush
from itertools import count
from math import ceil

from twisted.internet.base import DelayedCall
from twisted.logger import Logger

_log = Logger()

# Made once: a handler that is made for each call would cost more than the call.
_failures = _log.failureHandler("while handling timed call")

# So many dead entries are not worth a look at the heap.
_FEW = 50


class TimedCalls:
    """
    The delayed calls of one reactor.

    @ivar new: what was made or moved in this turn. It goes into the heap when the turn is over:
        what is cancelled before that never gets there.
    """

    def __init__(
        self, loop: AbstractEventLoop, context: Context, seconds: Callable[[], float]
    ) -> None:
        """
        @param loop: whose timers to use.
        @param context: in which the calls run.
        @param seconds: tells the time that the calls' C{time} is on.
        """
        self._loop = loop
        self._context = context
        self._seconds = seconds
        self._serial = count()
        self.new: list[DelayedCall] = []
        # When, in which order for the same time, what. An entry is dead when its call was made or
        # cancelled, or was moved to another time.
        self._heap: list[tuple[float, int, DelayedCall]] = []
        self._dead = 0
        self._timer: TimerHandle | None = None
        self._timerTime = 0.0

    def expectNew(self) -> None:
        """
        The first call of this turn is about to be appended to C{new}.
        """
        self._loop.call_soon(self.run, context=self._context)

    def cancelled(self, call: DelayedCall) -> None:
        """
        C{call} is not to run any more.
        """
        self._dead += 1

    def moved(self, call: DelayedCall) -> None:
        """
        C{call} is to run sooner than it was.
        """
        self._dead += 1
        if not self.new:
            self.expectNew()
        self.new.append(call)

    def pending(self) -> list[DelayedCall]:
        """
        The calls that were neither made nor cancelled.
        """
        calls = dict.fromkeys([call for _, _, call in self._heap] + self.new)
        return [call for call in calls if call.active()]

    def run(self) -> None:
        """
        Make the calls whose time has come, and see to it that the next one is not missed.
        """
        heap, serial = self._heap, self._serial
        new, self.new = self.new, []
        for call in new:
            if not call.cancelled:
                if call.delayed_time:
                    call.activate_delay()
                heappush(heap, (call.time, next(serial), call))
        now = self._seconds()
        while heap and heap[0][0] <= now:
            time, _, call = heappop(heap)
            if call.called or call.cancelled or call.time != time:
                self._dead -= 1
            elif call.delayed_time > 0:
                call.activate_delay()
                heappush(heap, (call.time, next(serial), call))
            else:
                _make(call)
        if self._dead > _FEW and self._dead > len(heap) // 2:
            self._dead = 0
            heap[:] = [entry for entry in heap if entry[2].active() and entry[2].time == entry[0]]
            heapify(heap)
        if heap:
            self._arm(heap[0][0])

    def _arm(self, time: float) -> None:
        if self._timer is not None:
            if self._timerTime <= time:
                return
            self._timer.cancel()
        self._timerTime = time
        # Whole milliseconds are what libuv counts; it may be up to one early.
        delay = max(1, ceil((time - self._seconds()) * 1000)) / 1000
        self._timer = self._loop.call_later(delay, self._timerFired, context=self._context)

    def _timerFired(self) -> None:
        self._timer = None
        self.run()


def _make(call: DelayedCall) -> None:
    # With C{DelayedCall.debug}, its repr tells where it was made.
    with (
        _failures
        if call.creator is None
        else _log.failuresHandled("while handling timed call {call!r}", call=call)
    ):
        call.called = 1
        call.func(*call.args, **call.kw)
