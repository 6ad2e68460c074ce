"""
The views of all connections of a recording.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import filterfalse
from typing import Protocol

from ...wire.addresses import address_text
from ...wire.http.fields import TCHAR
from ...wire.recording import (
    Closed,
    Direction,
    Dropped,
    Event,
    HalfClosed,
    Note,
    Octets,
    Opened,
    PlainOctets,
    Role,
    Secured,
)
from .http import HTTPView
from .item import Item, Kind
from .lanes import Lane, passes
from .raw import ContentView, RawView
from .spool import Spool

# How an HTTP request begins: with a method that all know, or a line that says so at its end;
# two words alone begin what anything else may say.
_REQUEST = re.compile(
    rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE) [!-~]|"
    + TCHAR
    + rb"{1,40} [^\r\n]+ HTTP/[0-9]"
)
# What may become that.
_PERHAPS = re.compile(TCHAR + rb"{1,40}(?: [^\r\n]*)?")
_LONGEST_LINE = 2**13

_new = tuple.__new__


class View(Protocol):
    """
    Makes items of the events of a connection.
    """

    def feed(self, event: Event) -> Iterable[Item]:
        """
        Take the next event of the connection.

        @return: what it makes, to be gone through before the next one.
        """


class GuessView:
    """
    Finds out by a client's first octets what it speaks.
    """

    def __init__(
        self, opened: Opened, spool: Spool, begun: Callable[[Item], None] | None = None
    ) -> None:
        """
        @param opened: the connection.
        @param spool: where octets wait.
        @param begun: as in L{HTTPView}.
        """
        self._opened = opened
        self._spool = spool
        self._begun = begun
        self._view: View | None = None
        self._held: list[Event] = []
        self._first = b""

    def feed(self, event: Event) -> Iterator[Item]:
        """
        Take the next event of the connection.
        """
        if self._view is not None:
            yield from self._view.feed(event)
            return
        self._held.append(event)
        self._view = self._guess(event)
        if self._view is not None:
            held, self._held = self._held, []
            for each in held:
                yield from self._view.feed(each)

    def _guess(self, event: Event) -> View | None:
        if isinstance(event, Octets):
            serving = self._opened.role is Role.SERVER
            fromClient = Direction.RECEIVED if serving else Direction.SENT
            if event.direction is not fromClient:
                # Who waits to be spoken to does not speak HTTP.
                return RawView(self._opened, self._spool)
            self._first += event.data[: _LONGEST_LINE - len(self._first)]
            if _REQUEST.match(self._first):
                return HTTPView(self._opened, self._spool, self._begun)
            if len(self._first) < _LONGEST_LINE and _PERHAPS.fullmatch(self._first):
                return None
            return RawView(self._opened, self._spool)
        if isinstance(event, HalfClosed | Dropped | Closed):
            return RawView(self._opened, self._spool)
        return None


_RAW: dict[str, Callable[[Opened, Spool], View]] = {"echo": RawView, "print-respond": ContentView}
_HTTP = {"http", "websocket"}


def viewOf(
    opened: Opened,
    spool: Spool,
    *,
    contents: bool = True,
    begun: Callable[[Item], None] | None = None,
    only: Direction | None = None,
    taken: list[bytes] | None = None,
) -> View:
    """
    Make what looks at a connection: by what its service speaks, or by what its client says first.

    @param opened: the connection.
    @param spool: where octets wait.
    @param contents: as in L{Views}.
    @param begun: as in L{HTTPView}.
    @param only: as in L{Views}.
    @param taken: as in L{HTTPView}.
    """
    if opened.service in _HTTP:
        return HTTPView(opened, spool, begun, only, taken)
    make = _RAW.get(opened.service)
    if make is None:
        return GuessView(opened, spool, begun)
    return make(opened, spool) if contents else RawView(opened, spool)


class Views:
    """
    Makes items of the events of a recording.
    """

    def __init__(
        self,
        *,
        contents: bool = True,
        only: Direction | None = None,
        taken: Callable[[Opened], list[bytes] | None] = lambda opened: None,
    ) -> None:
        """
        @param contents: whether what a side sent is one item where its service takes it as one,
            and not an item for each piece.
        @param only: of which direction items are wanted; those of the other one may be left out.
            All are by default.
        @param taken: asked for each connection, it returns where octets are put of which nothing
            else is wanted, in their turn: what came as one message may be put there in place of
            an item. By default, all are items.
        """
        self._contents = contents
        self._only = only
        self._taken = taken
        self._spool = Spool()
        self._connections: dict[int, tuple[Opened, View]] = {}
        self._lanes: dict[int, Lane] = {}

    def feed(self, events: Iterable[Event | PlainOctets]) -> Iterator[Item]:
        """
        Take the next events.
        """
        connections = self._connections
        for event in filterfalse(partial(passes, self._lanes), events):
            if isinstance(event, tuple):
                # Nearly all are these.
                known = connections.get(event[0])
                if known is not None:
                    # Without the call in Python that a named tuple's class makes.
                    yield from known[1].feed(_new(Octets, event))
                continue
            if isinstance(event, Opened):
                view = viewOf(
                    event,
                    self._spool,
                    contents=self._contents,
                    only=self._only,
                    taken=self._taken(event),
                )
                connections[event.connection] = event, view
                if isinstance(view, HTTPView) and view.lane is not None:
                    self._lanes[event.connection] = view.lane
                about = {"host": address_text(event.host)}
                yield Item(event, event.time, event.time, Kind.OPENED, about=about)
                continue
            known = connections.get(event.connection)
            if known is None:
                continue
            opened, view = known
            time = event.time
            yield from view.feed(event)
            if isinstance(event, Note):
                yield Item(opened, time, time, Kind.NOTE, about={"text": event.text})
            elif isinstance(event, Secured):
                said = {"tls": event.version, "alpn": event.alpn, "sni": event.sni}
                text = ", ".join(f"{name} {value}" for name, value in said.items() if value)
                yield Item(opened, time, time, Kind.NOTE, about={"text": text, **said})
            elif isinstance(event, Dropped):
                text = f"{event.received} octets received and {event.sent} sent are not recorded"
                missing = {"received": event.received, "sent": event.sent}
                yield Item(opened, time, time, Kind.NOTE, about={"text": text, **missing})
            elif isinstance(event, Closed):
                del connections[event.connection]
                self._lanes.pop(event.connection, None)
                how = {"how": event.how.value, "reason": event.reason}
                yield Item(opened, time, time, Kind.CLOSED, about=how)
