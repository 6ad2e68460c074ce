"""
HTTP exchanges, WebSockets, and connections of anything else: the rows of the list.
"""

from __future__ import annotations

from ...capture.decoding import Undecodable
from ...http import Response
from .. import details
from ..details import Snapshot
from ..filters import parseFilter
from ..indexing import Indexing
from ..parameters import APIError
from ..rows import Row
from .lookup import Lookup
from .responses import OCTETS, emptyResponse, jsonResponse, rangeResponse
from .router import Asked, Route
from .search import Search

_ID = r"(\d{1,18}\.\d{1,18})"

_IMAGES = {"png", "jpeg", "gif", "webp", "avif", "bmp", "x-icon", "vnd.microsoft.icon"}


class Exchanges:
    """
    C{/api/exchanges}.
    """

    def __init__(self, indexing: Indexing, lookup: Lookup, search: Search) -> None:
        """
        @param indexing: what goes through the events.
        @param lookup: finds one.
        @param search: finds many.
        """
        self._indexing = indexing
        self._index = indexing.index
        self._lookup = lookup
        self._search = search
        side = rf"/exchanges/{_ID}/(request|response)"
        self.routes = [
            Route(r"/exchanges", {"GET": self._list, "DELETE": self._clear}),
            Route(r"/exchanges/ids", {"GET": self._ids}),
            Route(rf"/exchanges/{_ID}", {"GET": self._one}),
            Route(f"{side}/octets", {"GET": self._octets}),
            Route(f"{side}/content", {"GET": self._content}),
            Route(rf"/exchanges/{_ID}/messages", {"GET": self._messages}),
            Route(rf"/exchanges/{_ID}/messages/(\d{{1,18}})/content", {"GET": self._message}),
        ]

    async def _list(self, asked: Asked) -> Response:
        query = asked.query
        filter = parseFilter(query.text("filter"))
        limit = query.number("limit", 100, 1, 1000)
        before = query.number("before", 2**62, 0, 2**62)
        after = query.number("after", -1, -1, 2**62)
        newest = query.choice("order", ("newest", "oldest"), "newest") == "newest"
        query.end()
        await self._indexing.current()
        rows = self._index.rows
        wanted = [
            row
            for row in (rows.newestFirst() if newest else iter(rows))
            if after < row.number < before
        ]
        found = await self._search.find(wanted, filter, limit + 1)
        shown = found.rows[:limit]
        following = None
        if len(found.rows) > limit:
            following = shown[-1].number
        elif found.last is not None:
            following = found.last.number
        return jsonResponse(
            {
                "exchanges": [self._lookup.rowJSON(row) for row in shown],
                "next": following,
                "total": len(rows),
                "sequence": rows.sequence,
                "behind": self._index.behind,
                "incomplete": found.last is not None,
            }
        )

    async def _ids(self, asked: Asked) -> Response:
        filter = parseFilter(asked.query.text("filter"))
        asked.query.end()
        await self._indexing.current()
        rows = list(self._index.rows.newestFirst())
        found = await self._search.find(rows, filter, len(rows))
        return jsonResponse(
            {
                "ids": [row.id for row in found.rows],
                "sequence": self._index.rows.sequence,
                "incomplete": found.last is not None,
            }
        )

    async def _clear(self, asked: Asked) -> Response:
        asked.query.end()
        await self._indexing.current()
        self._index.clear()
        self._index.ring.clear()
        self._indexing.wake()
        return emptyResponse()

    async def _one(self, asked: Asked) -> Response:
        secrets = asked.query.flag("secrets")
        asked.query.end()
        row = await self._lookup.row(asked.arguments[0])
        told = self._lookup.rowJSON(row)
        found = self._lookup.snapshot(row, secrets=secrets)
        told |= await self._lookup.look(details.detailJSON, found, row)
        told["differences"] = row.differences
        return jsonResponse(told)

    async def _octets(self, asked: Asked) -> Response:
        secrets = asked.query.flag("secrets")
        asked.query.end()
        row = await self._lookup.row(asked.arguments[0])
        found = self._lookup.snapshot(row, secrets=secrets)
        octets = await self._lookup.look(details.messageOctets, found, row, asked.arguments[1])
        return rangeResponse(asked.request, octets)

    async def _content(self, asked: Asked) -> Response:
        query = asked.query
        decode, image = query.flag("decoded"), query.flag("image")
        query.flag("secrets")
        query.end()
        row = await self._lookup.row(asked.arguments[0])
        side = asked.arguments[1]
        type = OCTETS
        if image:
            kind, _, subtype = (row.mime or "").partition("/")
            if side != "response" or kind != "image" or subtype not in _IMAGES:
                raise APIError(409, f"that is {row.mime}, no image that is shown")
            type = (b"content-type", f"image/{subtype}".encode())
        # Content has no secrets that could be told from the rest of it.
        found = self._lookup.snapshot(row, secrets=True)
        try:
            octets = await self._lookup.look(_contentOf, found, row, side, decode)
        except Undecodable as error:
            raise APIError(400, f"its content coding cannot be undone: {error}") from error
        return rangeResponse(asked.request, octets, type=type)

    async def _messages(self, asked: Asked) -> Response:
        after = asked.query.number("after", -1, -1, 2**62)
        limit = asked.query.number("limit", 100, 1, 1000)
        asked.query.end()
        row = await self._webSocket(asked.arguments[0])
        first = max(after + 1, row.firstKept)
        shown = []
        end = row.firstKept + len(row.kept)
        for index in range(first, min(first + limit, end)):
            shown.append(details.messageJSON(row, index, row.kept[index - row.firstKept]))
        following = shown[-1]["index"] if shown and first + limit < end else None
        return jsonResponse(
            {"messages": shown, "total": row.messages, "first": row.firstKept, "next": following}
        )

    async def _message(self, asked: Asked) -> Response:
        asked.query.end()
        row = await self._webSocket(asked.arguments[0])
        found = self._lookup.snapshot(row, secrets=True)
        index = int(asked.arguments[1])
        if index >= row.messages:
            raise APIError(404, f"{row.id} has no message {index}: it has {row.messages}")
        try:
            octets = await self._lookup.look(details.webSocketContent, found, index)
        except IndexError as error:
            raise APIError(404, f"{row.id} has no message {index}") from error
        return rangeResponse(asked.request, octets)

    async def _webSocket(self, id: str) -> Row:
        row = await self._lookup.row(id)
        if row.type != "websocket":
            raise APIError(409, f"{row.id} is no WebSocket")
        return row


def _contentOf(found: Snapshot, row: Row, side: str, decode: bool) -> bytes:
    return details.messageContent(found, row, side, decode=decode)
