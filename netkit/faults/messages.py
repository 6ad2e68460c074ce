"""
Faults of HTTP messages and of WebSocket frames: they look for those in what goes by.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

from ..wire.errors import HTTPProtocolError
from ..wire.http import Limits, RequestHead, RequestReceiver, ResponseHead, ResponseReceiver
from ..wire.http.content import EndOfMessage
from ..wire.http.framing import has_content
from ..wire.http.response import status_line
from ..wire.websocket.codec import serialize_frame
from ..wire.websocket.codes import RSV1, Opcode
from ..wire.websocket.handshake import wants_upgrade
from .faults import ArmedFault
from .frames import Frame, FrameSplitter
from .specification import Fault, Side, Unit
from .stages import Delayed, End, FaultyConnection, Piece, Stage

_LIMITS = Limits(content=0)

_CONTENT_LENGTH = re.compile(rb"(?i)(\r\ncontent-length:[ \t]*)([0-9]+)")

_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONTINUATION)


class Teller(FaultyConnection, Protocol):
    """
    A connection that is told of each strike.
    """

    def tell(self, armed: ArmedFault, what: str) -> None:
        """
        Tell that a fault strikes.
        """


class Exchange:
    """
    A request, and what its response is to suffer.
    """

    __slots__ = ("faults", "handshake", "method", "path")

    def __init__(self, head: RequestHead) -> None:
        self.method = head.method
        self.path = head.target.partition(b"?")[0].decode("latin-1")
        self.handshake = wants_upgrade(head.fields)
        self.faults: list[ArmedFault] = []

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

    def __init__(self, connection: Teller) -> None:
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

    def decide(self, head: RequestHead) -> Exchange:
        """
        A request goes by.
        """
        exchange = Exchange(head)
        for armed in self.faults.values():
            fault = armed.fault
            if fault.unit is Unit.HANDSHAKE and not exchange.handshake:
                continue
            if fault.unit is Unit.MESSAGE or not exchange.concernedBy(fault):
                continue
            if armed.strikes():
                exchange.faults.append(armed)
        self.waiting.append(exchange)
        self.responses.receiver.request_sent(exchange.method)
        return exchange

    def open(self, exchange: Exchange | None, side: Side) -> None:
        """
        Have the faults of a request, and those alone, strike what follows in one direction.
        """
        struck = () if exchange is None else exchange.faults
        names = {armed.name for armed in struck}
        for name, stage in self.gated.items():
            if stage.fault.side is side:
                stage.choose(name in names)

    def switch(self, exchange: Exchange | None, behind: bytes) -> None:
        """
        The connection goes on in another protocol.

        @param exchange: the handshake, if that is WebSocket.
        @param behind: what was sent behind the response.
        """
        for stage, side in ((self.requests, Side.UPSTREAM), (self.responses, Side.DOWNSTREAM)):
            stage.opaque = True
            if exchange is not None:
                frames = Frames(self, exchange, stage, side)
                if any(frames.struckBy(armed.fault) for armed in self.faults.values()):
                    stage.frames = frames
        self.responses.put(behind)
        self.requests.goOn()

    def giveUp(self) -> None:
        """
        This is not understood: let it pass.
        """
        for stage in (self.responses, self.requests):
            stage.opaque = True
            stage.next.put(stage.receiver.detach())
        self.requests.goOn()


class _Messages(Stage):
    """
    Cuts one direction into messages.

    @ivar opaque: whether what comes is HTTP no more.
    @ivar frames: what strikes the frames, once it is WebSocket.
    """

    receiver: Any
    frames: Frames | None = None
    opaque = False

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges
        self.name = ""

    def put(self, data: bytes) -> None:
        if not data:
            return
        if self.frames is not None:
            self.frames.put(data)
        elif self.opaque:
            self.next.put(data)
        else:
            self.receiver.receive(data)
            self.split()

    def split(self) -> None:
        """
        Go through what has arrived.
        """
        raise NotImplementedError

    def end(self, end: End) -> None:
        self.release()
        self.next.end(end)

    def release(self) -> None:
        rest = self.receiver.detach() if not self.opaque else b""
        if self.frames is not None:
            rest += self.frames.splitter.rest()
        if rest:
            self.next.put(rest)


class RequestStage(_Messages):
    """
    Looks for the requests in what a client sends.
    """

    def __init__(self, exchanges: Exchanges) -> None:
        super().__init__(exchanges)
        self.receiver = RequestReceiver(_LIMITS)
        # Behind a request for another protocol: what follows is not known before the response.
        self._behind: list[bytes] | None = None

    def put(self, data: bytes) -> None:
        if self._behind is None:
            super().put(data)
        else:
            self._behind.append(data)
            self.held += len(data)
            self.exchanges.connection.moved()

    def split(self) -> None:
        try:
            while self._behind is None and (event := self.receiver.next_event()) is not None:
                if isinstance(event, RequestHead):
                    exchange = self.exchanges.decide(event)
                    self.exchanges.open(exchange, Side.UPSTREAM)
                    if event.framing.upgrade or event.method == b"CONNECT":
                        self._behind = [self.receiver.detach()]
                self.next.put(event.raw)
        except HTTPProtocolError:
            self.exchanges.giveUp()

    def goOn(self) -> None:
        """
        It is known what follows.
        """
        if self._behind is not None:
            behind, self._behind = self._behind, None
            self.held = 0
            self.put(b"".join(behind))
            self.exchanges.connection.moved()

    def release(self) -> None:
        super().release()
        behind, self._behind = self._behind, None
        self.held = 0
        if behind:
            self.next.put(b"".join(behind))


class ResponseStage(_Messages):
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
        self._dropping = False

    def split(self) -> None:
        try:
            while not self.opaque and (event := self.receiver.next_event()) is not None:
                if isinstance(event, ResponseHead):
                    self._headSent(event)
                else:
                    self._contentSent(event.raw)
                    if isinstance(event, EndOfMessage):
                        self._ended()
        except HTTPProtocolError:
            self.exchanges.giveUp()

    def end(self, end: End) -> None:
        self.receiver.receive_end()
        if not self.opaque:
            self.split()
        super().end(end)

    def _headSent(self, head: ResponseHead) -> None:
        exchanges = self.exchanges
        if head.status < 200 and head.status != 101:
            self.next.put(head.raw)
            return
        exchange = exchanges.waiting.popleft()
        exchanges.open(exchange, Side.DOWNSTREAM)
        octets: bytes = head.raw
        self._dropping, self._left = False, None
        self._faults, self._exchange = exchange.faults, exchange
        for armed in exchange.faults:
            octets = self._strike(armed, exchange, head, octets)
        switched = head.status == 101
        tunnel = exchange.method == b"CONNECT" and head.status < 300
        if octets:
            self.next.put(octets)
        if switched or tunnel:
            opened = switched and exchange.handshake
            exchanges.switch(exchange if opened else None, self.receiver.detach())
        else:
            exchanges.requests.goOn()

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
        self._faults, self._dropping, self._left = [], False, None
        self.exchanges.pace.slices = None
        self.exchanges.open(None, Side.DOWNSTREAM)

    def put(self, data: bytes) -> None:
        if not (self.opaque and self._dropping):
            super().put(data)


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


class Frames:
    """
    Strikes the frames of one direction.
    """

    def __init__(
        self, exchanges: Exchanges, handshake: Exchange, stage: Stage, side: Side
    ) -> None:
        """
        @param exchanges: whose faults strike them.
        @param handshake: what opened the connection.
        @param stage: behind which stage the frames go on.
        @param side: which direction that is.
        """
        self.splitter = FrameSplitter()
        self._exchanges = exchanges
        self._handshake = handshake
        self._stage = stage
        self._side = side
        self._over = False

    def put(self, data: bytes) -> None:
        """
        Take octets.
        """
        for frame in self.splitter.split(data):
            if self._over:
                return
            octets = frame.raw
            for armed in self._exchanges.faults.values():
                fault = armed.fault
                if self.struckBy(fault) and _concerns(fault.kind, frame) and armed.strikes():
                    self._exchanges.connection.tell(armed, "a frame")
                    octets = self._strike(armed, frame)
                    break
            if octets:
                self._stage.next.put(octets)
            if self._over:
                self._stage.next.end(self._exchanges.connection.close)

    def struckBy(self, fault: Fault) -> bool:
        """
        Whether a fault may strike them.
        """
        return (
            fault.unit is Unit.MESSAGE
            and fault.side is self._side
            and self._handshake.concernedBy(fault)
        )

    def _strike(self, armed: ArmedFault, frame: Frame) -> bytes:
        values = armed.fault.values
        match armed.fault.kind:
            case "cut-frame":
                self._over = True
                return frame.raw[: max(1, len(frame.raw) // 2)]
            case "close":
                self._over = True
                code = values["code"].to_bytes(2, "big")
                return serialize_frame(0x80 | Opcode.CLOSE, code, frame.key)
            case "invalid-utf8" if frame.first & RSV1:
                # It is compressed: another one takes its place, that is not.
                return serialize_frame(frame.first & ~RSV1, b"\xff", frame.key)
            case "invalid-utf8":
                changed = bytearray(frame.raw)
                changed[frame.start] = 0xFF ^ (frame.key[0] if frame.key else 0)
                return bytes(changed)
            case "fragment":
                return frame.fragments(values["size"])
        # no-pong
        return b""


def _concerns(kind: str, frame: Frame) -> bool:
    if kind == "no-pong":
        return frame.opcode == Opcode.PONG
    if kind == "invalid-utf8":
        return frame.opcode == Opcode.TEXT and len(frame.raw) > frame.start
    return frame.opcode in _DATA


def _substitute(status: int, method: bytes, closes: bool) -> bytes:
    """
    The response that takes the place of another one.
    """
    content = b"a fault\n" if has_content(b"GET", status) else b""
    fields = b"content-length: %d\r\ncontent-type: text/plain\r\n" % len(content)
    if closes:
        fields += b"connection: close\r\n"
    return status_line(status) + fields + b"\r\n" + (b"" if method == b"HEAD" else content)
