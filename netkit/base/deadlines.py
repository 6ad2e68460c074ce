"""
Time that runs out: for one thing, when nothing moved, and for many connections at an interval.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

_log = Logger()

#: For how many seconds a connection of which our half is closed is read from until the peer closes
#: its own: enough to read the answer over a slow link, too little to be worth an attack.
LINGER = 2.0


class Deadline:
    """
    Calls when a time is over, unless it is stopped before.
    """

    __slots__ = ("_call", "_clock", "_passed")

    def __init__(self, clock: IReactorTime, passed: Callable[[], object]) -> None:
        """
        @param clock: what tells the time.
        @param passed: called when the time is over.
        """
        self._clock = clock
        self._passed = passed
        self._call: IDelayedCall | None = None

    @property
    def pending(self) -> bool:
        """
        Whether the time runs.
        """
        return self._call is not None

    def start(self, seconds: float) -> None:
        """
        Let the time run, in place of any before.

        @param seconds: how long.
        """
        self.stop()
        self._call = self._clock.callLater(seconds, self._pass)

    def stop(self) -> None:
        """
        Call no more, if that was to come.
        """
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def end(self) -> None:
        """
        Call never again, and let go of what was to be called: whose deadline this is would be
        freed by nobody but the collector of cycles else, which takes longer than all of it.
        """
        self.stop()
        self._passed = _nothing

    def _pass(self) -> None:
        self._call = None
        self._passed()


def _nothing() -> None:
    """
    What is called in place of what was let go of.
    """


class Deadlines:
    """
    Calls when a time is over that is the same for many: one timer for all of them. So what a
    connection may take for its first step costs it the look at a clock.
    """

    __slots__ = ("_clock", "_due", "_seconds", "_timer")

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        """
        @param clock: what tells the time.
        @param seconds: how long each has; 0 for as long as it likes.
        """
        self._clock = clock
        self._seconds = seconds
        # The first one is due first, since all have the same time. Of a dict, to find it takes the
        # longer the more were before it.
        self._due: OrderedDict[Callable[[], object], float] = OrderedDict()
        self._timer = Deadline(clock, self._check)

    def start(self, passed: Callable[[], object]) -> None:
        """
        Let the time run for one more, unless it does.

        @param passed: called when the time is over.
        """
        if self._seconds and passed not in self._due:
            if not self._due:
                self._timer.start(self._seconds)
            self._due[passed] = self._clock.seconds() + self._seconds

    def stop(self, passed: Callable[[], object]) -> None:
        """
        Do not call one any more, if that was to come.

        @param passed: as in L{start}.
        """
        if self._due.pop(passed, None) is not None and not self._due:
            self._timer.stop()

    def _check(self) -> None:
        due = self._due
        now = self._clock.seconds()
        while due:
            passed = next(iter(due))
            if due[passed] > now:
                self._timer.start(due[passed] - now)
                break
            del due[passed]
            try:
                passed()
            except Exception:
                _log.failure("What was to be done when a time was over failed")


class IdleTimer:
    """
    Calls whenever nothing moved for a time: once, and again only when something moved since.
    Movement costs a look at the clock; the timer itself is set anew only when it runs out.
    """

    __slots__ = ("_clock", "_deadline", "_expired", "_last", "_running", "_seconds")

    def __init__(self, clock: IReactorTime) -> None:
        """
        @param clock: what tells the time.
        """
        self._clock = clock
        self._deadline = Deadline(clock, self._check)
        self._running = False
        self._seconds = 0.0
        self._expired: Callable[[], object] = _nothing
        self._last = 0.0

    def start(self, seconds: float, expired: Callable[[], object]) -> None:
        """
        Begin to wait, in place of any wait before.

        @param seconds: how long nothing may move; 0 to wait for nothing.
        @param expired: called when that is over.
        """
        self.stop()
        if seconds:
            self._seconds = seconds
            self._expired = expired
            self._begin()

    def stop(self) -> None:
        """
        Wait no longer.
        """
        self._running = False
        self._seconds = 0.0
        self._deadline.stop()

    def end(self) -> None:
        """
        Wait never again, and let go of what was to be called.
        """
        self.stop()
        self._deadline.end()
        self._expired = _nothing

    def moved(self) -> None:
        """
        Something moved.
        """
        if self._running:
            self._last = self._clock.seconds()
        elif self._seconds:
            self._begin()

    def _begin(self) -> None:
        self._running = True
        self._last = self._clock.seconds()
        self._deadline.start(self._seconds)

    def _check(self) -> None:
        left = self._last + self._seconds - self._clock.seconds()
        if left > 0:
            self._deadline.start(left)
        else:
            self._running = False
            self._expired()


class Ticker:
    """
    Calls at an interval while there is something to look after: one timer for any number of
    connections, that are counted in ticks.
    """

    __slots__ = ("_looping",)

    def __init__(self, clock: IReactorTime, tick: Callable[[], object]) -> None:
        """
        @param clock: what tells the time.
        @param tick: called at each interval.
        """
        self._looping = LoopingCall(tick)
        self._looping.clock = clock

    def start(self, seconds: float) -> None:
        """
        Tick, unless it does; for the first time when an interval is over.

        @param seconds: the interval; 0 for never.
        """
        if seconds and not self._looping.running:
            self._looping.start(seconds, now=False)

    def stop(self) -> None:
        """
        Tick no more.
        """
        if self._looping.running:
            self._looping.stop()
