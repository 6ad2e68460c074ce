"""
What there is to see of a row: made of the events in the ring when somebody asks. Pure, and may run
in a thread.
"""

from __future__ import annotations

from base64 import b64encode
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from ..capture.decoding import Undecodable, decoded
from ..capture.ring import KeptConnection
from ..capture.secrets import SECRET_FIELDS, masked
from ..capture.views import Item, Kind
from ..capture.views.connections import viewOf
from ..capture.views.http import HTTPView
from ..capture.views.spool import Spool
from ..wire.addresses import address_text
from ..wire.recording import (
    Closed,
    Direction,
    Dropped,
    End,
    Event,
    HalfClosed,
    Note,
    Octets,
    Opened,
    Role,
    Secured,
)
from .rows import BEGINNING, Message, Row, Span, isFromClient, seconds

_RESPONSES = (Kind.RESPONSE, Kind.HANDSHAKE)
_ON_WEBSOCKET = (Kind.MESSAGE, Kind.PING, Kind.PONG, Kind.CLOSE, Kind.NOTE, Kind.OCTETS)

_MASKED = "********"


class GoneError(Exception):
    """
    What is asked for has made room in the ring.
    """


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    What the ring had of a connection at some time.

    @ivar evicted: how many of its events came before.
    @ivar gone: how many octets of each direction did.
    @ivar contents: which octets are content, as L{masked} takes them.
    @ivar secrets: whether credentials and cookies are to be seen.
    """

    opened: Opened
    secured: Secured | None
    closed: Closed | None
    events: Sequence[Event]
    evicted: int
    gone: dict[Direction, int]
    contents: Sequence[tuple[Direction, int, int | None]]
    secrets: bool
    # Where the pieces of each direction begin, and they; made when they are first looked for.
    _streams: dict[Direction, tuple[list[int], list[Octets]]] = field(
        default_factory=dict, init=False, compare=False
    )

    def prepared(self) -> Snapshot:
        """
        Mask what is not to be seen.
        """
        if self.secrets:
            return self
        return replace(self, events=masked(self.events, self.contents, self.gone))

    @property
    def startGone(self) -> bool:
        """
        Whether its beginning is not there.
        """
        return self.evicted > 0

    def slice(self, direction: Direction, start: int, end: int | None) -> bytes:
        """
        Cut some octets out of what went in a direction.

        @param start: the first one.
        @param end: the one behind the last one; L{None} for all that there are.
        @raise GoneError: the first one is not there.
        """
        first = self.gone.get(direction, 0)
        if start < first:
            raise GoneError(
                f"its first octets have made room: the ring has what follows octet {first}"
            )
        starts, events = self._stream(direction)
        pieces = []
        for at in range(max(0, bisect_right(starts, start) - 1), len(events)):
            position = starts[at]
            if end is not None and position >= end:
                break
            pieces.append(
                events[at].data[max(0, start - position) : None if end is None else end - position]
            )
        return b"".join(pieces)

    def _stream(self, direction: Direction) -> tuple[list[int], list[Octets]]:
        found = self._streams.get(direction)
        if found is None:
            position = self.gone.get(direction, 0)
            starts, events = [], []
            for event in self.events:
                if isinstance(event, Octets) and event.direction is direction:
                    starts.append(position)
                    events.append(event)
                    position += event.length
            found = self._streams[direction] = starts, events
        return found


def snapshot(
    kept: KeptConnection,
    contents: Sequence[tuple[Direction, int, int | None]],
    *,
    secrets: bool,
) -> Snapshot:
    """
    See what the ring has of a connection.

    @param kept: the connection.
    @param contents: which octets of it are content, as L{masked} takes them.
    @param secrets: whether credentials and cookies are to be seen.
    """
    return Snapshot(
        kept.opened,
        kept.secured,
        kept.closed,
        list(kept.events),
        kept.evicted,
        dict(kept.gone),
        contents,
        secrets,
    )


class Exchange:
    """
    The HTTP messages of a row.

    @ivar request: the request, if it is there.
    @ivar response: the response.
    @ivar interim: the responses before it.
    """

    def __init__(self, found: Snapshot, row: Row) -> None:
        """
        @param found: its connection.
        @param row: the row.
        """
        self.request: Item | None = None
        self.response: Item | None = None
        self.interim: list[Item] = []
        opened = found.opened
        view = HTTPView(opened, Spool())
        fromClient, fromServer = _directions(opened)
        there = True
        try:
            octets = _span(found, row.request)
        except GoneError:
            there = False
            octets = b"%s /x HTTP/1.1\r\nhost: x\r\n\r\n" % (row.method or "GET").encode("latin-1")
        events: list[Event] = [_octets(fromClient, octets)]
        if row.response is not None:
            start = row.response.start if row.interim is None else row.interim
            try:
                answer = found.slice(fromServer, start, row.response.end)
                events.append(_octets(fromServer, answer))
            except GoneError:
                pass
        if row.type == "http" and row.response is not None and row.response.end is not None:
            # What has its length by the end of the connection.
            events.append(HalfClosed(1, 0, fromServer))
        closed = found.closed or Closed(1, 0, End.DONE, "")
        events.append(Closed(1, 0, closed.how, closed.reason))
        for event in events:
            for item in view.feed(event):
                if item.kind not in (Kind.REQUEST, *_RESPONSES):
                    continue
                if isFromClient(opened, item.direction):
                    self.request = item if there and self.request is None else self.request
                elif 100 <= item.about.get("status", 0) < 200 and item.about["status"] != 101:
                    self.interim.append(item)
                elif self.response is None:
                    self.response = item

    def message(self, side: str) -> Item:
        """
        The request or the response.

        @raise GoneError: it is not there.
        """
        item = self.request if side == "request" else self.response
        if item is None:
            raise GoneError(f"there is no {side}, or it has made room in the ring")
        return item


def _directions(opened: Opened) -> tuple[Direction, Direction]:
    if opened.role is Role.SERVER:
        return Direction.RECEIVED, Direction.SENT
    return Direction.SENT, Direction.RECEIVED


def _octets(direction: Direction, data: bytes) -> Octets:
    return Octets(1, 0, direction, data, len(data))


def _span(found: Snapshot, span: Span | None) -> bytes:
    if span is None:
        return b""
    return found.slice(span.direction, span.start, span.end)


def messageOctets(found: Snapshot, row: Row, side: str) -> bytes:
    """
    The octets of a request or of a response, as they were on the wire.

    @raise GoneError: they are not there.
    """
    span = row.request if side == "request" else row.response
    if span is None:
        raise GoneError(f"there is no {side}")
    return _span(found, span)


def codings(item: Item) -> str:
    """
    The content codings of a message, in the order in which they were applied.
    """
    return ",".join(
        value for name, value in item.about.get("fields", []) if name.lower() == "content-encoding"
    )


def messageContent(found: Snapshot, row: Row, side: str, *, decode: bool) -> bytes:
    """
    The content of a request or of a response.

    @param decode: whether its codings are undone.
    @raise GoneError: it is not there.
    @raise Undecodable: they cannot be.
    """
    item = Exchange(found, row).message(side)
    if decode and (names := codings(item)):
        return decoded(item.content(), names)
    return b"".join(item.content())


def detailJSON(found: Snapshot, row: Row) -> dict[str, Any]:
    """
    What the API says of a row beside the row.
    """
    exchange = Exchange(found, row) if row.type != "tcp" else None
    request = response = None
    if exchange is not None:
        request = _messageJSON(exchange.request, row, row.started, row.requestEnded, found)
        if row.response is not None:
            ended = None if row.response.end is None else row.ended
            if row.type == "websocket" and row.status == 101:
                ended = row.responseStarted
            response = _messageJSON(
                exchange.response, row, row.responseStarted or row.started, ended, found
            )
    secured = found.secured
    return {
        **({} if exchange is None else _whole(exchange)),
        "request": request,
        "response": response,
        "interim": [
            _messageJSON(item, row, row.responseStarted or row.started, None, found)
            for item in (exchange.interim if exchange is not None else ())
        ],
        "notes": [
            {"time": seconds(time), "text": text, "fault": text.startswith("fault")}
            for time, text in row.notes
        ],
        "secured": None if secured is None else _securedJSON(secured),
        "connectionReason": (found.closed.reason or None) if found.closed is not None else None,
        "gone": {direction.value: found.gone.get(direction, 0) for direction in Direction},
    }


def _whole(exchange: Exchange) -> dict[str, Any]:
    """
    What a row has but the beginnings of.
    """
    found: dict[str, Any] = {}
    for item in (exchange.request, exchange.response):
        if item is not None:
            names = {"method", "target", "reason"} & item.about.keys()
            found |= {name: item.about[name] for name in names}
    return found


def _securedJSON(secured: Secured) -> dict[str, Any]:
    return {"version": secured.version, "alpn": secured.alpn, "sni": secured.sni}


def _messageJSON(
    item: Item | None, row: Row, started: int, ended: int | None, found: Snapshot
) -> dict[str, Any] | None:
    if item is None:
        return None
    about = item.about
    if "method" in about:
        line = f"{about['method']} {about['target']} {about['version']}"
    elif "status" in about:
        line = f"{about['version']} {about['status']} {about['reason']}"
    else:
        line = ""
    names = codings(item)
    content: dict[str, Any] = {
        "length": 0 if item.data is None else len(item.data),
        "coding": names or None,
        "type": next(
            (v for name, v in about.get("fields", []) if name.lower() == "content-type"), None
        ),
        "decoded": None,
        "undecodable": None,
    }
    if names and content["length"]:
        try:
            content["decoded"] = len(decoded(item.content(), names))
        except Undecodable as error:
            content["undecodable"] = str(error)
    wrong = "" if row.state == "open" else item.wrong
    return {
        "started": seconds(started),
        "ended": None if ended is None else seconds(ended),
        "line": line,
        "fields": _fieldsJSON(about.get("fields", []), secrets=found.secrets),
        "trailers": _fieldsJSON(about.get("trailers", []), secrets=found.secrets),
        "head": len(item.head),
        "length": item.length,
        "content": content,
        "wrong": wrong,
        "wrongAt": _wrongAt(item, found.opened) if wrong else None,
    }


def _fieldsJSON(fields: Iterable[tuple[str, str]], *, secrets: bool) -> list[dict[str, Any]]:
    found = []
    for name, value in fields:
        if not secrets and name.lower() in SECRET_FIELDS:
            found.append({"name": name, "value": _MASKED, "masked": True})
        else:
            found.append({"name": name, "value": value})
    return found


def _wrongAt(item: Item, opened: Opened) -> int:
    """
    Find the octet from which on a message was not understood: in a head, that is where the line
    begins.
    """
    if item.head or isFromClient(opened, item.direction) is False:
        return item.understood
    octets = b"".join(item.octets())[: 2**18]
    lines = octets.split(b"\n")
    low, high = 0, len(lines) - 1
    while low < high:
        middle = (low + high) // 2
        if _fails(b"\n".join(lines[: middle + 1]) + b"\n\r\n", item.wrong):
            high = middle
        else:
            low = middle + 1
    if low == len(lines) - 1:
        return item.understood
    return sum(len(line) + 1 for line in lines[:low])


def _fails(head: bytes, wrong: str) -> bool:
    opened = Opened(1, 0, Role.SERVER, "http", "", "")
    view = HTTPView(opened, Spool())
    items = list(view.feed(_octets(Direction.RECEIVED, head)))
    return any(item.wrong == wrong for item in items)


def messageJSON(row: Row, index: int, message: Message) -> dict[str, Any]:
    """
    A WebSocket's message, as the API has it.
    """
    return {
        "index": index,
        "time": seconds(message.time),
        "direction": None if message.direction is None else message.direction.value,
        "fromClient": isFromClient(row.opened, message.direction),
        "kind": message.kind.value,
        "opcode": message.opcode,
        "length": message.length,
        **_beginning(message.beginning, message.length),
        "code": message.code,
        "reason": message.reason,
        "wrong": message.wrong,
    }


def _beginning(octets: bytes, length: int) -> dict[str, Any]:
    """
    The first octets of something: as text where they are.
    """
    data = octets[:BEGINNING]
    truncated = length > len(data)
    try:
        text: str | None = data.decode()
    except UnicodeDecodeError as error:
        # A character may be cut.
        at_end = truncated and len(data) - error.start < 4 and error.start
        text = data[: error.start].decode() if at_end else None
    return {
        "text": text,
        "base64": b64encode(data).decode() if text is None else None,
        "truncated": truncated,
    }


def webSocketContent(found: Snapshot, index: int) -> bytes:
    """
    The payload of a WebSocket's message.

    @param index: how many messages were before it.
    @raise GoneError: the start of the connection is not there.
    @raise IndexError: there is no such message.
    """
    if found.startGone:
        raise GoneError("the start of its connection has made room in the ring")
    for at, item in enumerate(_webSocketItems(found)):
        if at == index:
            return b"".join(item.content())
        item.close()
    raise IndexError(index)


def _webSocketItems(found: Snapshot) -> Iterator[Item]:
    view = viewOf(found.opened, Spool())
    accepted = False
    for event in found.events:
        for item in view.feed(event):
            if accepted and item.kind in _ON_WEBSOCKET:
                yield item
            elif item.kind is Kind.HANDSHAKE and item.about.get("status") == 101:
                accepted = True
            else:
                item.close()


def connectionJSON(kept: KeptConnection) -> dict[str, Any]:
    """
    A connection, as the API has it.
    """
    opened, closed, secured = kept.opened, kept.closed, kept.secured
    return {
        "id": opened.connection,
        "service": opened.service,
        "role": opened.role.value,
        "peer": address_text(opened.peer),
        "host": address_text(opened.host),
        "opened": seconds(opened.time),
        "closed": None if closed is None else seconds(closed.time),
        "how": None if closed is None else closed.how.value,
        "reason": None if closed is None else closed.reason,
        "events": kept.evicted + len(kept.events),
        "received": kept.lengths[Direction.RECEIVED],
        "sent": kept.lengths[Direction.SENT],
        "startGone": kept.evicted > 0,
        "gone": {
            "events": kept.evicted,
            "received": kept.gone[Direction.RECEIVED],
            "sent": kept.gone[Direction.SENT],
        },
        "secured": None if secured is None else _securedJSON(secured),
    }


def piecesJSON(found: Snapshot, after: int, limit: int) -> dict[str, Any]:
    """
    What went over a connection, as it came.

    @param after: the index that they come after.
    @param limit: how many of them.
    """
    positions = dict(found.gone)
    pieces: list[dict[str, Any]] = []
    # The first event is that it was opened, which is no piece.
    first = max(0, found.evicted - 1)
    index = first
    for event in found.events:
        if isinstance(event, Opened):
            continue
        offset = 0
        if isinstance(event, Octets):
            offset = positions.get(event.direction, 0)
            positions[event.direction] = offset + event.length
        if index > after and len(pieces) < limit:
            pieces.append(_pieceJSON(found.opened, index, event, offset))
        index += 1
    last = pieces[-1]["index"] if pieces else None
    return {
        "pieces": pieces,
        "first": first,
        "total": index,
        "next": last if last is not None and last < index - 1 else None,
    }


def _pieceJSON(opened: Opened, index: int, event: Event, offset: int) -> dict[str, Any]:
    direction: Direction | None = None
    data, length, note = b"", 0, None
    if isinstance(event, Octets):
        kind, direction = "octets", event.direction
        data, length = event.data, event.length
    elif isinstance(event, HalfClosed):
        kind, direction = "half-closed", event.direction
    elif isinstance(event, Closed):
        kind = "closed"
        note = f"{event.how.value}: {event.reason}" if event.reason else event.how.value
    elif isinstance(event, Note):
        kind, note = "note", event.text
    elif isinstance(event, Secured):
        kind = "secured"
        note = ", ".join(filter(None, (event.version, event.alpn, event.sni)))
    else:
        kind = "lost"
        if isinstance(event, Dropped):
            note = f"{event.received} octets received and {event.sent} sent are not recorded"
    beginning = _beginning(data, length)
    if kind != "octets":
        beginning["text"] = None
    return {
        "index": index,
        "time": seconds(event.time),
        "kind": kind,
        "direction": None if direction is None else direction.value,
        "fromClient": isFromClient(opened, direction),
        "offset": offset,
        "length": length,
        **beginning,
        "note": note,
    }


def said(found: Snapshot, row: Row) -> Iterator[bytes]:
    """
    All that was said in a row: octets as they were, content without its codings, the messages of
    a WebSocket.
    """
    if row.type == "tcp":
        for direction in Direction:
            yield found.slice(direction, found.gone.get(direction, 0), None)
        return
    exchange = Exchange(found, row)
    for item in (exchange.request, *exchange.interim, exchange.response):
        if item is None:
            continue
        yield item.head + b"".join(item.content())
        if names := codings(item):
            with suppress(Undecodable):
                yield decoded(item.content(), names)
    if row.type == "websocket" and row.status == 101 and not found.startGone:
        for item in _webSocketItems(found):
            yield b"".join(item.content())
            item.close()
