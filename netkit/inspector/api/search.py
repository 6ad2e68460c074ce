"""
Which rows match a filter.
"""

from __future__ import annotations

from time import monotonic
from typing import Any, NamedTuple

from twisted.internet.task import deferLater

from ...base.timeslice import TIME_SLICE
from .. import details
from ..details import GoneError, Snapshot
from ..filters import Filter
from ..rows import Row
from .lookup import Lookup, Snapshots

# For how many seconds is looked before it is said how far that came.
_LONGEST = 2.0

# How many rows are looked at between two looks at the clock.
_AT_ONCE = 16


class Found(NamedTuple):
    """
    Rows that match.

    @ivar last: the last row that was looked at, where there was no time for the others.
    """

    rows: list[Row]
    last: Row | None = None


class Search:
    """
    Looks at rows one after another, and lets all others have their turn in between.
    """

    def __init__(self, lookup: Lookup, reactor: Any) -> None:
        """
        @param lookup: finds what was said in a row.
        @param reactor: whose turns they are.
        """
        self._lookup = lookup
        self._reactor = reactor

    async def find(self, rows: list[Row], filter: Filter, most: int) -> Found:
        """
        Find the rows that match.

        @param rows: those that may.
        @param most: how many are wanted at most.
        """
        found: list[Row] = []
        snapshots = self._lookup.snapshots(secrets=True)
        now = monotonic()
        until, turn = now + _LONGEST, now + TIME_SLICE
        for start in range(0, len(rows), _AT_ONCE):
            now = monotonic()
            if start and now > until:
                return Found(found, rows[start - 1])
            if now > turn:
                await deferLater(self._reactor, 0)
                turn = monotonic() + TIME_SLICE
            some = [row for row in rows[start : start + _AT_ONCE] if filter.matches(row)]
            if some and filter.texts:
                some = await self._withText(some, filter, snapshots)
            found += some
            if len(found) >= most:
                return Found(found[:most])
        return Found(found)

    async def _withText(self, rows: list[Row], filter: Filter, snapshots: Snapshots) -> list[Row]:
        parts = [(row, found) for row in rows if (found := snapshots.find(row.connection))]
        return await self._lookup.threads.run(_saying, parts, filter)


def _saying(parts: list[tuple[Row, Snapshot]], filter: Filter) -> list[Row]:
    return [row for row, found in parts if _says(found, row, filter)]


def _says(found: Snapshot, row: Row, filter: Filter) -> bool:
    try:
        said = [octets.lower() for octets in details.said(found, row)]
    except GoneError:
        return False
    return all(
        any(value in octets for octets in said for value in values) is not negative
        for values, negative in filter.texts
    )
