"""
Connections that are recorded: a factory and a protocol that wrap those of a service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import time_ns
from typing import Any

from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    TCPTimedOutError,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IHandshakeListener,
    IProtocol,
    ITransport,
)
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from ..base.addresses import plainAddress
from ..base.factories import AnyFactory
from ..base.heldproducer import HeldProducer
from ..base.notes import INoted
from ..base.tls import errorText, tlsAgreement
from ..base.wrapping import Passage, TransparentFactory, TransparentProtocol
from ..wire.recording import (
    Closed,
    Direction,
    End,
    HalfClosed,
    Note,
    Opened,
    Role,
    Secured,
)
from .recorder import Recorder

_RECEIVED = Direction.RECEIVED
_SENT = Direction.SENT


class _Recording(Passage):
    """
    Records octets on their way through a connection.

    @ivar recorder: takes them.
    @ivar number: the connection's.
    @ivar hold: called when the connection is to wait.
    @ivar writes: whether what is written is still sent.
    """

    __slots__ = ("hold", "number", "recorder", "writes")

    def __init__(
        self, protocol: IProtocol, recorder: Recorder, number: int, hold: Callable[[], None]
    ) -> None:
        super().__init__(protocol)
        self.recorder = recorder
        self.number = number
        self.hold = hold
        self.writes = True

    def dataReceived(self, data: bytes) -> None:
        if self.recorder.octets(self.number, _RECEIVED, data):
            self.hold()
        self.protocol.dataReceived(data)

    def write(self, data: bytes) -> None:
        if self.writes:
            octets = data if type(data) is bytes else bytes(data)
            if self.recorder.octets(self.number, _SENT, octets):
                self.hold()
        self.transport.write(data)


class RecordedProtocol(TransparentProtocol):
    """
    A recorded connection: between a transport and a protocol, each of which it is to the other.

    @ivar number: what it is called in the recording.

    While the recorder is full, the peer is not read from, and what produces for the transport
    is paused.
    """

    factory: RecordedFactory

    def __init__(self, factory: RecordedFactory, wrappedProtocol: IProtocol) -> None:
        """
        @param factory: what made this.
        @param wrappedProtocol: the service's protocol.
        """
        # What TLS is spoken is recorded.
        super().__init__(factory, wrappedProtocol, listens=IHandshakeListener)
        self._recorder = factory.recorder
        self.number = next(factory.recorder.numbers)
        self._recording = _Recording(wrappedProtocol, self._recorder, self.number, self._hold)
        self.lead(self._recording)
        self._producer: HeldProducer | None = None
        # Whether the service has paused the transport, and whether we have.
        self._paused = False
        self._held = False
        self._reads = True

    def makeConnection(self, transport: ITransport) -> None:
        self.connect(transport, INoted)
        factory = self.factory
        self._recorder.event(
            Opened(
                self.number,
                time_ns(),
                factory.role,
                factory.service,
                plainAddress(self.getPeer()),
                plainAddress(self.getHost()),
            )
        )
        if self._recorder.full:
            # That somebody connects and leaves is to be recorded as well.
            self._hold()
        self.wrappedProtocol.makeConnection(self)

    def note(self, text: str) -> None:
        """
        Record what there is to say about the connection at this point.
        """
        self._recorder.event(Note(self.number, time_ns(), text))

    # What the transport tells.

    def readConnectionLost(self) -> None:
        self._reads = False
        self._recorder.event(HalfClosed(self.number, time_ns(), _RECEIVED))
        super().readConnectionLost()

    def handshakeCompleted(self) -> None:
        agreement = tlsAgreement(self.transport)
        if agreement is not None:
            self._recorder.event(
                Secured(
                    self.number,
                    time_ns(),
                    agreement.version,
                    agreement.protocol.decode(errors="backslashreplace"),
                    agreement.serverName.decode(errors="backslashreplace"),
                )
            )
        if IHandshakeListener.providedBy(self.wrappedProtocol):
            super().handshakeCompleted()

    def fileDescriptorReceived(self, descriptor: int) -> None:
        self.note("a file descriptor was received")
        super().fileDescriptorReceived(descriptor)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        how = _end(reason)
        self._recorder.event(
            Closed(self.number, time_ns(), how, "" if how is End.DONE else errorText(reason.value))
        )
        self._recorder.forget(self._release)
        self._recording.writes = False
        super().connectionLost(reason)
        # Both may lead to this one: an echo's producer is its transport.
        del self._recording.hold
        self._producer = None

    # What the service asks of the transport.

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseWriteConnection(self) -> None:
        if self._recording.writes:
            self._recording.writes = False
            self._recorder.event(HalfClosed(self.number, time_ns(), _SENT))
        self.transport.loseWriteConnection()

    def sendFileDescriptor(self, descriptor: int) -> None:
        self.note("a file descriptor was sent")
        self.transport.sendFileDescriptor(descriptor)

    def pauseProducing(self) -> None:
        self._paused = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self._paused = False
        if not self._held:
            self.transport.resumeProducing()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        held = self._producer = HeldProducer(producer, streaming)
        self.transport.registerProducer(held, streaming)
        if self._held:
            held.hold()

    def unregisterProducer(self) -> None:
        self._producer = None
        self.transport.unregisterProducer()

    def _hold(self) -> None:
        if self._held:
            return
        self._held = True
        self._recorder.onDrain(self._release)
        self.transport.pauseProducing()
        if self._producer is not None:
            self._producer.hold()

    def _release(self) -> None:
        self._held = False
        # To be read from again at its end would be to end again.
        if self._reads and not self._paused:
            self.transport.resumeProducing()
        if self._producer is not None:
            self._producer.release()


class RecordedFactory(TransparentFactory[RecordedProtocol]):
    """
    Makes recorded connections of those that another factory makes.
    """

    protocol = RecordedProtocol

    def __init__(
        self,
        wrappedFactory: AnyFactory,
        recorder: Recorder,
        service: str,
        role: Role = Role.SERVER,
    ) -> None:
        """
        @param wrappedFactory: makes the protocols.
        @param recorder: takes what happens on their connections.
        @param service: the name of what uses the connections.
        @param role: which end of them we are.
        """
        super().__init__(wrappedFactory)
        self.recorder = recorder
        self.service = service
        self.role = role


def _end(reason: Failure) -> End:
    if reason.check(ConnectionDone):
        return End.DONE
    if reason.check(ConnectionAborted):
        return End.ABORTED
    if reason.check(TimeoutError, TCPTimedOutError):
        return End.TIMED_OUT
    return End.RESET
