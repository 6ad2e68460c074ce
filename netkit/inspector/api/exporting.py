"""
What is shown, as a file for other programs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

from ... import __version__
from ...capture.har import Archive
from ...capture.views import Item, Kind
from ...capture.views.connections import viewOf
from ...capture.views.spool import Spool
from ...http import Response
from ...wire.recording import Opened, RecordingWriter
from ..details import Exchange, Snapshot
from ..filters import parseFilter
from ..indexing import Indexing
from ..parameters import APIError, Members, Query
from ..rows import Row
from .lookup import Lookup
from .responses import COMMON_FIELDS
from .router import Asked, Route
from .search import Search

_FORMATS = ("har", "pcapng")

# How many rows one file has at most.
_MOST = 10_000


class Exporter:
    """
    Makes HTTP Archives and recordings.
    """

    def __init__(self, indexing: Indexing, lookup: Lookup, search: Search) -> None:
        """
        @param indexing: what goes through the events.
        @param lookup: finds rows by their ids.
        @param search: finds them by a filter.
        """
        self._indexing = indexing
        self._lookup = lookup
        self._search = search
        self.routes = [
            Route("/export", {"GET": self._answer, "POST": self._answer}, changes=False)
        ]

    async def _answer(self, asked: Asked) -> Response:
        format, ids, text, secrets = (
            await self._posted(asked) if asked.method == "POST" else self._asked(asked.query)
        )
        asked.query.end()
        wanted = await self._matching(text) if ids is None else await self._lookup.rows(ids)
        if len(wanted) > _MOST:
            raise APIError(413, f"{len(wanted)} exchanges are more than {_MOST}: filter them")
        wanted.sort(key=lambda row: row.number)
        snapshots = self._lookup.snapshots(secrets=secrets)
        parts = [(row, found) for row in wanted if (found := snapshots.find(row.connection))]
        if format == "har":
            content = await self._lookup.threads.run(_archive, parts, secrets)
            type = b"application/json"
        else:
            content = await self._lookup.threads.run(_recording, parts)
            type = b"application/octet-stream"
        name = f"netkit-{datetime.now():%Y%m%d-%H%M%S}.{format}"
        disposition = f'attachment; filename="{name}"'.encode()
        return Response(
            200,
            content,
            [
                (b"content-type", type),
                (b"content-disposition", disposition),
                (b"cache-control", b"no-store"),
                *COMMON_FIELDS,
            ],
        )

    async def _matching(self, text: str) -> list[Row]:
        filter = parseFilter(text)
        await self._indexing.current()
        found = await self._search.find(list(self._indexing.index.rows), filter, _MOST + 1)
        if found.last is not None:
            raise APIError(413, "that is too much to look through: filter by more")
        return found.rows

    @staticmethod
    def _asked(query: Query) -> tuple[str, list[str] | None, str, bool]:
        format = query.choice("format", _FORMATS)
        given = query.text("ids")
        ids = given.split(",") if given else None
        return format, ids, query.text("filter"), query.flag("secrets")

    async def _posted(self, asked: Asked) -> tuple[str, list[str] | None, str, bool]:
        members = Members(await asked.json())
        format = members.choice("format", _FORMATS)
        if format is None:
            raise APIError(400, f"format is one of {', '.join(_FORMATS)}")
        ids = members.list("ids", _MOST)
        if ids is not None and not all(isinstance(id, str) for id in ids):
            raise APIError(400, "ids are texts, such as 7.0")
        text, secrets = members.text("filter") or "", members.flag("secrets")
        members.end()
        return format, ids, text, secrets


def _recording(parts: list[tuple[Row, Snapshot]]) -> bytes:
    """
    The connections of rows, as pcapng.
    """
    writer = RecordingWriter(f"netkit {__version__}", "inspected")
    connections = {row.connection: found for row, found in parts}
    pieces: list[bytes | memoryview] = [writer.begin()]
    for found in connections.values():
        events = list(found.prepared().events)
        if found.startGone:
            # What a reader has to know of it.
            opened = found.opened
            events.insert(
                0,
                Opened(
                    opened.connection,
                    events[0].time if events else opened.time,
                    opened.role,
                    opened.service,
                    opened.peer,
                    opened.host,
                    continued=True,
                ),
            )
        pieces += writer.write(events)
    return b"".join(pieces)


def _archive(parts: list[tuple[Row, Snapshot]], secrets: bool) -> bytes:
    """
    The HTTP exchanges and WebSockets of rows, as an HTTP Archive.
    """
    archive = Archive("netkit", __version__, secrets=secrets)
    entries: list[str] = []
    prepared: dict[int, Snapshot] = {}
    for row, found in parts:
        if row.type == "tcp":
            continue
        if row.connection not in prepared:
            prepared[row.connection] = found.prepared()
        for item in _items(row, prepared[row.connection]):
            entries += map("".join, archive.feed(item))
        entries += map("".join, archive.rest())
    about, between = json.dumps(archive.about)[:-1], ",\n"
    return f'{{"log": {about}, "entries": [\n{between.join(entries)}\n]}}}}\n'.encode()


def _items(row: Row, found: Snapshot) -> Iterator[Item]:
    secured = found.secured
    if secured is not None:
        yield Item(found.opened, 0, 0, Kind.NOTE, about={"tls": secured.version})
    if row.type == "websocket" and row.status == 101 and not found.startGone:
        view = viewOf(found.opened, Spool())
        for event in found.events:
            yield from view.feed(event)
        return
    exchange = Exchange(found, row)
    for item in (exchange.request, exchange.response):
        if item is not None:
            item.connection = found.opened
            yield _timed(item, row)


def _timed(item: Item, row: Row) -> Item:
    if "method" in item.about:
        item.time, item.ended = row.started, row.requestEnded or row.started
    else:
        item.time = row.responseStarted or row.started
        item.ended = row.ended or item.time
    return item
