"""
The HTTP messages of a connection, and what it switches to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ...wire.errors import RemoteProtocolError
from ...wire.http import (
    Content,
    EndOfMessage,
    Fields,
    Limits,
    RequestHead,
    RequestReceiver,
    ResponseHead,
    ResponseReceiver,
)
from ...wire.recording import Closed, Direction, Dropped, Event, HalfClosed, Octets, Opened, Role
from ...wire.websocket import handshake
from .item import Item, Kind
from .raw import RawView, cut
from .spool import Spool
from .websocket import WebSocketView

# What a service refuses because it is too much is shown as well.
_MUCH = 2**20
_LIMITS = Limits(
    request_line=_MUCH,
    header_section=_MUCH,
    fields=_MUCH,
    content=0,
    chunk_extensions=_MUCH,
    trailer_section=_MUCH,
)


# How many requests may wait to be answered, and how many octets behind one that may switch to
# another protocol; beyond that they are shown as what they are.
_UNANSWERED = 10_000
_HELD = 2**20

# About what an event takes in memory beside its octets.
_EVENT = 100

_VERSIONS = [f"HTTP/1.{minor}" for minor in range(10)]


class _Asked(NamedTuple):
    """
    What there is to know of a request when it is answered.
    """

    method: bytes
    handshake: bool
    switches: bool


class _Side:
    """
    What one side sends: messages, one after another.
    """

    def __init__(
        self,
        opened: Opened,
        spool: Spool,
        direction: Direction,
        receiver: RequestReceiver | ResponseReceiver,
        begun: Callable[[Item], None] | None,
    ) -> None:
        self.receiver = receiver
        self._opened = opened
        self._spool = spool
        self._direction = direction
        self._begun = begun
        self._began = 0
        # How many octets have come in all.
        self._position = 0
        # The message of which the head has come and the end has not; whether nothing follows it.
        self._item: Item | None = None
        self._headAlone = False
        # The last header section: most are like the one before.
        self._section: bytes | None = None
        self._fields: list[tuple[str, str]] = []
        self.wantsUpgrade = False
        # What is not HTTP any more.
        self._raw: RawView | None = None

    @property
    def between(self) -> bool:
        """
        Whether no head has come of which the message has not.
        """
        return self._item is None

    @property
    def idle(self) -> bool:
        """
        Whether nothing of a message has come.
        """
        return self._item is None and not self.receiver.buffered

    @property
    def failed(self) -> bool:
        """
        Whether it is not HTTP any more.
        """
        return self._raw is not None

    def receive(self, event: Octets) -> Iterable[Item]:
        """
        Take octets.

        @return: what they are that are not HTTP.
        """
        if self._raw is not None:
            return self._raw.feed(event)
        if self.idle:
            self._began = event.time
        self._position += event.length
        self.receiver.receive(event.data)
        wrong = cut(event)
        return self.fail(event.time, wrong) if wrong else ()

    def next(self, time: int) -> Item | RequestHead | ResponseHead | None:
        """
        Take what is next: the head of a message, or the message when it is whole; L{None} when
        more octets are needed for it.
        """
        if self._raw is not None:
            return None
        if self._headAlone:
            return self._end(time)
        while True:
            try:
                event = self.receiver.next_event()
            except RemoteProtocolError as error:
                return next(iter(self.fail(time, str(error))), None)
            if event is None:
                return None
            item = self._item
            if isinstance(event, Content):
                assert item is not None
                assert item.data is not None
                item.data.write(event.data)
                if item.framed is not None:
                    item.framed.write(event.raw)
            elif isinstance(event, EndOfMessage):
                assert item is not None
                if item.framed is not None:
                    item.framed.write(event.raw)
                if len(event.trailers):
                    item.about["trailers"] = _pairs(event.trailers)
                return self._end(time)
            else:
                self._begin(event, time)
                # No end is told of those.
                self._headAlone = isinstance(event, RequestHead) and not event.framing.has_content
                return event

    def fail(self, time: int, wrong: str) -> Iterable[Item]:
        """
        Nothing more of this side can be understood.

        @return: what has come and is in no item yet.
        """
        item, self._item = self._item, None
        rest = self.receiver.detach()
        self._raw = RawView(self._opened, self._spool)
        if item is None:
            if not rest:
                return ()
            kind = Kind.REQUEST if isinstance(self.receiver, RequestReceiver) else Kind.RESPONSE
            item = Item(self._opened, self._began, time, kind, self._direction)
            item.data = self._spool.data()
            item.offset = self._position - len(rest)
        item.understood = item.length
        body = item.data if item.framed is None else item.framed
        assert body is not None
        body.write(rest)
        item.ended = time
        item.wrong = wrong
        return (item,)

    def mark(self, kind: Kind) -> None:
        """
        Say what the message is whose head has come.
        """
        if self._item is not None:
            self._item.kind = kind
            if self._begun is not None:
                self._begun(self._item)

    def _begin(self, head: RequestHead | ResponseHead, time: int) -> None:
        fields = head.fields
        if fields.raw != self._section:
            self._section = fields.raw
            self._fields = _pairs(fields)
            self.wantsUpgrade = handshake.wants_upgrade(fields)
        about: dict[str, object]
        if isinstance(head, RequestHead):
            kind = Kind.REQUEST
            about = {"method": _text(head.method), "target": _text(head.target)}
        else:
            kind = Kind.RESPONSE
            about = {"status": head.status, "reason": _text(head.reason)}
        about["version"] = _VERSIONS[head.minor]
        about["fields"] = self._fields
        raw = head.raw
        self._item = Item(
            self._opened,
            self._began,
            time,
            kind,
            self._direction,
            self._spool.data(),
            raw,
            self._spool.data() if head.framing.chunked else None,
            about,
            offset=self._position - self.receiver.buffered - len(raw),
        )

    def _end(self, time: int) -> Item:
        item, self._item = self._item, None
        assert item is not None
        self._headAlone = False
        item.ended = time
        self._began = time
        return item


class HTTPView:
    """
    An item for each request and each response, and for each message of what a connection switches
    to.
    """

    def __init__(
        self, opened: Opened, spool: Spool, begun: Callable[[Item], None] | None = None
    ) -> None:
        """
        @param opened: the connection.
        @param spool: where octets wait.
        @param begun: called with each HTTP message whose head has come; the message itself may be
            far from whole.
        """
        serving = opened.role is Role.SERVER
        self._opened = opened
        self._spool = spool
        self._fromClient = Direction.RECEIVED if serving else Direction.SENT
        fromServer = Direction.SENT if serving else Direction.RECEIVED
        self._responses = ResponseReceiver(_LIMITS)
        self._client = _Side(opened, spool, self._fromClient, RequestReceiver(_LIMITS), begun)
        self._server = _Side(opened, spool, fromServer, self._responses, begun)
        # The requests that are not answered yet.
        self._asked: deque[_Asked] = deque()
        self._switched: RawView | WebSocketView | None = None
        # What came behind a request that may switch to another protocol.
        self._held: list[Octets] | None = None
        self._heldSize = 0

    def feed(self, event: Event) -> Iterator[Item]:
        """
        Take the next event of the connection.
        """
        if self._switched is not None:
            yield from self._switched.feed(event)
        elif isinstance(event, Octets):
            if event.direction is not self._fromClient:
                yield from self._server.receive(event)
                yield from self._answers(event.time)
            elif self._held is not None:
                self._held.append(event)
                self._heldSize += len(event.data) + _EVENT
                if self._heldSize > _HELD:
                    yield from self._release(event.time, "it was not answered before what follows")
            else:
                yield from self._client.receive(event)
                yield from self._requests(event.time)
        elif isinstance(event, HalfClosed):
            side = self._client if event.direction is self._fromClient else self._server
            side.receiver.receive_end()
            yield from self._requests(event.time)
            yield from self._answers(event.time)
        elif isinstance(event, Dropped):
            if event.received:
                yield from self._lost(Direction.RECEIVED, event.received, event.time)
            if event.sent:
                yield from self._lost(Direction.SENT, event.sent, event.time)
        elif isinstance(event, Closed):
            self._server.receiver.receive_end()
            yield from self._answers(event.time)
            if self._switched is not None:
                yield from self._switched.feed(event)
                return
            reason = f"cut short: {event.reason or event.how}"
            yield from self._release(event.time, reason)
            yield from self._client.fail(event.time, reason)
            yield from self._server.fail(event.time, reason)

    def _lost(self, direction: Direction, octets: int, time: int) -> Iterator[Item]:
        side = self._client if direction is self._fromClient else self._server
        yield from side.fail(time, f"{octets} octets that follow were not recorded")

    def _release(self, time: int, wrong: str) -> Iterator[Item]:
        """
        Show what came behind a request that is not answered.
        """
        held, self._held = self._held, None
        if held is None:
            return
        yield from self._client.fail(time, wrong)
        for event in held:
            yield from self._client.receive(event)

    def _requests(self, time: int) -> Iterator[Item]:
        client = self._client
        asked: _Asked | None = None
        while self._held is None:
            if client.between and len(self._asked) >= _UNANSWERED:
                yield from client.fail(time, "too many requests before it are not answered")
                return
            found = client.next(time)
            if found is None:
                return
            if isinstance(found, RequestHead):
                asked = _Asked(
                    found.method,
                    client.wantsUpgrade,
                    found.framing.upgrade or found.method == b"CONNECT",
                )
                self._asked.append(asked)
                self._responses.request_sent(found.method)
                client.mark(Kind.HANDSHAKE if asked.handshake else Kind.REQUEST)
                continue
            assert isinstance(found, Item)
            yield found
            if found.wrong:
                if asked is None and not self._asked:
                    # It is answered all the same.
                    self._responses.request_sent(b"GET")
                return
            last = self._asked[-1] if self._asked else asked
            if last is not None and last.switches:
                self._held, self._heldSize = [], 0
            asked = None

    def _answers(self, time: int) -> Iterator[Item]:
        server = self._server
        switching: ResponseHead | None = None
        while (found := server.next(time)) is not None:
            if isinstance(found, ResponseHead):
                request = self._asked[0] if self._asked else None
                answers = request is not None and request.handshake
                server.mark(Kind.HANDSHAKE if answers else Kind.RESPONSE)
                if found.status >= 200 and self._asked:
                    self._asked.popleft()
                if request is not None and (
                    found.status == 101
                    or (request.method == b"CONNECT" and 200 <= found.status < 300)
                ):
                    switching = found
                continue
            assert isinstance(found, Item)
            yield found
            if switching is not None:
                yield from self._switch(switching, time)
                return
            if self._held is not None and not self._asked:
                # Refused: the client goes on in HTTP.
                held, self._held = self._held, None
                for event in held:
                    yield from self.feed(event)
                yield from self._requests(time)

    def _switch(self, response: ResponseHead, time: int) -> Iterator[Item]:
        view: RawView | WebSocketView = RawView(self._opened, self._spool)
        if (
            response.status == 101
            and handshake.wants_upgrade(response.fields)
            and not self._client.failed
        ):
            view = WebSocketView(self._opened, self._spool, response.fields)
        self._switched = view
        fromServer = (
            Direction.SENT if self._fromClient is Direction.RECEIVED else Direction.RECEIVED
        )
        for side, direction in ((self._client, self._fromClient), (self._server, fromServer)):
            rest = side.receiver.detach()
            if rest:
                yield from view.feed(
                    Octets(self._opened.connection, time, direction, rest, len(rest))
                )
        held, self._held = self._held or [], None
        for event in held:
            yield from view.feed(event)


def _pairs(fields: Fields) -> list[tuple[str, str]]:
    return [(_text(name), _text(value)) for name, value in fields]


def _text(octets: bytes) -> str:
    return octets.decode("latin-1")
