"""
The HTTP messages of a connection, and what it switches to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

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
from ...wire.http.head import Head
from ...wire.http.scanning import is_lone_get
from ...wire.recording import (
    Closed,
    Direction,
    Dropped,
    Event,
    HalfClosed,
    Octets,
    Opened,
    Role,
)
from ...wire.websocket import handshake
from .item import Item, Kind
from .lanes import Lane
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


# What most are, made once.
_PLAIN = {
    method: _Asked(method, False, False)
    for method in (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE")
}


class _Like(NamedTuple):
    """
    A response that came whole, and alone.
    """

    method: bytes
    head: bytes
    length: int


class _Sections:
    """
    What header sections are for people: most are like the one before.
    """

    __slots__ = ("_pairs", "_raw")

    def __init__(self) -> None:
        self._raw: bytes | None = None
        self._pairs: list[tuple[str, str]] = []

    def pairs(self, fields: Fields) -> list[tuple[str, str]]:
        if fields.raw != self._raw:
            self._raw = fields.raw
            self._pairs = _pairs(fields)
        return self._pairs


class _Side:
    """
    What one side sends: messages, one after another.

    @ivar position: how many octets have come in all.
    """

    def __init__(
        self,
        opened: Opened,
        spool: Spool,
        direction: Direction,
        receiver: RequestReceiver | ResponseReceiver,
        headed: Callable[[Any], Kind],
        begun: Callable[[Item], None] | None,
        wanted: bool,
    ) -> None:
        """
        @param headed: called with each head; says what its message is.
        @param wanted: whether anybody looks at its messages; if not, they have nothing in them.
        """
        self.receiver = receiver
        self.position = 0
        self._opened = opened
        self._spool = spool
        self._direction = direction
        self._headed = headed
        self._begun = begun
        self.wanted = wanted
        self._began = 0
        # The message of which the head has come and the end has not.
        self._item: Item | None = None
        self._sections = _Sections()
        # What stands for messages that nobody looks at.
        self._unseen = Item(opened, 0, 0, Kind.NOTE, direction)
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
        Whether all that has come is in messages.
        """
        return self._item is None and not self.receiver.buffered and self._raw is None

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
        _, time, _, data, length = event
        if self._item is None and not self.receiver.buffered:
            self._began = time
        self.position += length
        self.receiver.receive(data)
        return () if len(data) == length else self.fail(time, cut(event))

    def alone(self, event: Octets, head: RequestHead | ResponseHead) -> Item:
        """
        Take octets that were read as one message without content, while this is C{idle}.

        @param head: its head.
        @return: the message.
        """
        _, time, _, data, length = event
        self._began = time
        self.position += length
        return self._begin(head, data, time)

    def next(self, time: int) -> Item | None:
        """
        Take what is next: the message when it is whole; L{None} when more octets are needed for
        it.
        """
        if self._raw is not None:
            return None
        receiver = self.receiver
        while True:
            try:
                event = receiver.next_event()
            except RemoteProtocolError as error:
                return next(iter(self.fail(time, str(error))), None)
            if event is None:
                return None
            item = self._item
            if item is None:
                assert isinstance(event, Head)
                item = self._begin(event, event.raw, time)
                content = receiver.take_content()
                if content is None:
                    # No end is told of a request without content.
                    if event.framing.has_content or isinstance(event, ResponseHead):
                        self._item = item
                        continue
                elif item.data is not None:
                    item.data.write(content)
            elif isinstance(event, Content):
                if item.data is not None:
                    item.data.write(event.data)
                if item.framed is not None:
                    item.framed.write(event.raw)
                continue
            elif isinstance(event, EndOfMessage):
                if item.framed is not None:
                    item.framed.write(event.raw)
                if len(event.trailers):
                    item.about["trailers"] = _pairs(event.trailers)
            self._item = None
            item.ended = self._began = time
            return item

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
            item.offset = self.position - len(rest)
        item.understood = item.length
        body = item.data if item.framed is None else item.framed
        if body is not None:
            body.write(rest)
        item.ended = time
        item.wrong = wrong
        return (item,)

    def _begin(self, head: RequestHead | ResponseHead, raw: bytes, time: int) -> Item:
        kind = self._headed(head)
        if not self.wanted:
            return self._unseen
        framing = head.framing
        item = Item(
            self._opened,
            self._began,
            time,
            kind,
            self._direction,
            self._spool.data() if framing.has_content else None,
            raw,
            self._spool.data() if framing.chunked else None,
            partial(_about, head, self._sections),
            offset=self.position - self.receiver.buffered - len(raw),
        )
        if self._begun is not None:
            self._begun(item)
        return item


