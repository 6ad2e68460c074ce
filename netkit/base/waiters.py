"""
Any number of Deferreds that wait for the same thing.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from .failures import releaseFrames, untraced

T = TypeVar("T")


class Waiters(Generic[T]):
    """
    Those who wait. Each has a Deferred of its own; who cancels it stops to wait, and that is all.
    """

    def __init__(self) -> None:
        self._deferreds: list[Deferred[T]] = []

    def wait(self) -> Deferred[T]:
        """
        Begin to wait.
        """
        deferred: Deferred[T] = Deferred(self._forget)
        self._deferreds.append(deferred)
        return deferred

    def succeed(self, result: T) -> None:
        """
        Give all who wait a result. Who begins to wait meanwhile waits on.
        """
        for deferred in self._taken():
            if not deferred.called:
                deferred.callback(result)

    def fail(self, error: Exception) -> None:
        """
        Fail all who wait, each with an exception of its own.
        """
        for deferred in self._taken():
            if not deferred.called:
                failure = Failure(untraced(error))
                deferred.errback(failure)
                # Whoever waited may have caught it, and go on.
                releaseFrames(failure)

    def _taken(self) -> list[Deferred[T]]:
        deferreds, self._deferreds = self._deferreds, []
        return deferreds

    def _forget(self, deferred: Deferred[T]) -> None:
        if deferred in self._deferreds:
            self._deferreds.remove(deferred)
