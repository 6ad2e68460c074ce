"""
The feed: rows as they change, over a WebSocket.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from time import monotonic, time
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from ..websocket import WebSocketTransport
from .filters import Filter, FilterError, parseFilter
from .indexing import Indexing
from .parameters import APIError, Members, readJSON
from .rows import Row

# How many rows a message has at most, and at least where there are as many.
_MOST = 2_000
_LEAST = 10

# How many messages may be under way to somebody who acknowledges them.
_WINDOW = 8


# How many seconds the first statistics are about.
_SECONDS = 60

_encode = json.JSONEncoder(separators=(",", ":")).encode


@implementer(IPushProducer)
class Feed:
    """
    Tells one who watches what happens.
    """

    def __init__(
        self,
        indexing: Indexing,
        session: str,
        row: Callable[[Row], dict[str, Any]],
        *,
        since: int,
        resumes: bool,
        filter: Filter,
        readOnly: bool,
        left: Callable[[Feed], None],
    ) -> None:
        """
        @param indexing: what goes through the events.
        @param session: what tells this run of the program from others.
        @param row: makes what the API says of a row.
        @param since: the last change that is known there.
        @param resumes: whether that is of this session.
        @param filter: which rows are wanted.
        @param readOnly: whether nothing can be changed.
        @param left: called when it is over.
        """
        self._indexing = indexing
        self._rows = indexing.index.rows
        self._session = session
        self._row = row
        self._resumed = resumes and self._rows.cleared <= since <= self._rows.sequence
        self._sequence = since if self._resumed else 0
        self._skipped = self._rows.goneSince(self._sequence) if self._resumed else 0
        self._filter = filter
        self._readOnly = readOnly
        self._left = left
        self._transport: WebSocketTransport | None = None
        self._cleared = self._rows.cleared
        self._paused = False
        self._full = False
        self._under: list[int] = []
        self._acknowledges = False
        self._second = int(time()) - _SECONDS
        self._events = -1

    # What a WebSocketProtocol is told.

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self._transport = transport

    def negotiationFinished(self) -> None:
        assert self._transport is not None
        self._transport.attachProducer(self)
        self._send(
            {
                "type": "hello",
                "session": self._session,
                "sequence": self._rows.sequence,
                "resumed": self._resumed,
                "readOnly": self._readOnly,
            }
        )
        self._indexing.watch(self.tell)

    def textMessageReceived(self, message: str) -> None:
        try:
            self._received(Members(readJSON(message.encode()), "a message"))
        except (APIError, FilterError) as error:
            self._wrong(str(error))

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        self._wrong("messages are JSON, as text")

    def pongReceived(self, payload: bytes) -> None:
        """
        It is there.
        """

    def connectionLost(self, reason: Failure) -> None:
        if self._transport is not None:
            self._transport = None
            self._indexing.leave(self.tell)
            self._left(self)

    # What paces it.

    def pauseProducing(self) -> None:
        self._full = True

    def resumeProducing(self) -> None:
        self._full = False
        self._indexing.wake()

    def stopProducing(self) -> None:
        self._full = True

    # What is told.

    def close(self) -> None:
        """
        End it: the inspector stops.
        """
        if self._transport is not None:
            self._transport.loseConnection(1001, "the inspector stops")

    def send(self, message: dict[str, Any]) -> None:
        """
        Tell something that is no row.
        """
        self._send(message)

    def tell(self, seconds: float) -> None:
        """
        Tell what has changed.

        @param seconds: how long that may take.
        """
        if self._cleared != self._rows.cleared:
            self._cleared = self._sequence = self._rows.cleared
            self._under.clear()
            self._send({"type": "clear", "sequence": self._sequence})
        now = int(time())
        if now > self._second and not self._full:
            statistics = self._indexing.index.statistics
            self._send({"type": "stats", "seconds": statistics.json(self._second, now)})
            self._second = now
        if self._paused or self._full or len(self._under) >= _WINDOW:
            return
        self._tellRows(monotonic() + seconds)

    def _tellRows(self, until: float) -> None:
        index, rows = self._indexing.index, self._rows
        gone = rows.goneSince(self._sequence)
        changed = rows.since(self._sequence)
        skipped, self._skipped = self._skipped + gone, 0
        if not changed and not skipped and self._events == index.ring.taken:
            return
        told: list[str] = []
        looked = 0
        for row in reversed(changed):
            looked += 1
            self._sequence = row.sequence
            if self._filter.matches(row):
                told.append(_encode(self._row(row)))
                if len(told) >= _MOST or (len(told) >= _LEAST and monotonic() > until):
                    break
            elif not looked % 32 and monotonic() > until:
                break
        self._events = index.ring.taken
        about = _encode(
            {
                "type": "rows",
                "sequence": self._sequence,
                "skipped": skipped,
                "behind": index.behind,
                "events": self._events,
            }
        )
        if self._acknowledges:
            self._under.append(self._sequence)
        assert self._transport is not None
        self._transport.sendTextMessage(f'{about[:-1]},"rows":[{",".join(told)}]}}')
        if looked < len(changed):
            self._indexing.wake()

    def _wrong(self, error: str) -> None:
        # Who does not read what is wrong need not be told of more.
        if not self._full:
            self._send({"type": "error", "error": error})

    def _send(self, message: dict[str, Any]) -> None:
        if self._transport is not None:
            self._transport.sendTextMessage(_encode(message))

    def _received(self, members: Members) -> None:
        kind = members.choice("type", ("ack", "filter", "pause", "resume"))
        if kind == "ack":
            sequence = members.take("sequence")
            if not isinstance(sequence, int):
                raise APIError(400, "an ack has a sequence, a number")
            self._acknowledges = True
            self._under = [each for each in self._under if each > sequence]
        elif kind == "filter":
            self._filter = feedFilter(members.text("filter") or "")
        elif kind is None:
            raise APIError(400, "a message has a type: ack, filter, pause or resume")
        else:
            self._paused = kind == "pause"
        members.end()
        self._indexing.wake()


def feedFilter(text: str) -> Filter:
    """
    Parse the filter of a feed.

    @raise FilterError: it cannot be had for a feed.
    """
    filter = parseFilter(text)
    if filter.texts:
        raise FilterError("a feed is not filtered by text: ask /api/exchanges/ids for that")
    return filter