class HTTPView:
    """
    An item for each request and each response, and for each message of what a connection switches
    to.
    """

    def __init__(
        self,
        opened: Opened,
        spool: Spool,
        begun: Callable[[Item], None] | None = None,
        only: Direction | None = None,
        taken: list[bytes] | None = None,
    ) -> None:
        """
        @param opened: the connection.
        @param spool: where octets wait.
        @param begun: called with each HTTP message whose head has come; the message itself may be
            far from whole.
        @param only: of which direction messages are wanted; of both by default.
        @param taken: where requests are put that pass, if any may.
        """
        serving = opened.role is Role.SERVER
        self._opened = opened
        self._spool = spool
        self._fromClient = Direction.RECEIVED if serving else Direction.SENT
        fromServer = Direction.SENT if serving else Direction.RECEIVED
        self._responses = ResponseReceiver(_LIMITS)
        self._client = _Side(
            opened,
            spool,
            self._fromClient,
            RequestReceiver(_LIMITS),
            self._request,
            begun,
            only is not fromServer,
        )
        self._server = _Side(
            opened,
            spool,
            fromServer,
            self._responses,
            self._response,
            begun,
            only is not self._fromClient,
        )
        # The requests that are not answered yet.
        self._asked: deque[_Asked] = deque()
        # The response that switches to another protocol, and what looks at that.
        self._switching: ResponseHead | None = None
        self._switched: RawView | WebSocketView | None = None
        # What came behind a request that may switch to another protocol.
        self._held: list[Octets] | None = None
        self._heldSize = 0
        # The last final response; one that others are like, where nobody looks at them.
        self._answer: ResponseHead | None = None
        self._like: _Like | None = None
        # Open while all requests that are not answered have passed, and nothing else waits.
        self.lane: Lane | None = None
        if taken is not None and only is self._fromClient:
            self.lane = Lane(only, is_lone_get, taken, _UNANSWERED)

    def feed(self, event: Event) -> Iterable[Item]:
        """
        Take the next event of the connection.

        @return: what it makes, to be gone through before the next one.
        """
        if self._switched is not None:
            return self._switched.feed(event)
        if self.lane is not None and self.lane.open:
            self._leaveLane(self.lane)
        if not isinstance(event, Octets):
            return self._other(event)
        if event.direction is self._fromClient:
            if self._held is not None:
                return self._hold(event)
            if self._client.idle and len(self._asked) < _UNANSWERED:
                return self._whole(event)
            side, messages = self._client, self._requests
        elif self._server.wanted:
            side, messages = self._server, self._answers
        else:
            return self._unseen(event)
        rest = side.receive(event)
        return chain(rest, messages(event.time)) if rest else messages(event.time)

    def _whole(self, event: Octets) -> Iterable[Item]:
        """
        Take what the client sent behind whole messages: most of that is one as well, and has no
        content.
        """
        client, data = self._client, event.data
        head = None
        if len(data) == event.length:
            # Who asks for what is next is told what is wrong.
            with suppress(RemoteProtocolError):
                head = client.receiver.receive_alone(data)
        if head is None:
            rest = client.receive(event)
            return chain(rest, self._requests(event.time))
        item = client.alone(event, head)
        if self._asked[-1].switches:
            self._held, self._heldSize = [], 0
        return (item,) if client.wanted else ()

    def _unseen(self, event: Octets) -> Iterable[Item]:
        """
        Take what the server sent where nobody looks at it: which requests are answered counts.
        """
        server, asked, data = self._server, self._asked, event.data
        method = asked[0].method if asked else b""
        alone = server.idle
        like = self._like
        if (
            like is not None
            and alone
            and method == like.method
            and len(data) == event.length == like.length
            and data.startswith(like.head)
            and self._held is None
        ):
            # What that head says was read already.
            asked.popleft()
            self._responses.pass_over()
            self._openLane()
            return ()
        self._answer = None
        rest = server.receive(event)
        items = self._answers(event.time)
        answer = self._answer
        if answer is not None and alone and server.idle:
            head = answer.raw
            if answer.framing.content_length == len(data) - len(head):
                self._like = _Like(method, head, len(data))
                if self.lane is not None and method == b"GET":
                    self.lane.answer = head, len(data)
            self._openLane()
        return chain(rest, items)

    def _openLane(self) -> None:
        """
        Have octets pass from here on, where all requests are answered and nothing waits.
        """
        if self.lane is not None:
            self.lane.open = (
                not self._asked
                and self._client.idle
                and self._server.idle
                and self._held is None
                and self._switching is None
            )

    def _leaveLane(self, lane: Lane) -> None:
        """
        Look at all of what comes again.
        """
        lane.open = False
        self._client.position += lane.octets
        for _ in range(lane.waiting):
            self._asked.append(_PLAIN[b"GET"])
            self._responses.request_sent(b"GET")
        lane.octets = lane.waiting = 0

    def _hold(self, event: Octets) -> Iterator[Item]:
        assert self._held is not None
        self._held.append(event)
        self._heldSize += len(event.data) + _EVENT
        if self._heldSize > _HELD:
            yield from self._release(event.time, "it was not answered before what follows")

    def _other(self, event: Event) -> Iterator[Item]:
        if isinstance(event, HalfClosed):
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

    def _request(self, head: RequestHead) -> Kind:
        # Most have no such field.
        opens = b"upgrade" in head.fields.raw.lower() and handshake.wants_upgrade(head.fields)
        switches = head.framing.upgrade or head.method == b"CONNECT"
        plain = None if opens or switches else _PLAIN.get(head.method)
        self._asked.append(plain or _Asked(head.method, opens, switches))
        self._responses.request_sent(head.method)
        return Kind.HANDSHAKE if opens else Kind.REQUEST

    def _response(self, head: ResponseHead) -> Kind:
        if not self._asked:
            return Kind.RESPONSE
        request = self._asked[0]
        if head.status >= 200:
            self._asked.popleft()
            self._answer = head
        if head.status == 101 or (request.method == b"CONNECT" and 200 <= head.status < 300):
            self._switching = head
        return Kind.HANDSHAKE if request.handshake else Kind.RESPONSE

    def _requests(self, time: int) -> Iterable[Item]:
        client = self._client
        items: list[Item] = []
        while self._held is None:
            if client.between and len(self._asked) >= _UNANSWERED:
                items += client.fail(time, "too many requests before it are not answered")
                break
            found = client.next(time)
            if found is None:
                break
            if client.wanted:
                items.append(found)
            if found.wrong:
                if not self._asked:
                    # It is answered all the same.
                    self._responses.request_sent(b"GET")
                break
            if self._asked and self._asked[-1].switches:
                self._held, self._heldSize = [], 0
            if not client.receiver.buffered:
                break
        return items

    def _answers(self, time: int) -> Iterable[Item]:
        server = self._server
        items: list[Item] = []
        while (found := server.next(time)) is not None:
            if server.wanted:
                items.append(found)
            if self._switching is not None:
                return chain(items, self._switch(self._switching, time))
            if self._held is not None and not self._asked:
                # Refused: the client goes on in HTTP.
                held, self._held = self._held, None
                for event in held:
                    items += self.feed(event)
                items += self._requests(time)
            elif not server.receiver.buffered:
                break
        return items

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


def _about(head: RequestHead | ResponseHead, sections: _Sections) -> dict[str, Any]:
    about: dict[str, Any]
    if isinstance(head, RequestHead):
        about = {"method": _text(head.method), "target": _text(head.target)}
    else:
        about = {"status": head.status, "reason": _text(head.reason)}
    about["version"] = _VERSIONS[head.minor]
    about["fields"] = sections.pairs(head.fields)
    return about


def _pairs(fields: Fields) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields]


def _text(octets: bytes) -> str:
    return octets.decode("latin-1")
