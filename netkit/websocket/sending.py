"""
What a connection sends: frame by frame to the transport, and held up where the peer does not take
it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from twisted.internet.interfaces import (
    IConsumer,
    IProducer,
    IPushProducer,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol
from zope.interface import implementer

from ..wire.websocket.broadcast import PreparedMessage
from ..wire.websocket.connection import Connection
from .errors import NotConnected
from .halts import BY_PRESSURE, CLOSING, OVER, SENT
from .options import WebSocketOptions

# While what arrived is gone through, this much of what is sent is collected into one write: so
# many frames, none of them larger than so many octets.
_BATCH_FRAMES = 256
_BATCHED_SIZE = 4096

# A message of more octets, or characters, is not copied if that can be helped.
_LARGE = 2**16


class SendingConnection(Protocol):
    """
    The side of a connection that its application writes to. What is received, and how it all ends,
    is for L{WebSocketConnection <netkit.websocket.connection.WebSocketConnection>}.
    """

    transport: ITCPTransport
    _wire: Connection | None = None
    # What is in the way of messages: see L{netkit.websocket.halts}.
    _halt = 0
    # Takes the octets of a frame: the transport's own write(), or what stands in its place.
    _write: Callable[[bytes], None]
    # What is sent while several things that arrived are gone through.
    _batch: list[bytes] | None = None
    _pressure: Pressure | None = None
    _attached = False

    def __init__(self, options: WebSocketOptions, clock: IReactorTime) -> None:
        """
        @param options: how to behave.
        @param clock: what tells the time.
        """
        self.options = options
        self.clock = clock

    @abstractmethod
    def loseConnection(self, code: int = 1000, reason: str = "") -> None:
        """
        Close the connection.
        """

    @abstractmethod
    def _pause(self, why: int) -> None:
        """
        Deliver no more messages, and read none, for a reason of L{netkit.websocket.halts}.
        """

    @abstractmethod
    def _resume(self, why: int) -> None:
        """
        Undo L{_pause} for the same reason.
        """

    def sendTextMessage(self, text: str) -> None:
        if self._halt & SENT:
            return
        if self._wire is None:
            raise tooEarly()
        if len(text) > _LARGE:
            self._sendLarge(self._wire, text)
        else:
            self._write(self._wire.send_text(text))

    def sendBytesMessage(self, data: bytes | bytearray | memoryview) -> None:
        if self._halt & SENT:
            return
        if self._wire is None:
            raise tooEarly()
        if len(data) > _LARGE:
            self._sendLarge(self._wire, data)
        else:
            self._write(self._wire.send_bytes(data))

    def _sendLarge(self, wire: Connection, message: str | bytes | bytearray | memoryview) -> None:
        parts = wire.send_large(message)
        alone = self._batch is None
        if alone:
            self._collect()
        for part in parts:
            self._write(part)
        if alone:
            self._flush()

    def sendTextPiece(self, text: str, finished: bool) -> None:
        self._sendPiece(text, finished)

    def sendBytesPiece(self, data: bytes, finished: bool) -> None:
        self._sendPiece(data, finished)

    def _sendPiece(self, data: str | bytes, finished: bool) -> None:
        if self._halt & SENT:
            return
        if self._wire is None:
            raise tooEarly()
        self._write(self._wire.send_piece(data, finished))

    def sendPrepared(self, message: PreparedMessage, dropSlow: bool) -> bool:
        """
        Send a message that goes to many connections: see L{netkit.websocket.broadcast}.

        @return: whether it was sent.
        """
        halt = self._halt
        if halt & SENT or self._wire is None or (dropSlow and halt & BY_PRESSURE):
            return False
        self._write(self._wire.send_prepared(message))
        return True

    def ping(self, payload: bytes = b"") -> None:
        if self._halt & SENT:
            return
        if self._wire is None:
            raise tooEarly()
        self._write(self._wire.send_ping(payload))

    def _collect(self) -> None:
        """
        Until L{_flush}, collect what is sent.
        """
        self._registerPressure()
        self._batch = []
        self._write = self._collected

    def _collected(self, octets: bytes) -> None:
        batch = self._batch
        assert batch is not None
        batch.append(octets)
        if len(octets) > _BATCHED_SIZE or len(batch) >= _BATCH_FRAMES:
            self.transport.writeSequence(batch)
            self._batch = []

    def _flush(self) -> None:
        """
        Write what was collected, if anything was, and collect no more.
        """
        batch, self._batch = self._batch, None
        self._write = self.transport.write if self._pressure else self._writeUnderPressure
        if batch:
            self._write(batch[0] if len(batch) == 1 else b"".join(batch))

    def _writeUnderPressure(self, octets: bytes) -> None:
        """
        Write for the first time since something may hold us up again.
        """
        self._registerPressure()
        if self._pressure is not None:
            self._write = self.transport.write
        self.transport.write(octets)

    def attachProducer(self, producer: IProducer, streaming: bool = True) -> None:
        self._unregisterPressure()
        self._attached = True
        IConsumer(self.transport).registerProducer(producer, streaming)

    def detachProducer(self) -> None:
        # Our own is back with the next write.
        self._attached = False
        IConsumer(self.transport).unregisterProducer()

    def _registerPressure(self) -> None:
        """
        Be held up from here on where the peer does not take what is sent.
        """
        if self._pressure is None and not (self._attached or self._halt & (CLOSING | OVER)):
            self._pressure = Pressure(self)
            IConsumer(self.transport).registerProducer(self._pressure, True)

    def _unregisterPressure(self) -> None:
        if self._pressure is not None:
            self._pressure = None
            IConsumer(self.transport).unregisterProducer()
            if self._batch is None:
                self._write = self._writeUnderPressure


@implementer(IPushProducer)
class Pressure:
    """
    What the transport pauses while the peer does not take what was sent: then what would make us
    send more is not read either.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: SendingConnection) -> None:
        self._connection = connection

    def pauseProducing(self) -> None:
        self._connection._pause(BY_PRESSURE)

    def resumeProducing(self) -> None:
        self._connection._resume(BY_PRESSURE)

    def stopProducing(self) -> None:
        """
        The connection is lost, of which its protocol is told as well.
        """


def tooEarly() -> NotConnected:
    """
    The error for what is sent before the opening handshake is done.
    """
    return NotConnected("nothing can be sent before negotiationFinished")
