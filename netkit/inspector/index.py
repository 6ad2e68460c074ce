"""
From recorded events to rows.
"""

from __future__ import annotations

from collections import Counter, deque
from time import time_ns

from ..capture.ring import Cursor, KeptConnection, Ring
from ..capture.views import Item, Kind
from ..capture.views.connections import View, viewOf
from ..capture.views.http import HTTPView
from ..capture.views.spool import Beginnings
from ..wire.recording import (
    Closed,
    Direction,
    Dropped,
    End,
    Event,
    Note,
    Octets,
    Opened,
    Role,
    Secured,
)
from .rows import BEGINNING, Row, Rows, Span, isFromClient
from .statistics import Statistics

# Services that speak anything: their octets need no looking at.
_RAW = {"echo", "print-respond"}

# How many events are looked at before what is not is given up with the rows.
_AT_ONCE = 5_000

# How many characters of a text a row has at most, and how many notes.
_LONGEST = 2_000
_NOTES = 100

_HTTP_METHODS = (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"DELETE ", b"OPTIONS ", b"PATCH ")

_OF_HTTP = (Kind.REQUEST, Kind.RESPONSE, Kind.HANDSHAKE)
_OF_WEBSOCKET = (Kind.MESSAGE, Kind.PING, Kind.PONG, Kind.CLOSE, Kind.NOTE, Kind.OCTETS)


class _Tracked:
    """
    A connection, as far as it was looked at.

    @ivar view: what looks at it; L{None} for what is only counted.
    @ivar seen: how many of its events were.
    @ivar position: how many octets of each direction have come.
    @ivar lost: whether something of it was gone before it could be looked at.
    @ivar waiting: the HTTP rows that are not answered.
    """

    __slots__ = (
        "lost",
        "opened",
        "parts",
        "position",
        "row",
        "secured",
        "seen",
        "speaksHTTP",
        "start",
        "view",
        "waiting",
        "webSocket",
    )

    def __init__(self, opened: Opened, row: Row) -> None:
        self.opened = opened
        self.view: View | None = None
        self.seen = 0
        self.position: Counter[Direction] = Counter()
        # Where in the streams the view began to look.
        self.start: Counter[Direction] = Counter()
        self.lost = False
        self.row = row
        self.parts = 1
        self.waiting: deque[Row] = deque()
        self.webSocket: Row | None = None
        self.speaksHTTP = False
        self.secured: str | None = None


