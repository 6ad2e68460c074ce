"""
Idleness: when nothing moved for a time.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class IdleTimer:
    """
    Calls whenever nothing moved for a time: once, and again only when something moved since.
    Movement costs a look at the clock; the timer itself is set anew only when it runs out.
    """

    def __init__(self, clock: IReactorTime) -> None:
        """
        @param clock: what tells the time.
        """
        self._clock = clock
        self._seconds = 0.0
        self._expired: Callable[[], object] = lambda: None
        self._last = 0.0
        self._call: IDelayedCall | None = None

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
        self._seconds = 0.0
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def moved(self) -> None:
        """
        Something moved.
        """
        if self._call is not None:
            self._last = self._clock.seconds()
        elif self._seconds:
            self._begin()

    def _begin(self) -> None:
        self._last = self._clock.seconds()
        self._call = self._clock.callLater(self._seconds, self._check)

    def _check(self) -> None:
        self._call = None
        left = self._last + self._seconds - self._clock.seconds()
        if left > 0:
            self._call = self._clock.callLater(left, self._check)
        else:
            self._expired()
