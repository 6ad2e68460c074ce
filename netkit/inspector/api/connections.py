"""
Connections, and what went over them as it came.
"""

from __future__ import annotations

from ...http import Response
from ...wire.recording import Direction
from .. import details
from ..details import Snapshot
from ..indexing import Indexing
from ..parameters import APIError
from .lookup import Lookup
from .responses import jsonResponse, rangeResponse
from .router import Asked, Route

_ONE = r"/connections/(\d{1,18})"


class Connections:
    """
    C{/api/connections}.
    """

    def __init__(self, indexing: Indexing, lookup: Lookup) -> None:
        """
        @param indexing: what goes through the events.
        @param lookup: finds one.
        """
        self._indexing = indexing
        self._ring = indexing.index.ring
        self._lookup = lookup
        self.routes = [
            Route(r"/connections", {"GET": self._list}),
            Route(_ONE, {"GET": self._one}),
            Route(f"{_ONE}/pieces", {"GET": self._pieces}),
            Route(f"{_ONE}/octets", {"GET": self._octets}),
        ]

    async def _list(self, asked: Asked) -> Response:
        query = asked.query
        limit = query.number("limit", 100, 1, 1000)
        before = query.number("before", 2**62, 0, 2**62)
        after = query.number("after", -1, -1, 2**62)
        query.end()
        await self._indexing.current()
        kept = self._ring.connections
        numbers = sorted((each for each in kept if after < each < before), reverse=True)
        shown = numbers[:limit]
        return jsonResponse(
            {
                "connections": [details.connectionJSON(kept[number]) for number in shown],
                "next": shown[-1] if len(numbers) > limit else None,
                "total": len(kept),
            }
        )

    async def _one(self, asked: Asked) -> Response:
        asked.query.end()
        await self._indexing.current()
        kept = self._ring.connections.get(int(asked.arguments[0]))
        if kept is None:
            raise APIError(404, f"there is no connection {asked.arguments[0]}")
        return jsonResponse(details.connectionJSON(kept))

    async def _pieces(self, asked: Asked) -> Response:
        query = asked.query
        after = query.number("after", -1, -1, 2**62)
        limit = query.number("limit", 100, 1, 1000)
        secrets = query.flag("secrets")
        query.end()
        found = await self._lookup.connection(int(asked.arguments[0]), secrets=secrets)
        return jsonResponse(await self._lookup.look(details.piecesJSON, found, after, limit))

    async def _octets(self, asked: Asked) -> Response:
        query = asked.query
        direction = Direction(query.choice("direction", ("received", "sent")))
        secrets = query.flag("secrets")
        query.end()
        found = await self._lookup.connection(int(asked.arguments[0]), secrets=secrets)
        octets = await self._lookup.look(_streamOf, found, direction)
        return rangeResponse(asked.request, octets, first=found.gone.get(direction, 0))


def _streamOf(found: Snapshot, direction: Direction) -> bytes:
    return found.slice(direction, found.gone.get(direction, 0), None)