class Index:
    """
    Makes rows of the events in a ring.

    @ivar rows: the rows.
    @ivar statistics: what happened in each second.
    """

    def __init__(self, ring: Ring) -> None:
        """
        @param ring: where the events are.
        """
        self.ring = ring
        self.rows = Rows()
        self.statistics = Statistics()
        self._cursor: Cursor = ring.cursor()
        self._skipped = 0
        self._tracked: dict[int, _Tracked] = {}
        self._spool = Beginnings(BEGINNING)
        # The rows that connections repeat which are about to come.
        self._repeated: dict[int, str] = {}

    @property
    def behind(self) -> int:
        """
        How many events were not looked at.
        """
        return self._cursor.behind

    @property
    def skipped(self) -> int:
        """
        How many were gone before they could be.
        """
        return self._cursor.skipped

    def advance(self, most: int) -> bool:
        """
        Look at the next events.

        @param most: how many of them.
        @return: whether there are more.
        """
        if self._cursor.behind == 0:
            return False
        left = most
        for event in self._cursor.read():
            if self._cursor.skipped != self._skipped:
                self._missed(event)
            self._event(event)
            left -= 1
            if not left:
                break
        return self._cursor.behind > 0

    def clear(self) -> None:
        """
        Give up all rows. Those of connections that are open come again when they change.
        """
        self.advance(_AT_ONCE)
        self.rows.clear()

    def repeats(self, connection: int, id: str) -> None:
        """
        Say that a connection that is about to be seen repeats a row.
        """
        tracked = self._tracked.get(connection)
        if tracked is not None:
            tracked.row.again = id
            self.rows.change(tracked.row)
        else:
            self._repeated[connection] = id

    def differs(self, connection: int, differences: list[str]) -> None:
        """
        Say in what the answer on a connection is another one than that which it repeats.
        """
        while self._cursor.behind and self.advance(1000):
            pass
        row = self.rows.get(f"{connection}.0")
        if row is not None:
            row.differences = differences
            self.rows.change(row)

    def contents(self, connection: int) -> list[tuple[Direction, int, int | None]]:
        """
        Which octets of a connection are known to be content: no head is among them.

        @return: for each piece its direction, its first octet and the one behind it.
        """
        found: list[tuple[Direction, int, int | None]] = []
        for row in self.rows.ofConnection(connection):
            for span in (row.request, row.response):
                if span is not None and span.head:
                    end = span.end
                    if row.type == "websocket" and row.status == 101:
                        end = None
                    found.append((span.direction, span.start + span.head, end))
        return found

    def _event(self, event: Event) -> None:
        tracked = self._tracked.get(event.connection)
        if isinstance(event, Opened):
            self._opened(event)
            return
        if tracked is None:
            return
        tracked.seen += 1
        counts = self.statistics.at(event.time)
        counts.events += 1
        if isinstance(event, Octets):
            if event.direction is Direction.RECEIVED:
                counts.received += event.length
            else:
                counts.sent += event.length
            self._octets(tracked, event)
            return
        if isinstance(event, Note):
            self._note(tracked, event)
        elif isinstance(event, Secured):
            tracked.secured = tracked.row.tls = event.version
            self.rows.change(tracked.row)
        if tracked.view is not None:
            self._view(tracked, event)
        if isinstance(event, Closed):
            self._closed(tracked, event)

    def _opened(self, event: Opened) -> None:
        self.statistics.at(event.time).events += 1
        self.statistics.opened(event.time)
        self._track(event).seen = 1

    def _track(self, opened: Opened) -> _Tracked:
        row = self.rows.make(opened, 0, opened.time)
        row.again = self._repeated.pop(opened.connection, None)
        tracked = self._tracked[opened.connection] = _Tracked(opened, row)
        if opened.service not in _RAW:
            tracked.view = viewOf(opened, self._spool, begun=lambda item: self._begun(item))
        return tracked

    def _octets(self, tracked: _Tracked, event: Octets) -> None:
        if tracked.lost:
            self._resume(tracked, event)
        tracked.position[event.direction] += event.length
        if tracked.view is not None:
            self._view(tracked, event)
            if tracked.speaksHTTP:
                self._progress(tracked, event)
                return
        row = tracked.row
        row.messages += 1
        self._count(row, event)
        self.rows.change(row)

    def _progress(self, tracked: _Tracked, event: Octets) -> None:
        """
        More of what is under way has come.
        """
        position = tracked.position[event.direction]
        row: Row | None = tracked.webSocket
        if row is not None:
            for span in (row.request, row.response):
                if span is None or span.direction is not event.direction:
                    continue
                if isFromClient(row.opened, event.direction):
                    row.fromClient = position - span.start
                else:
                    row.fromServer = position - span.start
        elif isFromClient(tracked.opened, event.direction):
            row = tracked.row
            if row.request is None or row.request.end is not None:
                return
            row.fromClient = position - row.request.start
        else:
            row = tracked.waiting[0] if tracked.waiting else None
            if row is None or row.response is None:
                return
            row.fromServer = position - row.response.start
        self.rows.change(row)

    def _count(self, row: Row, event: Octets) -> None:
        if isFromClient(row.opened, event.direction):
            row.fromClient += event.length
        else:
            row.fromServer += event.length

    def _view(self, tracked: _Tracked, event: Event) -> None:
        assert tracked.view is not None
        for item in tracked.view.feed(event):
            self._item(tracked, item)
            item.close()

    def _begun(self, item: Item) -> None:
        """
        The head of an HTTP message has come.
        """
        tracked = self._tracked[item.connection.connection]
        span = Span(
            item.direction or Direction.SENT,
            tracked.start[item.direction or Direction.SENT] + item.offset,
            len(item.head),
        )
        if "method" in item.about:
            row = self._asked(tracked, item)
            row.request = span
        elif tracked.waiting:
            self._answered(tracked.waiting[0], item, span)

    def _asked(self, tracked: _Tracked, item: Item) -> Row:
        if tracked.speaksHTTP:
            row = self.rows.make(tracked.opened, tracked.parts, item.time)
            row.again = tracked.row.again
            row.tls = tracked.secured
            tracked.parts += 1
            tracked.row = row
        else:
            row = tracked.row
            row.started = item.time
            row.messages = row.fromClient = row.fromServer = 0
            tracked.speaksHTTP = True
        about = item.about
        row.type = "websocket" if item.kind is Kind.HANDSHAKE else "http"
        if "method" in about:
            row.method, row.target = _beginning(about["method"]), _beginning(about["target"])
            row.version = about["version"]
        row.fromClient += item.length
        tracked.waiting.append(row)
        self.rows.change(row)
        return row

    def _answered(self, row: Row, item: Item, span: Span) -> None:
        about = item.about
        if about["status"] < 200 and about["status"] != 101:
            if row.interim is None:
                row.interim = span.start
            return
        row.response = span
        row.responseStarted = item.time
        row.status, row.reason = about["status"], _beginning(about["reason"])
        if row.requestEnded is None:
            # Answered before it was whole.
            row.requestEnded = item.time
        for name, value in about["fields"]:
            if name.lower() == "content-type":
                row.mime = value.partition(";")[0].strip().lower()[:200]
                break
        if about["status"] >= 500:
            row.mark("error")
        self.rows.change(row)

    def _item(self, tracked: _Tracked, item: Item) -> None:
        if item.kind in _OF_HTTP:
            if isFromClient(item.connection, item.direction):
                self._requestEnded(tracked, item)
            else:
                self._responseEnded(tracked, item)
        elif tracked.webSocket is not None and item.kind in _OF_WEBSOCKET:
            self._message(tracked.webSocket, item)
        elif item.kind is Kind.OCTETS and not tracked.speaksHTTP:
            # It is none of what can be looked into: from now on it is counted.
            tracked.view = None
        elif item.wrong:
            tracked.row.fail(item.wrong)
            self.rows.change(tracked.row)

    def _requestEnded(self, tracked: _Tracked, item: Item) -> None:
        if "method" in item.about:
            row = tracked.row
        else:
            # Its head cannot be understood.
            row = self._asked(tracked, item)
            direction = item.direction or Direction.RECEIVED
            row.request = Span(direction, tracked.start[direction] + item.offset, 0)
        if row.request is not None:
            row.request.end = row.request.start + item.length
        row.fromClient = item.length
        row.requestEnded = item.ended
        if item.wrong:
            row.fail(item.wrong)
            if row.response is not None and row.response.end is not None:
                row.end()
        self.rows.change(row)

    def _responseEnded(self, tracked: _Tracked, item: Item) -> None:
        if not tracked.waiting:
            row = tracked.row
            if item.wrong:
                row.fail(item.wrong)
                self.rows.change(row)
            return
        row = tracked.waiting[0]
        status = item.about.get("status", 0)
        if 100 <= status < 200 and status != 101:
            self.rows.change(row)
            return
        if row.response is None:
            direction = item.direction or Direction.SENT
            row.response = Span(direction, tracked.start[direction] + item.offset, 0)
        row.response.end = row.response.start + item.length
        row.fromServer = item.length + (
            0 if row.interim is None else row.response.start - row.interim
        )
        tracked.waiting.popleft()
        if item.wrong:
            row.fail(item.wrong)
        if status == 101 and row.type == "websocket":
            tracked.webSocket = row
            self.rows.change(row)
            return
        row.ended = item.ended
        row.end()
        self.statistics.exchanged(
            item.ended, (item.ended - row.started) / 10**9, "error" in row.marks
        )
        self.rows.change(row)

    def _message(self, row: Row, item: Item) -> None:
        self.rows.addMessage(row, item)
        if item.kind is Kind.CLOSE and row.closeCode is None:
            row.closeCode = item.about["code"]
            row.closeReason = item.about["reason"]
        if item.wrong:
            row.fail(item.wrong)
        self.rows.change(row)

    def _note(self, tracked: _Tracked, event: Note) -> None:
        row = tracked.waiting[0] if tracked.waiting else tracked.row
        if len(row.notes) < _NOTES:
            row.notes.append((event.time, _beginning(event.text)))
        if event.text.startswith("refused"):
            row.mark("refused")
        elif event.text.startswith("fault"):
            row.mark("fault")
        self.rows.change(row)

    def _closed(self, tracked: _Tracked, event: Closed) -> None:
        self.statistics.closed(event.time)
        for row in _unfinished(tracked):
            if row.state == "open":
                if row.type == "http" and row.status is None and event.how is End.DONE:
                    row.fail("the connection was closed without an answer")
                row.close(event)
                self.statistics.exchanged(event.time, None, "error" in row.marks)
            row.how = event.how.value
            self.rows.change(row)
        del self._tracked[event.connection]

    # What made room before it was looked at.

    def _missed(self, next: Event) -> None:
        """
        Events were gone. Those that are kept of each connection follow.
        """
        missed = self._cursor.skipped - self._skipped
        self._skipped = self._cursor.skipped
        self.statistics.at(next.time).events += missed
        for number, kept in self.ring.connections.items():
            if not kept.evicted:
                continue
            tracked = self._tracked.get(number)
            if tracked is None:
                tracked = self._track(kept.opened)
                self.statistics.opened(next.time)
            if tracked.seen < kept.evicted:
                self._lose(tracked, kept)
        for number in [each for each in self._tracked if each not in self.ring.connections]:
            # Its end was among them.
            tracked = self._tracked.pop(number)
            self.statistics.closed(next.time)
            for row in _unfinished(tracked):
                if row.state == "open":
                    row.startGone = True
                    row.ended = next.time
                    row.end()
                    self.rows.change(row)

    def _lose(self, tracked: _Tracked, kept: KeptConnection) -> None:
        lost = {d: max(0, kept.gone[d] - tracked.position[d]) for d in Direction}
        dropped = Dropped(
            kept.opened.connection, time_ns(), lost[Direction.RECEIVED], lost[Direction.SENT]
        )
        for row in (tracked.row, *tracked.waiting):
            if row.state == "open":
                row.startGone = True
        if tracked.view is not None and any(lost.values()):
            self._view(tracked, dropped)
            tracked.lost = True
            tracked.view = None
        if not tracked.speaksHTTP:
            for direction, octets in lost.items():
                if isFromClient(tracked.opened, direction):
                    tracked.row.fromClient += octets
                else:
                    tracked.row.fromServer += octets
        for row in tracked.waiting:
            row.end()
            self.rows.change(row)
        tracked.waiting.clear()
        tracked.seen = kept.evicted
        tracked.position = Counter(kept.gone)
        self.rows.change(tracked.row)

    def _resume(self, tracked: _Tracked, event: Octets) -> None:
        """
        Find where HTTP begins again.
        """
        if tracked.webSocket is not None:
            return
        serving = tracked.opened.role is Role.SERVER
        if (event.direction is Direction.RECEIVED) is not serving:
            return
        if event.data.startswith(_HTTP_METHODS):
            tracked.lost = False
            tracked.start = Counter(tracked.position)
            tracked.view = HTTPView(
                tracked.opened, self._spool, begun=lambda item: self._begun(item)
            )


def _beginning(text: str) -> str:
    """
    What a row keeps of what a peer may make as long as it likes: the ring has all of it.
    """
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\u2026"


def _unfinished(tracked: _Tracked) -> list[Row]:
    """
    The rows that the end of their connection is the end of, and the last one.
    """
    rows = {row.id: row for row in (*tracked.waiting, tracked.row)}
    if tracked.webSocket is not None:
        rows[tracked.webSocket.id] = tracked.webSocket
    return list(rows.values())
