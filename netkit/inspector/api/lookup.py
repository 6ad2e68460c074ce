"""
Rows, and what the ring has of their connections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Concatenate, ParamSpec, TypeVar

from .. import details
from ..details import GoneError, Snapshot
from ..indexing import Indexing
from ..parameters import APIError
from ..rows import Row
from .threads import Threads

T = TypeVar("T")
P = ParamSpec("P")


class Lookup:
    """
    Finds what is asked for.

    @ivar threads: where what was found is looked into.
    """

    def __init__(self, indexing: Indexing, threads: Threads) -> None:
        """
        @param indexing: what goes through the events.
        @param threads: where what was found is looked into.
        """
        self.threads = threads
        self._indexing = indexing
        self._index = indexing.index
        self._ring = indexing.index.ring

    async def row(self, id: str) -> Row:
        """
        Find a row.

        @raise APIError: there is none.
        """
        (row,) = await self.rows([id])
        return row

    async def rows(self, ids: Iterable[str]) -> list[Row]:
        """
        Find rows.

        @raise APIError: there is none of an id.
        """
        await self._indexing.current()
        found = []
        for id in ids:
            row = self._index.rows.get(id)
            if row is None:
                raise APIError(404, f"there is no exchange {id}")
            found.append(row)
        return found

    def rowJSON(self, row: Row) -> dict[str, Any]:
        """
        A row, as the API has it.
        """
        if not row.startGone:
            kept = self._ring.connections.get(row.connection)
            span = row.request
            row.startGone = kept is None or (
                kept.evicted > 0 if span is None else kept.gone[span.direction] > span.start
            )
        return row.json()

    def snapshot(self, row: Row, *, secrets: bool) -> Snapshot:
        """
        See what the ring has of a row's connection.

        @raise GoneError: nothing.
        """
        found = self.snapshots(secrets=secrets).find(row.connection)
        if found is None:
            raise GoneError("its connection has made room in the ring")
        return found

    async def connection(self, number: int, *, secrets: bool) -> Snapshot:
        """
        See what the ring has of a connection.

        @raise APIError: nothing.
        """
        await self._indexing.current()
        found = self.snapshots(secrets=secrets).find(number)
        if found is None:
            raise APIError(404, f"there is no connection {number}")
        return found

    def snapshots(self, *, secrets: bool) -> Snapshots:
        """
        See what the ring has of many connections.
        """
        return Snapshots(self._indexing, secrets=secrets)

    async def look(
        self,
        call: Callable[Concatenate[Snapshot, P], T],
        found: Snapshot,
        *arguments: P.args,
        **named: P.kwargs,
    ) -> T:
        """
        Look into what was found, with what is not to be seen masked.

        @param call: what does.
        @raise APIError: too many do.
        """
        return await self.threads.run(lambda: call(found.prepared(), *arguments, **named))


class Snapshots:
    """
    What the ring has of connections, each looked at once: thousands of rows may be of one.
    """

    def __init__(self, indexing: Indexing, *, secrets: bool) -> None:
        """
        @param indexing: what has the ring.
        @param secrets: whether credentials and cookies are to be seen.
        """
        self._index = indexing.index
        self._secrets = secrets
        self._found: dict[int, Snapshot] = {}

    def find(self, connection: int) -> Snapshot | None:
        """
        See what there is of a connection, if there is something.
        """
        found = self._found.get(connection)
        if found is None:
            kept = self._index.ring.connections.get(connection)
            if kept is None:
                return None
            contents = () if self._secrets else self._index.contents(connection)
            found = details.snapshot(kept, contents, secrets=self._secrets)
            self._found[connection] = found
        return found
