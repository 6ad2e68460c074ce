"""
The API: what is asked over HTTP, and answered in JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable
from importlib.util import find_spec
from time import monotonic, time
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote

from twisted.internet.threads import deferToThreadPool

from .. import __version__
from ..capture.decoding import Undecodable
from ..http import Request, Response
from ..wire.errors import HTTPProtocolError
from ..wire.recording import Direction
from . import details
from .access import TOKEN_PARAMETER
from .details import GoneError, Snapshot
from .faulting import kindsJSON
from .filters import Filter, FilterError, parseFilter
from .indexing import Indexing
from .parameters import APIError, Members, Query, readFields, readJSON
from .rows import Row
from .services import AnswerChange, InspectedService
from .statistics import MOST_SECONDS

T = TypeVar("T")

#: How many octets the content of a request may have.
MOST_CONTENT = 16 * 2**20

# How many may look into the ring at once, in threads.
_MOST_THREADS = 8

# For how many seconds text is looked for before it is said how far that came.
_SEARCH = 2.0

_JSON = (b"content-type", b"application/json")
_OCTETS = (b"content-type", b"application/octet-stream")
#: The fields of every answer.
COMMON_FIELDS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]

_API_FIELDS = [
    *COMMON_FIELDS,
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; sandbox; frame-ancestors 'none'"),
]
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")
_IMAGES = {"png", "jpeg", "gif", "webp", "avif", "bmp", "x-icon", "vnd.microsoft.icon"}


class Asked(NamedTuple):
    """
    A request to the API.

    @ivar arguments: what stands in its path.
    """

    request: Request
    query: Query
    arguments: tuple[str, ...]
    method: str


class API:
    """
    Answers requests.
    """

    def __init__(
        self,
        indexing: Indexing,
        reactor: Any,
        *,
        session: str,
        services: Callable[[], Iterable[InspectedService]],
        recording: str | None,
        readOnly: bool,
        changed: Callable[[], None],
    ) -> None:
        """
        @param indexing: what goes through the events.
        @param reactor: what has threads.
        @param session: what tells this run of the program from others.
        @param services: tells what services there are.
        @param recording: the path of the recording, where it is one.
        @param readOnly: whether nothing can be changed.
        @param changed: called when a service was.
        """
        self._indexing = indexing
        self._index = indexing.index
        self._ring = indexing.index.ring
        self._reactor = reactor
        self._session = session
        self._services = services
        self._recording = recording
        self._readOnly = readOnly
        self._changed = changed
        self._threads = 0
        id = r"(\d{1,18}\.\d{1,18})"
        self._routes: list[tuple[re.Pattern[str], dict[str, Callable[[Asked], Any]]]] = []
        self._route(r"", GET=self._about)
        self._route(r"/exchanges", GET=self._exchanges, DELETE=self._clear)
        self._route(r"/exchanges/ids", GET=self._ids)
        self._route(rf"/exchanges/{id}", GET=self._exchange)
        self._route(rf"/exchanges/{id}/(request|response)/octets", GET=self._octets)
        self._route(rf"/exchanges/{id}/(request|response)/content", GET=self._content)
        self._route(rf"/exchanges/{id}/messages", GET=self._messages)
        self._route(rf"/exchanges/{id}/messages/(\d{{1,18}})/content", GET=self._message)
        self._route(r"/connections", GET=self._connections)
        self._route(r"/connections/(\d{1,18})", GET=self._connection)
        self._route(r"/connections/(\d{1,18})/pieces", GET=self._pieces)
        self._route(r"/connections/(\d{1,18})/octets", GET=self._stream)
        self._route(r"/stats", GET=self._stats)
        self._route(r"/faults", GET=self._kinds)
        self._route(r"/services", GET=self._listServices)
        name = r"/services/([^/]{1,200})"
        self._route(name, GET=self._service)
        self._route(
            f"{name}/answer", GET=self._answer, PUT=self._changeAnswer, DELETE=self._resetAnswer
        )
        self._route(
            f"{name}/faults", GET=self._faults, POST=self._addFault, DELETE=self._removeFaults
        )
        self._route(
            f"{name}/faults/([^/]{{1,200}})", PATCH=self._changeFault, DELETE=self._removeFault
        )

    def route(
        self, path: str, methods: Iterable[str], answer: Callable[[Asked], Awaitable[Response]]
    ) -> None:
        """
        Have something else answer.

        @param path: what is asked for, without C{/api}.
        @param methods: by which methods.
        @param answer: what answers.
        """
        self._route(re.escape(path), **dict.fromkeys(methods, answer))

    def _route(self, pattern: str, **methods: Callable[[Asked], Any]) -> None:
        if "GET" in methods:
            methods["HEAD"] = methods["GET"]
        self._routes.append((re.compile(pattern), methods))

    async def answer(self, request: Request) -> Response:
        """
        Answer a request whose path begins with C{/api}.
        """
        try:
            return await self._answered(request)
        except APIError as error:
            return errorResponse(error.status, str(error), error.fields)
        except FilterError as error:
            return errorResponse(400, str(error))
        except GoneError as error:
            return errorResponse(410, str(error))
        except HTTPProtocolError as error:
            return errorResponse(error.status, str(error))

    async def _answered(self, request: Request) -> Response:
        path = request.path.decode("latin-1").removeprefix("/api").removesuffix("/")
        for pattern, methods in self._routes:
            found = pattern.fullmatch(path)
            if found is None:
                continue
            method = request.method.decode("latin-1")
            handler = methods.get(method)
            if handler is None:
                allowed = ", ".join(sorted(methods))
                raise APIError(
                    405, f"{method} is none of {allowed}", [(b"allow", allowed.encode())]
                )
            try:
                arguments = tuple(unquote(each, errors="strict") for each in found.groups())
            except UnicodeDecodeError as error:
                raise APIError(400, "the path is no UTF-8") from error
            query = Query(request.query)
            query.text(TOKEN_PARAMETER)
            asked = Asked(request, query, arguments, method)
            response: Response = await handler(asked)
            return response
        raise APIError(404, f"there is nothing at {path!r}")

    # The inspector itself.

    async def _about(self, asked: Asked) -> Response:
        asked.query.end()
        await self._indexing.current()
        ring = self._ring
        return jsonResponse(
            {
                "name": "netkit",
                "version": __version__,
                "session": self._session,
                "now": time(),
                "readOnly": self._readOnly,
                "recording": self._recording,
                "sequence": self._index.rows.sequence,
                "ring": {
                    "limit": ring.limit,
                    "used": ring.used,
                    "events": ring.taken,
                    "octets": ring.octets,
                    "evicted": {
                        "events": ring.evicted,
                        "octets": ring.evictedOctets,
                        "connections": ring.evictedConnections,
                    },
                    "connections": len(ring.connections),
                    "open": ring.open,
                },
                "exchanges": len(self._index.rows),
                "behind": self._index.behind,
                "skipped": self._index.skipped,
                "decoders": _decoders(),
                "services": [service.json() for service in self._services()],
            }
        )

    async def _stats(self, asked: Asked) -> Response:
        count = asked.query.number("seconds", 60, 1, MOST_SECONDS)
        asked.query.end()
        await self._indexing.current()
        now = int(time())
        return jsonResponse({"seconds": self._index.statistics.json(now - count + 1, now + 1)})

    # Rows.

    async def _exchanges(self, asked: Asked) -> Response:
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
            if after < row.number < before and filter.matches(row)
        ]
        found, complete = await self._withText(wanted, filter, limit + 1)
        shown = found[:limit]
        following = None
        if len(found) > limit:
            following = shown[-1].number
        elif not complete:
            following = self._searchedTo(wanted, found)
        return jsonResponse(
            {
                "exchanges": [self.row(row) for row in shown],
                "next": following,
                "total": len(rows),
                "sequence": rows.sequence,
                "behind": self._index.behind,
                "incomplete": not complete,
            }
        )

    @staticmethod
    def _searchedTo(wanted: list[Row], found: list[Row]) -> int | None:
        return found[-1].number if found else (wanted[0].number if wanted else None)

    async def _ids(self, asked: Asked) -> Response:
        filter = parseFilter(asked.query.text("filter"))
        asked.query.end()
        await self._indexing.current()
        wanted = [row for row in self._index.rows.newestFirst() if filter.matches(row)]
        found, complete = await self._withText(wanted, filter, len(wanted))
        return jsonResponse(
            {
                "ids": [row.id for row in found],
                "sequence": self._index.rows.sequence,
                "incomplete": not complete,
            }
        )

    async def _withText(
        self, rows: list[Row], filter: Filter, most: int
    ) -> tuple[list[Row], bool]:
        """
        Take those rows in which the filter's texts were said.

        @return: these, and whether all were looked at.
        """
        if not filter.texts:
            return rows[:most], True
        found: list[Row] = []
        until = monotonic() + _SEARCH
        for row in rows:
            if monotonic() > until:
                return found, False
            its = self._snapshot(row.connection, secrets=True)
            if its is not None and await self._inThread(_says, its, row, filter):
                found.append(row)
                if len(found) >= most:
                    break
        return found, True

    def row(self, row: Row) -> dict[str, Any]:
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

    async def _clear(self, asked: Asked) -> Response:
        asked.query.end()
        self.checkWritable()
        await self._indexing.current()
        self._index.clear()
        self._ring.clear()
        self._indexing.wake()
        return emptyResponse()

    async def _exchange(self, asked: Asked) -> Response:
        secrets = asked.query.flag("secrets")
        asked.query.end()
        row = await self.find(asked.arguments[0])
        its = self._snapshot(row.connection, secrets=secrets)
        told = self.row(row)
        if its is None:
            raise GoneError("its connection has made room in the ring")
        told |= await self._inThread(details.detailJSON, its, row)
        told["differences"] = row.differences
        return jsonResponse(told)

    async def _octets(self, asked: Asked) -> Response:
        secrets = asked.query.flag("secrets")
        asked.query.end()
        row = await self.find(asked.arguments[0])
        its = self._there(row, secrets=secrets)
        octets = await self._inThread(details.messageOctets, its, row, asked.arguments[1])
        return rangeResponse(asked.request, octets)

    async def _content(self, asked: Asked) -> Response:
        query = asked.query
        decode, image = query.flag("decoded"), query.flag("image")
        query.flag("secrets")
        query.end()
        row = await self.find(asked.arguments[0])
        side = asked.arguments[1]
        type = _OCTETS
        if image:
            kind, _, subtype = (row.mime or "").partition("/")
            if side != "response" or kind != "image" or subtype not in _IMAGES:
                raise APIError(409, f"that is {row.mime}, no image that is shown")
            type = (b"content-type", f"image/{subtype}".encode())
        # Content has no secrets that could be told from the rest of it.
        its = self._there(row, secrets=True)
        try:
            octets = await self._inThread(_contentOf, its, row, side, decode)
        except Undecodable as error:
            raise APIError(400, f"its content coding cannot be undone: {error}") from error
        return rangeResponse(asked.request, octets, type=type)

    async def _messages(self, asked: Asked) -> Response:
        after = asked.query.number("after", -1, -1, 2**62)
        limit = asked.query.number("limit", 100, 1, 1000)
        asked.query.end()
        row = await self.find(asked.arguments[0])
        if row.type != "websocket":
            raise APIError(409, f"{row.id} is no WebSocket")
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
        row = await self.find(asked.arguments[0])
        if row.type != "websocket":
            raise APIError(409, f"{row.id} is no WebSocket")
        its = self._there(row, secrets=True)
        index = int(asked.arguments[1])
        if index >= row.messages:
            raise APIError(404, f"{row.id} has no message {index}: it has {row.messages}")
        try:
            octets = await self._inThread(details.webSocketContent, its, index)
        except IndexError as error:
            raise APIError(404, f"{row.id} has no message {index}") from error
        return rangeResponse(asked.request, octets)

    # Connections.

    async def _connections(self, asked: Asked) -> Response:
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

    async def _connection(self, asked: Asked) -> Response:
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
        its = await self._ofConnection(asked.arguments[0], secrets=secrets)
        return jsonResponse(await self._inThread(details.piecesJSON, its, after, limit))

    async def _stream(self, asked: Asked) -> Response:
        query = asked.query
        direction = Direction(query.choice("direction", ("received", "sent")))
        secrets = query.flag("secrets")
        query.end()
        its = await self._ofConnection(asked.arguments[0], secrets=secrets)
        first = its.gone.get(direction, 0)
        octets = await self._inThread(_streamOf, its, direction)
        return rangeResponse(asked.request, octets, first=first)

    # Services.

    async def _listServices(self, asked: Asked) -> Response:
        asked.query.end()
        return jsonResponse({"services": [service.json() for service in self._services()]})

    async def _service(self, asked: Asked) -> Response:
        asked.query.end()
        return jsonResponse(self._named(asked).json())

    async def _answer(self, asked: Asked) -> Response:
        asked.query.end()
        answering = self._named(asked).answer
        return jsonResponse(None if answering is None else answering.answerJSON())

    async def _changeAnswer(self, asked: Asked) -> Response:
        asked.query.end()
        self.checkWritable()
        service = self._named(asked)
        if service.answer is None:
            raise APIError(409, f"the answer of {service.name} cannot be changed")
        members = Members(await self.json(asked))
        status, delay = members.take("status"), members.take("delay")
        if status is not None and (isinstance(status, bool) or not isinstance(status, int)):
            raise APIError(400, "status is a whole number")
        if delay is not None and (
            isinstance(delay, bool) or not isinstance(delay, int | float) or not 0 <= delay <= 3600
        ):
            raise APIError(400, "delay is a number of seconds from 0 to 3600")
        fields = members.take("fields")
        pairs = None
        if fields is not None:
            pairs = [
                (name.encode("latin-1"), (value or "").encode("latin-1"))
                for name, value in readFields(fields)
            ]
        echo = "content" in members
        content = members.octets("content")
        members.end()
        change = AnswerChange(status, pairs, content, echo and content is None, delay)
        try:
            service.answer.changeAnswer(change)
        except ValueError as error:
            raise APIError(400, str(error)) from error
        self._changed()
        return jsonResponse(service.answer.answerJSON())

    async def _resetAnswer(self, asked: Asked) -> Response:
        asked.query.end()
        self.checkWritable()
        service = self._named(asked)
        if service.answer is None:
            raise APIError(409, f"the answer of {service.name} cannot be changed")
        service.answer.resetAnswer()
        self._changed()
        return jsonResponse(service.answer.answerJSON())

    async def _kinds(self, asked: Asked) -> Response:
        asked.query.end()
        return jsonResponse({"types": kindsJSON()})

    async def _faults(self, asked: Asked) -> Response:
        asked.query.end()
        faults = self._named(asked).faults
        return jsonResponse({"faults": [] if faults is None else faults.faultsJSON()})

    async def _addFault(self, asked: Asked) -> Response:
        asked.query.end()
        faulty = self._faulty(asked)
        fault = await self.json(asked)
        if not isinstance(fault, dict):
            raise APIError(400, "a fault is a JSON object")
        try:
            added = faulty.addFault(fault)
        except FileExistsError as error:
            raise APIError(409, str(error)) from error
        except ValueError as error:
            raise APIError(400, str(error)) from error
        self._changed()
        return jsonResponse(added, status=201)

    async def _changeFault(self, asked: Asked) -> Response:
        asked.query.end()
        faulty = self._faulty(asked)
        change = await self.json(asked)
        if not isinstance(change, dict):
            raise APIError(400, "a change is a JSON object")
        try:
            changed = faulty.changeFault(asked.arguments[1], change)
        except LookupError as error:
            raise APIError(404, f"there is no fault {asked.arguments[1]!r}") from error
        except ValueError as error:
            raise APIError(400, str(error)) from error
        self._changed()
        return jsonResponse(changed)

    async def _removeFault(self, asked: Asked) -> Response:
        asked.query.end()
        try:
            self._faulty(asked).removeFault(asked.arguments[1])
        except LookupError as error:
            raise APIError(404, f"there is no fault {asked.arguments[1]!r}") from error
        self._changed()
        return emptyResponse()

    async def _removeFaults(self, asked: Asked) -> Response:
        asked.query.end()
        self._faulty(asked).removeFaults()
        self._changed()
        return emptyResponse()

    def _faulty(self, asked: Asked) -> Any:
        self.checkWritable()
        service = self._named(asked)
        if service.faults is None:
            raise APIError(409, f"{service.name} can have no faults")
        return service.faults

    def _named(self, asked: Asked) -> InspectedService:
        for service in self._services():
            if service.name == asked.arguments[0]:
                return service
        raise APIError(404, f"there is no service {asked.arguments[0]!r}")

    # What several need.

    async def find(self, id: str) -> Row:
        """
        Find a row.

        @raise APIError: there is none.
        """
        await self._indexing.current()
        row = self._index.rows.get(id)
        if row is None:
            raise APIError(404, f"there is no exchange {id}")
        return row

    async def json(self, asked: Asked) -> object:
        """
        Read the content of a request.

        @raise APIError: it is no JSON.
        """
        type = asked.request.headers.get(b"content-type", b"") or b""
        if type.partition(b";")[0].strip().lower() != b"application/json":
            raise APIError(415, "the content is wanted as Content-Type: application/json")
        return readJSON(await asked.request.read(MOST_CONTENT))

    def checkWritable(self) -> None:
        """
        See that something can be changed.

        @raise APIError: it cannot.
        """
        if self._readOnly:
            raise APIError(403, "the inspector is for looking alone: --inspect-read-only")

    def _snapshot(self, connection: int, *, secrets: bool) -> Snapshot | None:
        kept = self._ring.connections.get(connection)
        if kept is None:
            return None
        contents = () if secrets else self._index.contents(connection)
        return details.snapshot(kept, contents, secrets=secrets)

    async def matching(self, filter: Filter) -> list[Row]:
        """
        Find the rows that match a filter.

        @raise APIError: that takes too long.
        """
        await self._indexing.current()
        wanted = [row for row in self._index.rows if filter.matches(row)]
        found, complete = await self._withText(wanted, filter, len(wanted))
        if not complete:
            raise APIError(413, "that is too much to look for text in: filter by more")
        return found

    def snapshotOrNone(self, row: Row, *, secrets: bool) -> Snapshot | None:
        """
        See what the ring has of a row's connection, if it has something.
        """
        return self._snapshot(row.connection, secrets=secrets)

    def snapshotOf(self, row: Row, *, secrets: bool) -> Snapshot:
        """
        See what the ring has of a row's connection.

        @raise GoneError: nothing.
        """
        return self._there(row, secrets=secrets)

    def _there(self, row: Row, *, secrets: bool) -> Snapshot:
        its = self._snapshot(row.connection, secrets=secrets)
        if its is None:
            raise GoneError("its connection has made room in the ring")
        return its

    async def _ofConnection(self, number: str, *, secrets: bool) -> Snapshot:
        await self._indexing.current()
        its = self._snapshot(int(number), secrets=secrets)
        if its is None:
            raise APIError(404, f"there is no connection {number}")
        return its

    async def _inThread(self, call: Callable[..., T], its: Snapshot, *arguments: object) -> T:
        return await self.inThread(_prepared, call, its, arguments)

    async def inThread(self, call: Callable[..., T], *arguments: object) -> T:
        """
        Do something that may take long.

        @raise APIError: too many do.
        """
        if self._threads >= _MOST_THREADS:
            raise APIError(429, "too many look into the ring at once")
        self._threads += 1
        try:
            pool = self._reactor.getThreadPool()
            done: T = await deferToThreadPool(self._reactor, pool, call, *arguments)
            return done
        finally:
            self._threads -= 1


def _prepared(call: Callable[..., T], its: Snapshot, arguments: tuple[object, ...]) -> T:
    return call(its.prepared(), *arguments)


def _contentOf(its: Snapshot, row: Row, side: str, decode: bool) -> bytes:
    return details.messageContent(its, row, side, decode=decode)


def _streamOf(its: Snapshot, direction: Direction) -> bytes:
    return its.slice(direction, its.gone.get(direction, 0), None)


def _says(its: Snapshot, row: Row, filter: Filter) -> bool:
    try:
        said = [octets.lower() for octets in details.said(its, row)]
    except GoneError:
        return False
    return all(
        any(value in octets for octets in said for value in values) is not negative
        for values, negative in filter.texts
    )


def _decoders() -> list[str]:
    found = ["gzip", "deflate"]
    if find_spec("brotli") is not None:
        found.append("br")
    if find_spec("zstandard") is not None:
        found.append("zstd")
    return found


def jsonResponse(value: object, status: int = 200) -> Response:
    """
    Make a response of JSON.
    """
    content = json.dumps(value, separators=(",", ":")).encode()
    return Response(status, content, [_JSON, *_API_FIELDS])


def emptyResponse() -> Response:
    """
    Make a response that says that something was done.
    """
    return Response(204, b"", _API_FIELDS)


def errorResponse(
    status: int, message: str, fields: Iterable[tuple[bytes, bytes]] = ()
) -> Response:
    """
    Make a response that says what is wrong.
    """
    content = json.dumps({"error": message}).encode() + b"\n"
    return Response(status, content, [_JSON, *_API_FIELDS, *fields])


def rangeResponse(
    request: Request,
    octets: bytes,
    *,
    type: tuple[bytes, bytes] = _OCTETS,
    first: int = 0,
) -> Response:
    """
    Make a response of octets, or of the range of them that is asked for (RFC 9110 section 14).

    @param octets: the octets.
    @param type: the field with their type.
    @param first: the number of the first one.
    @raise APIError: the range has none of them.
    @raise GoneError: it begins before the first one.
    """
    fields = [type, *_API_FIELDS, (b"accept-ranges", b"bytes")]
    total = first + len(octets)
    if first:
        fields.append((b"netkit-first", b"%d" % first))
    asked = request.headers.get(b"range")
    found = None if asked is None else _RANGE.fullmatch(asked.decode("latin-1").strip())
    if found is None:
        return Response(200, octets, fields)
    if found[3]:
        start, end = max(first, total - int(found[3])), total
    else:
        start = int(found[1])
        end = min(int(found[2]) + 1, total) if found[2] else total
        if found[2] and int(found[2]) < start:
            # No range at all: it is ignored.
            return Response(200, octets, fields)
    if start >= total or start >= end:
        raise APIError(
            416, f"there are {total} octets", [(b"content-range", b"bytes */%d" % total)]
        )
    if start < first:
        raise GoneError(f"the ring has what follows octet {first}")
    fields.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, total)))
    return Response(206, octets[start - first : end - first], fields)
