"""
The results of Deferreds, in tests that wait for nothing.
"""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


def now(deferred: Deferred[T]) -> T:
    """
    The result that a Deferred has; what it failed with is raised.
    """
    results: list[T | Failure] = []
    deferred.addBoth(results.append)
    assert results, "there is no result yet"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]
