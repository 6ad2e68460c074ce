"""
What is done for each exchange when it is over, in Python.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

# So many bounds a histogram can have, and names a table of counts.
_MOST = 32


class Tally:
    """
    Exchanges, counted.
    """

    __slots__ = ("_bounds", "_buckets", "_counts", "_methods", "_seconds")

    def __init__(self, methods: tuple[bytes, ...], bounds: tuple[float, ...], /) -> None:
        """
        @param methods: those that are counted by their names.
        @param bounds: of how long exchanges take, in seconds.
        @raise ValueError: these are too many.
        """
        if len(methods) > _MOST or len(bounds) > _MOST:
            raise ValueError(f"there are at most {_MOST} methods, and bounds")
        self._methods = frozenset(methods)
        self._bounds = bounds
        self._counts: dict[tuple[bytes | None, int], int] = {}
        self._buckets = [0] * (len(bounds) + 1)
        self._seconds = 0.0

    def count(
        self,
        head: Any,
        status: int,
        octets: int,
        seconds: float,
        ended: float,
        transport: Any,
        /,
    ) -> None:
        """
        Count one: the values of an L{Exchange <netkit.http.Exchange>}.

        @raise ValueError: the status does not have three digits.
        """
        if not 0 <= status <= 999:
            raise ValueError(f"a status has three digits, not {status!r}")
        method = None
        if head is not None and head.method in self._methods:
            method = head.method
        key = method, status // 100
        self._counts[key] = self._counts.get(key, 0) + 1
        self._buckets[bisect_left(self._bounds, seconds)] += 1
        self._seconds += seconds

    def counts(self) -> dict[tuple[bytes | None, int], int]:
        """
        Tell how many there were of each method, C{None} for all others, and class of status: its
        first digit.
        """
        return dict(self._counts)

    def buckets(self) -> list[int]:
        """
        Tell how many took as long as each bound, or shorter, and longer than the one before it;
        then, how many took longer than all of them.
        """
        return list(self._buckets)

    def seconds(self) -> float:
        """
        Tell how many seconds all took together.
        """
        return self._seconds
