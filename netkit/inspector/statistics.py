"""
What happens in each second, for charts.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

#: How many seconds are kept.
MOST_SECONDS = 300

# Of how many exchanges of a second the time is kept.
_MOST_DURATIONS = 2_000


@dataclass(slots=True)
class _Second:
    time: int
    open: int
    events: int = 0
    received: int = 0
    sent: int = 0
    opened: int = 0
    closed: int = 0
    exchanges: int = 0
    errors: int = 0
    durations: list[float] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        latency = None
        if self.durations:
            ordered = sorted(self.durations)
            last = len(ordered) - 1
            latency = {
                "p50": ordered[last // 2],
                "p90": ordered[last * 90 // 100],
                "p99": ordered[last * 99 // 100],
                "max": ordered[last],
            }
        return {
            "time": self.time,
            "events": self.events,
            "received": self.received,
            "sent": self.sent,
            "opened": self.opened,
            "closed": self.closed,
            "open": self.open,
            "exchanges": self.exchanges,
            "errors": self.errors,
            "latency": latency,
        }


class Statistics:
    """
    Counts what happens in each second.
    """

    def __init__(self) -> None:
        self._seconds: OrderedDict[int, _Second] = OrderedDict()
        self._open = 0

    def at(self, time: int) -> _Second:
        """
        What there is to count in.

        @param time: in nanoseconds since the epoch.
        """
        second = time // 10**9
        found = self._seconds.get(second)
        if found is None:
            found = self._seconds[second] = _Second(second, self._open)
            if len(self._seconds) > MOST_SECONDS:
                self._seconds.popitem(last=False)
        return found

    def opened(self, time: int) -> None:
        """
        A connection was made.
        """
        self._open += 1
        second = self.at(time)
        second.opened += 1
        second.open = self._open

    def closed(self, time: int) -> None:
        """
        A connection is over.
        """
        self._open -= 1
        second = self.at(time)
        second.closed += 1
        second.open = self._open

    def exchanged(self, time: int, duration: float | None, error: bool) -> None:
        """
        An exchange is over.

        @param duration: how many seconds its answer took; L{None} where that says nothing.
        """
        second = self.at(time)
        second.exchanges += 1
        second.errors += error
        if duration is not None and len(second.durations) < _MOST_DURATIONS:
            second.durations.append(duration)

    def json(self, first: int, end: int) -> list[dict[str, Any]]:
        """
        What happened, as the API has it.

        @param first: the first second, since the epoch.
        @param end: the one behind the last one.
        """
        found = []
        before = [each for each in self._seconds.values() if each.time < first]
        open = max(before, key=lambda each: each.time).open if before else 0
        for time in range(first, end):
            second = self._seconds.get(time) or _Second(time, open)
            open = second.open
            found.append(second.json())
        return found
