"""
Faults of HTTP messages: they look for those in what goes by.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from ..wire.errors import HTTPProtocolError
from ..wire.http import Limits, RequestHead, RequestReceiver, ResponseHead, ResponseReceiver
from ..wire.http.content import Content, EndOfMessage
from ..wire.http.framing import has_content
from ..wire.http.response import status_line
from ..wire.websocket.handshake import wants_upgrade
from .faults import ArmedFault
from .framefaults import FrameFaults
from .specification import Fault, Side, Unit
from .stages import Delayed, End, FaultyConnection, Piece, Stage

_LIMITS = Limits(content=0)

_CONTENT_LENGTH = re.compile(rb"(?i)(\r\ncontent-length:[ \t]*)([0-9]+)")

# What strikes by the pace of the response.
_PACED = ("delay-head", "drip")

# So many requests may wait for their responses; with more of them, it is not followed any further
# what is spoken.
_MOST_WAITING = 256

# So many octets may be sent behind a request for another protocol, before it is known whether they
# are in that; with more of them, the same.
_MOST_BEHIND = 2**16


class Exchange:
    """
    A request, and what it and its response are to suffer.

    @ivar changes: whether it asks for another protocol.
    @ivar handshake: whether that is WebSocket.
    @ivar asked: the faults that there were when it went by.
    @ivar faults: those of them that strike.
    """

    __slots__ = ("_target", "asked", "changes", "faults", "handshake", "method")

    def __init__(self, head: RequestHead) -> None:
        self.method = head.method
        self.changes = head.framing.upgrade or head.method == b"CONNECT"
        self.handshake = self.changes and wants_upgrade(head.fields)
        self.asked: tuple[ArmedFault, ...] = ()
        self.faults: list[ArmedFault] = []
        self._target = head.target

    @property
    def path(self) -> str:
        """
        The path of what is asked for, without the query.
        """
        return self._target.partition(b"?")[0].decode("latin-1")

    def concernedBy(self, fault: Fault) -> bool:
        """
        Whether a fault is meant for this request.
        """
        return fault.matches(self.method.decode("latin-1"), self.path)

    def __str__(self) -> str:
        return f"{self.method.decode('latin-1')} {self.path}"


class Exchanges:
    """
    What a connection speaks: HTTP, WebSocket from an upgrade on, or what is not understood.

    @ivar faults: those that strike requests, handshakes or frames.
    @ivar gated: the stages of faults that strike all octets of some requests.
    """

    def __init__(self, connection: FaultyConnection) -> None:
        """
        @param connection: the connection.
        """
        self.connection = connection
        self.faults: dict[str, ArmedFault] = {}
        self.gated: dict[str, Stage] = {}
        self.waiting: deque[Exchange] = deque()
        self.requests = RequestStage(self)
        self.responses = ResponseStage(self)
        self.pace = Pace(connection)

    def forget(self) -> None:
        """
        Nothing more goes by: let go of what leads back here.
        """
        for stage in (self.requests, self.responses, self.pace):
            stage.forget()
        del self.requests, self.responses, self.pace

    def add(self, armed: ArmedFault, stage: Stage | None) -> None:
        """
        Have a fault strike, from the next message on.

        @param stage: what it does, where it strikes all octets of some requests.
        """
        self.faults[armed.name] = armed
        if stage is not None:
            self.gated[armed.name] = stage
        self.changed()

    def remove(self, armed: ArmedFault) -> None:
        """
        Have a fault strike no more. What it has done to a message is not undone.
        """
        if self.faults.pop(armed.name, None) is not None:
            self.gated.pop(armed.name, None)
            self.responses.spare(armed)
            if armed.fault.kind in _PACED:
                self.pace.release()
            self.changed()

    def changed(self) -> None:
        """
        Go by other faults, or by others than before of the same name.
        """
        sides = {armed.fault.side for armed in self.faults.values()}
        self.requests.arm(Side.UPSTREAM in sides)
        self.responses.arm(Side.DOWNSTREAM in sides)

    def decide(self, head: RequestHead) -> Exchange:
        """
        A request goes by.
        """
        exchange = Exchange(head)
        if self.faults:
            exchange.asked = tuple(self.faults.values())
            self._decide(exchange, exchange.asked)
        self.waiting.append(exchange)
        self.responses.receiver.request_sent(exchange.method)
        return exchange

    def answered(self) -> Exchange:
        """
        The response to the first one that waits begins: faults that came since the request strike
        it as well, and those that went do not.
        """
        exchange = self.waiting.popleft()
        if self.faults or exchange.faults:
            came = [
                armed
                for armed in self.faults.values()
                if armed not in exchange.asked and armed.fault.side is Side.DOWNSTREAM
            ]
            self._decide(exchange, came)
            exchange.faults = [
                armed for armed in exchange.faults if self.faults.get(armed.name) is armed
            ]
        return exchange

    def _decide(self, exchange: Exchange, asked: Iterable[ArmedFault]) -> None:
        for armed in asked:
            fault = armed.fault
            if fault.unit is Unit.HANDSHAKE and not exchange.handshake:
                continue
            if fault.unit is Unit.MESSAGE or not exchange.concernedBy(fault):
                continue
            if armed.strikes():
                exchange.faults.append(armed)

    def open(self, exchange: Exchange | None, side: Side) -> None:
        """
        Have the faults of a request, and those alone, strike what follows in one direction.
        """
        struck = () if exchange is None else exchange.faults
        names = {armed.name for armed in struck}
        for name, stage in self.gated.items():
            if stage.fault.side is side:
                stage.choose(name in names)

    def switch(self, exchange: Exchange | None) -> None:
        """
        The connection goes on in another protocol.

        @param exchange: the handshake, if that is WebSocket.
        """
        for stage, side in ((self.responses, Side.DOWNSTREAM), (self.requests, Side.UPSTREAM)):
            # Where the request is not over, nobody knows what comes.
            followed = exchange is not None and stage.receiver.remaining == 0
            stage.switch(
                FrameFaults(self.connection, self.faults, exchange.concernedBy, stage, side)
                if exchange is not None and followed
                else None
            )

    def giveUp(self) -> None:
        """
        This is not understood: let it pass.
        """
        for stage in (self.responses, self.requests):
            stage.switch(None)


class MessageStage(Stage):
    """
    Cuts one direction into messages. While none of them may be struck it only looks at them, and
    passes everything on as it comes.

    @ivar receiver: what finds the messages.
    @ivar waits: whether what comes is not looked at yet.
    @ivar opaque: whether what comes is HTTP no more.
    @ivar frames: what strikes the frames, once it is WebSocket.
    """

    receiver: Any
    waits = False
    opaque = False
    frames: FrameFaults | None = None
    # Whether faults may strike what comes: it is passed on once it is known what it is.
    _strikes = False
    # Whether the rest of a message is dropped, for another one took its place.
    _dropping = False
    # How many octets of those that the receiver has in no event yet were passed on already.
    _passed = 0

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges
        self.name = ""

    @property
    def busy(self) -> bool:
        """
        Whether what comes is struck, or may be.
        """
        return self._strikes or self._dropping

    @property
    def passes(self) -> bool:
        return not self.busy and (self.frames is None or self.frames.passes)

    def look(self, data: bytes) -> None:
        """
        Take what passes this, while all passes.
        """
        if self.frames is not None:
            self.frames.splitter.follow(data)
        elif not self.opaque:
            self.follow(data)

    def put(self, data: bytes) -> None:
        if not data or (self.opaque and self._dropping):
            return
        if self.frames is not None:
            self.frames.put(data)
        elif self.opaque:
            self.next.put(data)
        elif self._strikes or self._dropping:
            self.take(data)
            if not (self.busy or self.opaque):
                self.letGo()
        else:
            # First, for what is passed on may be answered at once.
            self.follow(data)
            self.next.put(data)

    def follow(self, data: bytes) -> None:
        """
        Go through what has arrived, and is passed on as it is.
        """
        receiver = self.receiver
        try:
            if not self.waits and (head := receiver.receive_alone(data)) is not None:
                self.wentBy(head)
                return
            receiver.receive(data)
            self._passed = receiver.buffered
            while not (self.opaque or self.waits):
                event = receiver.next_event()
                if event is None:
                    break
                if event.__class__ is not Content:
                    self.happened(event, b"", True)
        except HTTPProtocolError:
            self.exchanges.giveUp()
        self._passed = receiver.buffered

    def take(self, data: bytes) -> None:
        """
        Go through what has arrived, and pass on what was not yet.
        """
        receiver = self.receiver
        receiver.receive(data)
        before = receiver.buffered
        try:
            while not (self.opaque or self.waits):
                before = receiver.buffered
                begun = self._passed > 0
                event = receiver.next_event()
                octets = self._octets(event, before - receiver.buffered)
                if event is not None:
                    self.happened(event, octets, begun)
                else:
                    self._pass(octets)
                    break
        except HTTPProtocolError:
            self._pass(self._octets(None, before - receiver.buffered))
            self.exchanges.giveUp()

    def happened(self, event: Any, octets: bytes, begun: bool) -> None:
        """
        Take an event.

        @param octets: what is to be passed on of it.
        @param begun: whether that is the rest, since it was passed on in part.
        """
        raise NotImplementedError

    def wentBy(self, head: Any) -> None:
        """
        Take a message that was passed on as it is.

        @param head: its head.
        """
        raise NotImplementedError

    def _octets(self, event: Any, used: int) -> bytes:
        """
        The octets of an event that were not passed on yet.
        """
        passed = min(self._passed, used)
        self._passed -= passed
        if passed == used:
            return b""
        octets: bytes = b"" if event is None else event.raw
        # In front of a request there may be empty lines, which are part of no event.
        return (b"\r\n" * ((used - len(octets)) // 2) + octets)[passed:]

    def _pass(self, octets: bytes) -> None:
        if octets:
            self.next.put(octets)

    def arm(self, strikes: bool) -> None:
        """
        Have messages struck that begin from here on, or none.
        """
        was, self._strikes = self.busy, strikes
        if self.frames is not None:
            self.frames.changed()
        elif was and not (self.busy or self.opaque):
            self.letGo()

    def letGo(self) -> None:
        """
        Pass on what is held back.
        """
        rest = self.receiver.detach()
        self.receiver.receive(rest)
        passed, self._passed = self._passed, len(rest)
        self._pass(rest[passed:])

    def switch(self, frames: FrameFaults | None) -> None:
        """
        What comes from here on is HTTP no more.

        @param frames: what strikes its frames, if it is WebSocket.
        """
        if self.opaque:
            return
        self.opaque, self.frames, self.waits = True, frames, False
        rest, passed = self.receiver.detach(), self._passed
        self.held = self._passed = 0
        if frames is not None:
            frames.changed()
            frames.splitter.follow(rest[:passed])
        self.put(rest[passed:])
        self.exchanges.connection.moved()

    def forget(self) -> None:
        super().forget()
        self.frames = None

    def end(self, end: End) -> None:
        self.release()
        self.next.end(end)

    def release(self) -> None:
        if self.frames is not None:
            rest = self.frames.splitter.letGo()
        else:
            rest, self._passed = self.receiver.detach()[self._passed :], 0
        self.held = 0
        self._pass(rest)


class RequestStage(MessageStage):
    """
    Looks for the requests in what a client sends.
    """

    def __init__(self, exchanges: Exchanges) -> None:
        super().__init__(exchanges)
        self.receiver = RequestReceiver(_LIMITS)
        # The request for another protocol: before its response, nobody knows what is behind it.
        self._changing: Exchange | None = None

    def take(self, data: bytes) -> None:
        super().take(data)
        self._bound()

    def follow(self, data: bytes) -> None:
        super().follow(data)
        if self.waits or self.held:
            self._bound()

    def letGo(self) -> None:
        super().letGo()
        self._bound()

    def happened(self, event: Any, octets: bytes, begun: bool) -> None:
        if isinstance(event, RequestHead):
            self._headSent(event, begun)
        elif isinstance(event, EndOfMessage):
            self.waits = self._changing is not None
        self._pass(octets)
        if len(self.exchanges.waiting) > _MOST_WAITING:
            self.exchanges.giveUp()

    def wentBy(self, head: RequestHead) -> None:
        self._headSent(head, True)
        if len(self.exchanges.waiting) > _MOST_WAITING:
            self.exchanges.giveUp()

    def _headSent(self, head: RequestHead, begun: bool) -> None:
        exchanges = self.exchanges
        exchange = exchanges.decide(head)
        if exchanges.gated:
            exchanges.open(None if begun else exchange, Side.UPSTREAM)
        self._changing = exchange if exchange.changes else None
        self.waits = exchange.changes and not head.framing.has_content

    def _bound(self) -> None:
        held = self.receiver.buffered if self.waits else 0
        if held != self.held:
            self.held = held
            if held > _MOST_BEHIND and not self.exchanges.faults:
                self.exchanges.giveUp()
            self.exchanges.connection.moved()

    def answered(self, exchange: Exchange) -> None:
        """
        A response is there, and what follows its request is HTTP.
        """
        if self._changing is exchange:
            self._changing = None
            if self.waits:
                self.waits = False
                self.take(b"")


class ResponseStage(MessageStage):
    """
    Looks for the responses in what a server sends, and does to them what their requests say.
    """

    def __init__(self, exchanges: Exchanges) -> None:
        super().__init__(exchanges)
        self.receiver = ResponseReceiver(_LIMITS)
        self._faults: list[ArmedFault] = []
        # How many octets of content are passed on still, where it is to be cut.
        self._left: int | None = None
        self._cut: ArmedFault | None = None
        self._exchange: Exchange | None = None

    def spare(self, armed: ArmedFault) -> None:
        """
        Strike the message under way no more.
        """
        if armed in self._faults:
            self._faults.remove(armed)
            self.exchanges.pace.slices = None
            if self._cut is armed:
                self._left = self._cut = None

    def happened(self, event: Any, octets: bytes, begun: bool) -> None:
        if isinstance(event, ResponseHead):
            self._headSent(event, octets, begun)
        elif not (self._faults or self._dropping):
            self._pass(octets)
        else:
            self._contentSent(octets)
            if isinstance(event, EndOfMessage):
                self._ended()

    def wentBy(self, head: ResponseHead) -> None:
        self._headSent(head, b"", True)

    def end(self, end: End) -> None:
        self.receiver.receive_end()
        if not self.opaque:
            self.take(b"")
        super().end(end)

    def _headSent(self, head: ResponseHead, octets: bytes, begun: bool) -> None:
        if head.status < 200 and head.status != 101:
            self._pass(octets)
            return
        exchanges = self.exchanges
        exchange = exchanges.answered()
        if exchanges.gated:
            exchanges.open(None if begun else exchange, Side.DOWNSTREAM)
        self._dropping, self._left, self._cut = False, None, None
        self._faults, self._exchange = [] if begun else exchange.faults, exchange
        for armed in self._faults:
            octets = self._strike(armed, exchange, head, octets)
        self._pass(octets)
        switched = head.status == 101
        if switched or (exchange.method == b"CONNECT" and head.status < 300):
            exchanges.switch(exchange if switched and exchange.handshake else None)
        else:
            exchanges.requests.answered(exchange)

    def _strike(
        self, armed: ArmedFault, exchange: Exchange, head: ResponseHead, octets: bytes
    ) -> bytes:
        fault, connection = armed.fault, self.exchanges.connection
        values = fault.values
        match fault.kind:
            case "status" | "refuse-handshake":
                self._dropping = True
                closes = head.status == 101
                octets = _substitute(values["status"], exchange.method, closes)
                if closes:
                    self.next.put(octets)
                    octets = b""
                    self.opaque = True
                    self.next.end(connection.close)
            case "hang-handshake":
                self._dropping = True
                octets = b""
            case "drop-head":
                octets = b""
            case "delay-head":
                self.exchanges.pace.once = values["delay"]
            case "drip":
                pass
            case "cut":
                # It strikes where there is as much.
                self._left, self._cut = values["octets"], armed
                return octets
            case "wrong-length":
                before = octets
                octets = _CONTENT_LENGTH.sub(
                    lambda found: found[1] + b"%d" % max(0, int(found[2]) + values["by"]), octets
                )
                if octets == before:
                    # It says nothing of a length.
                    return octets
            case _:
                # A stage of its own strikes.
                return octets
        connection.tell(armed, f"{exchange}")
        return octets

    def _contentSent(self, octets: bytes) -> None:
        if self._dropping or not octets:
            return
        for armed in self._faults:
            if armed.fault.kind == "drip":
                values = armed.fault.values
                self.exchanges.pace.slices = values["size"], values["delay"]
        if self._left is None:
            self.next.put(octets)
            return
        passed = octets[: self._left]
        self._left -= len(passed)
        if passed:
            self.next.put(passed)
        if len(passed) < len(octets):
            self._dropping = True
            assert self._cut is not None
            self.exchanges.connection.tell(self._cut, f"{self._exchange}")
            self.next.end(self.exchanges.connection.close)

    def _ended(self) -> None:
        self._faults, self._dropping, self._left, self._cut = [], False, None, None
        self.exchanges.pace.slices = None
        if self.exchanges.gated:
            self.exchanges.open(None, Side.DOWNSTREAM)


class Pace(Delayed):
    """
    Delays the head of a response, and drips its content.

    @ivar once: how long the next piece is delayed, in seconds.
    @ivar slices: the size of pieces, and the delay of each.
    """

    def __init__(self, connection: FaultyConnection) -> None:
        """
        @param connection: the connection.
        """
        self.connection = connection
        self.begin()
        self.name = ""
        self.active = True
        self.once = 0.0
        self.slices: tuple[int, float] | None = None

    @property
    def passes(self) -> bool:
        return self.idle and self.slices is None and not self.once

    def put(self, data: bytes) -> None:
        if self.passes:
            self.next.put(data)
        else:
            super().put(data)

    def strike(self) -> None:
        """
        Who says how long tells that, too.
        """

    def plan(self, length: int, arrived: float) -> Iterator[Piece]:
        once, self.once = self.once, 0.0
        if self.slices is None:
            return iter([(length, once)])
        return _dripped(length, *self.slices, once)


def _dripped(length: int, size: int, delay: float, once: float) -> Iterator[Piece]:
    for at in range(0, length, size):
        yield min(size, length - at), delay + once
        once = 0.0


def _substitute(status: int, method: bytes, closes: bool) -> bytes:
    """
    The response that takes the place of another one.
    """
    content = b"a fault\n" if has_content(b"GET", status) else b""
    fields = b"content-length: %d\r\ncontent-type: text/plain\r\n" % len(content)
    if closes:
        fields += b"connection: close\r\n"
    return status_line(status) + fields + b"\r\n" + (b"" if method == b"HEAD" else content)
