"""
When the index goes on: while somebody looks, and only as much as leaves the services theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import monotonic, process_time
from typing import Any

from twisted.internet.defer import TimeoutError
from twisted.internet.interfaces import IDelayedCall

from ..base.waiters import Waiters
from .index import Index

#: How many seconds are between what is told to those who watch.
INTERVAL = 0.05

# The share of the time that is taken where there is none to spare, and of what there is.
_LEAST = 0.03
_OF_SPARE = 0.7

# For how many seconds at most in a row others have to wait, and how many events are looked at
# between two looks at the clock.
_SLICE = 0.004
_EVENTS = 10

# After how many seconds without events those who watch are told of the time all the same.
_HEARTBEAT = 1.0

# For how long somebody who asks waits for what is behind, in seconds.
_PATIENCE = 1.0


class SpareTime:
    """
    Tells how much time can be taken without anybody missing it: of that in which the reactor's
    thread has nothing to do.
    """

    def __init__(self) -> None:
        self._at = monotonic()
        self._used = _used()
        self._own = 0.0

    def allowance(self) -> float:
        """
        How many seconds may be taken until this is asked again.
        """
        now, used = monotonic(), _used()
        passed = min(now - self._at, 1.0)
        others = used - self._used - self._own
        self._at, self._used, self._own = now, used, 0.0
        return max(_LEAST * passed, _OF_SPARE * (passed - others))

    def took(self, seconds: float) -> None:
        """
        Say how much was taken.
        """
        self._own += seconds


def _used() -> float:
    """
    How many seconds this thread ran, or would have if it had been its turn.
    """
    try:
        with open("/proc/thread-self/schedstat", "rb", buffering=0) as file:
            ran, waited, _ = file.read(100).split()
    except (OSError, ValueError):
        # Elsewhere than on Linux: where other programs run beside, more seems to be left.
        return process_time()
    return (int(ran) + int(waited)) / 10**9


class Indexing:
    """
    Has the index go on, and tells those who watch of what has changed.

    @ivar index: the index.
    """

    def __init__(self, index: Index, reactor: Any, flush: Callable[[], None]) -> None:
        """
        @param index: the index.
        @param reactor: what calls.
        @param flush: has the ring take what is under way to it.
        """
        self.index = index
        self._reactor = reactor
        self._flush = flush
        self._spare = SpareTime()
        self._watchers: list[Callable[[float], None]] = []
        self._call: IDelayedCall | None = None
        # Whether that is for what there is to tell where nothing happens.
        self._idle = False
        self._next = 0.0
        self._left = 0.0
        self._current: Waiters[None] = Waiters()
        self._awaited = 0
        index.ring.onEvents(self.wake)

    def watch(self, call: Callable[[float], None]) -> None:
        """
        Have something called when there may be something to tell, with how many seconds it has.
        """
        self._watchers.append(call)
        self.wake()

    def leave(self, call: Callable[[float], None]) -> None:
        """
        Have it not called any more.
        """
        if call in self._watchers:
            self._watchers.remove(call)

    async def current(self) -> None:
        """
        Wait until the index is up with the ring, within reason.
        """
        self._flush()
        if not self.index.behind:
            return
        self._awaited += 1
        self.wake()
        try:
            with suppress(TimeoutError):
                await self._current.wait().addTimeout(_PATIENCE, self._reactor)
        finally:
            self._awaited -= 1

    def wake(self) -> None:
        """
        There is something to do, or to tell.
        """
        if self._idle and self._call is not None:
            self._call.cancel()
            self._call = None
        self._idle = False
        if self._call is None and (self._watchers or self._awaited):
            delay = 0.0 if self._awaited else max(0.0, self._next - monotonic())
            self._call = self._reactor.callLater(min(delay, INTERVAL), self._begin)

    def stop(self) -> None:
        """
        End.
        """
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
        self._watchers.clear()
        self._awaited = 0

    def _begin(self) -> None:
        self._idle = False
        self._next = monotonic() + INTERVAL
        # What is under way need not wait for its own time as well.
        self._flush()
        self._left = self._spare.allowance()
        self._goOn()

    def _goOn(self) -> None:
        self._call = None
        self._idle = False
        began = now = monotonic()
        share = min(self._left * 0.6 if self._watchers else self._left, _SLICE)
        more = True
        while more and now - began <= share:
            more = self.index.advance(_EVENTS)
            now = monotonic()
        took = now - began
        self._left -= took
        if more and self._left > took and self._left > 0.001:
            self._spare.took(took)
            self._call = self._reactor.callLater(0, self._goOn)
            return
        for call in list(self._watchers):
            call(max(self._left, 0.0))
        self._spare.took(monotonic() - began)
        if not more:
            self._current.succeed(None)
        if self._call is not None:
            return
        if more or self._awaited:
            self._call = self._reactor.callLater(max(0.0, self._next - monotonic()), self._begin)
        elif self._watchers:
            self._idle = True
            self._call = self._reactor.callLater(_HEARTBEAT, self._begin)
