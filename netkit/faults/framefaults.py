"""
Faults of WebSocket frames: they look for those in what goes by.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from ..wire.websocket.codec import serialize_frame
from ..wire.websocket.codes import RSV1, Opcode
from .faults import ArmedFault
from .frames import Frame, FrameSplitter
from .specification import Fault, Side, Unit
from .stages import FaultyConnection, Stage

_MESSAGES = (Opcode.TEXT, Opcode.BINARY)


class FrameFaults:
    """
    Strikes the frames of one direction. While there is nothing to strike them with, they are only
    looked at, and go on as they come.

    @ivar splitter: what finds the frames.
    """

    def __init__(
        self,
        connection: FaultyConnection,
        faults: Mapping[str, ArmedFault],
        concerned: Callable[[Fault], bool],
        stage: Stage,
        side: Side,
    ) -> None:
        """
        @param connection: the connection.
        @param faults: those of the connection, by their names; L{changed} tells when there are
            others.
        @param concerned: tells whether a fault is meant for the handshake.
        @param stage: behind which stage the frames go on.
        @param side: which direction that is.
        """
        self.splitter = FrameSplitter()
        self._connection = connection
        self._all = faults
        self._concerned = concerned
        self._stage = stage
        self._side = side
        self._faults: list[ArmedFault] = []
        # Those that there were when the message under way began.
        self._begun: list[ArmedFault] = []
        self._over = False
        # What is on its way, and what came meanwhile.
        self._arrived: deque[bytes] = deque()

    @property
    def passes(self) -> bool:
        """
        Whether the frames are only looked at.
        """
        return not (self._faults or self._over or self._arrived)

    def put(self, data: bytes) -> None:
        """
        Take octets.
        """
        if self._over:
            return
        self._arrived.append(data)
        if len(self._arrived) > 1:
            return
        while self._arrived:
            data = self._arrived[0]
            if self._faults:
                self._split(data)
            else:
                self.splitter.follow(data)
                self._stage.next.put(data)
            if self._over:
                self._arrived.clear()
                self._stage.next.end(self._connection.close)
            else:
                self._arrived.popleft()

    def _split(self, data: bytes) -> None:
        for frame in self.splitter.split(data):
            octets = self._struck(frame)
            if octets:
                self._stage.next.put(octets)
            if self._over:
                return

    def changed(self) -> None:
        """
        Faults came, or went.
        """
        self._faults = [
            armed
            for armed in self._all.values()
            if armed.fault.unit is Unit.MESSAGE
            and armed.fault.side is self._side
            and self._concerned(armed.fault)
        ]
        if not (self._faults or self._over) and (rest := self.splitter.letGo()):
            self._stage.next.put(rest)

    def _struck(self, frame: Frame) -> bytes:
        if frame.opcode in _MESSAGES:
            self._begun = self._faults
        for armed in self._faults:
            # A message that had begun before a fault came is left whole.
            if frame.opcode == Opcode.CONTINUATION and armed not in self._begun:
                continue
            if _concerns(armed.fault.kind, frame) and armed.strikes():
                self._connection.tell(armed, "a frame")
                return self._strike(armed, frame)
        return frame.raw

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
    return frame.opcode in _MESSAGES or frame.opcode == Opcode.CONTINUATION
