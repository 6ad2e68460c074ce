"""
A WebSocket connection, from either side: what the protocol reads and what the application writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IDelayedCall,
    IProducer,
    IPushProducer,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..addresses import addressText
from ..wire.errors import RemoteProtocolError
from ..wire.websocket.broadcast import PreparedMessage
from ..wire.websocket.codes import CloseCode
from ..wire.websocket.connection import Connection
from ..wire.websocket.events import Close, Event, Piece, Ping, Pong
from ..wire.websocket.handshake import Agreement
from .errors import NotConnected, WebSocketClosed
from .options import WebSocketOptions
from .protocol import WebSocketProtocol

_log = Logger()

# Why no messages are delivered. The first two end again. From _CLOSING on, only the peer's Close
# frame is waited for; from _OVER on, nothing is.
_BY_APPLICATION = 1
_BY_PRESSURE = 2
_CLOSING = 4
_OVER = 8
# We sent our Close frame, and still take messages.
_HALF_CLOSED = 16
_PAUSED = _BY_APPLICATION | _BY_PRESSURE
_SENT = _CLOSING | _OVER | _HALF_CLOSED

# While what arrived is gone through, this much of what is sent is collected into one write: so
# many frames, none of them larger than so many octets.
_BATCH_FRAMES = 256
_BATCHED_SIZE = 4096


class WebSocketConnection(Protocol):
    """
    A connection: a L{Protocol} to the reactor, a
    L{WebSocketTransport <netkit.websocket.WebSocketTransport>} to the application.

    A subclass does the opening handshake of its role and calls L{_open}.
    """

    transport: ITCPTransport
    subprotocol: str | None = None
    latency: float | None = None
    silentSweeps = 0

    _client: bool
    _application: WebSocketProtocol | None = None
    _wire: Connection | None = None
    _halt = 0
    # What is sent while what arrived is gone through.
    _batch: list[bytes] | None = None
    # What arrived and was not gone through: events, then octets.
    _events: Iterator[Event] | None = None
    _backlog: bytes = b""
    _delivering = False
    # The one time-out that runs: of the opening handshake, then of the closing one.
    _timer: IDelayedCall | None = None
    _pressure: _Pressure | None = None
    _attached = False
    _failure: RemoteProtocolError | None = None
    _closedByUs = False
    _pingSent: float | None = None
    _nextPing = 0.0
    _pings = 0

    def __init__(self, options: WebSocketOptions, clock: IReactorTime) -> None:
        """
        @param options: how to behave.
        @param clock: what tells the time.
        """
        self.options = options
        self.clock = clock

    # From the reactor

    def dataReceived(self, data: bytes) -> None:
        wire = self._wire
        if wire is None:
            self._handshakeReceived(data)
            return
        self.silentSweeps = 0
        if self._halt or self._delivering:
            if not self._halt & _OVER:
                self._backlog += data
        else:
            self._deliver(wire.receive_data(data))
        if (self._halt or self._backlog) and not self._delivering:
            self._continue()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._halt |= _OVER
        self._stopTimer()
        wire, application = self._wire, self._application
        self._application = None
        self._events = self._pressure = None
        if application is None:
            return
        if wire is not None:
            if self._failure is not None:
                error = self._failure
                reason = Failure(WebSocketClosed(error.code, str(error), byPeer=False))
            elif wire.close_received is not None:
                byPeer = not self._closedByUs
                close = (wire.close_received if byPeer else wire.close_sent) or Close()
                reason = Failure(WebSocketClosed(*close, byPeer=byPeer))
        application.connectionLost(reason)

    # From the application

    def sendTextMessage(self, text: str) -> None:
        if self._halt & _SENT:
            return
        if self._wire is None:
            raise _tooEarly()
        self._write(self._wire.send_text(text))

    def sendBytesMessage(self, data: bytes | bytearray | memoryview) -> None:
        if self._halt & _SENT:
            return
        if self._wire is None:
            raise _tooEarly()
        self._write(self._wire.send_bytes(data))

    def sendTextPiece(self, text: str, finished: bool) -> None:
        self._sendPiece(text, finished)

    def sendBytesPiece(self, data: bytes, finished: bool) -> None:
        self._sendPiece(data, finished)

    def sendPrepared(self, message: PreparedMessage, dropSlow: bool) -> bool:
        """
        Send a message that goes to many connections: see L{netkit.websocket.broadcast}.

        @return: whether it was sent.
        """
        halt = self._halt
        if halt & _SENT or self._wire is None or (dropSlow and halt & _BY_PRESSURE):
            return False
        self._write(self._wire.send_prepared(message))
        return True

    def ping(self, payload: bytes = b"") -> None:
        if self._halt & _SENT:
            return
        if self._wire is None:
            raise _tooEarly()
        self._write(self._wire.send_ping(payload))

    def loseConnection(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        if self._halt & (_CLOSING | _OVER):
            return
        if self._wire is None:
            self.transport.loseConnection()
            return
        if not self._halt & _HALF_CLOSED:
            self._sendClose(self._wire, code, reason)
        if self._wire.close_received is not None:
            self._flush()
            self._closed()
            return
        self._halt |= _CLOSING
        self._startTimer(self.options.closeTimeout)
        # The peer's Close frame is to be read, whoever paused us.
        self._resume(_PAUSED)

    def loseWriteConnection(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        if self._halt & _SENT:
            return
        if self._wire is None:
            raise _tooEarly()
        if self._wire.close_received is not None:
            self.loseConnection(code, reason)
            return
        self._sendClose(self._wire, code, reason)
        self._halt |= _HALF_CLOSED

    def abortConnection(self) -> None:
        self._halt |= _OVER
        self.transport.abortConnection()

    def pauseProducing(self) -> None:
        self._pause(_BY_APPLICATION)

    def resumeProducing(self) -> None:
        self._resume(_BY_APPLICATION)

    def attachProducer(self, producer: IProducer, streaming: bool = True) -> None:
        self._unregisterPressure()
        self._attached = True
        IConsumer(self.transport).registerProducer(producer, streaming)

    def detachProducer(self) -> None:
        self._attached = False
        IConsumer(self.transport).unregisterProducer()

    def getPeer(self) -> IAddress:
        return self.transport.getPeer()

    def getHost(self) -> IAddress:
        return self.transport.getHost()

    # For the subclass

    def _handshakeReceived(self, data: bytes) -> None:
        """
        Go on with the opening handshake.
        """
        raise NotImplementedError

    def _linger(self) -> None:
        """
        The Close frame that fails the connection was written: close, so that the peer gets it.
        """
        raise NotImplementedError

    def _open(
        self, application: WebSocketProtocol, agreement: Agreement, response: bytes, rest: bytes
    ) -> None:
        """
        The opening handshake is done.

        @param application: what receives the events.
        @param agreement: what was agreed on.
        @param response: octets to send before anything else.
        @param rest: octets that arrived behind the handshake.
        """
        self._stopTimer()
        self._application = application
        self.subprotocol = agreement.subprotocol
        self._wire = Connection(
            client=self._client,
            max_message_size=self.options.maxMessageSize,
            max_fragments=self.options.maxFragments,
            deflate=agreement.deflate,
            pieces=_defines(application, "textPieceReceived", "bytesPieceReceived"),
        )
        self._nextPing = self.clock.seconds() + self.options.pingInterval
        self._registerPressure()
        self._batch = [response] if response else []
        self._delivering = True
        try:
            self._finished(application)
        except Exception:
            self._applicationFailed()
        finally:
            self._delivering = False
            self._flush()
        self._backlog = rest
        self._continue()

    def _finished(self, application: WebSocketProtocol) -> None:
        """
        Tell the application that it can send.
        """
        application.negotiationFinished()

    # Receiving

    def _deliver(self, events: Iterable[Event]) -> None:
        """
        Hand to the application what arrived.

        @param events: what arrived: where it is one event alone, a tuple.
        """
        application: Any = self._application
        alone = type(events) is tuple
        self._delivering = True
        if not alone:
            self._batch = []
        try:
            for event in events:
                kind = type(event)
                try:
                    if kind is str:
                        application.textMessageReceived(event)
                    elif kind is bytes or kind is bytearray:
                        application.bytesMessageReceived(event)
                    else:
                        self._handle(application, event)
                except Exception:
                    self._applicationFailed()
                if self._halt:
                    # No more messages are to be delivered: for now, or for good.
                    if not (alone or self._halt & _OVER):
                        self._events = iter(events)
                    break
        except RemoteProtocolError as error:
            self._fail(error)
        finally:
            self._delivering = False
            if not alone:
                self._flush()

    def _handle(self, application: Any, event: Event) -> None:
        """
        Handle what is no whole message.
        """
        if isinstance(event, Piece):
            if isinstance(event.data, str):
                application.textPieceReceived(event.data, event.finished)
            else:
                application.bytesPieceReceived(event.data, event.finished)
        elif isinstance(event, Ping):
            assert self._wire is not None
            if self._wire.close_sent is None:
                self._write(self._wire.send_pong(event.payload))
            if _defines(application, "pingReceived"):
                application.pingReceived(event.payload)
        elif isinstance(event, Pong):
            if not self._isAnswer(event.payload):
                application.pongReceived(event.payload)
        elif isinstance(event, Close):
            if _defines(application, "closeReceived") and not self._halt & _SENT:
                application.closeReceived(event.code, event.reason)
            else:
                self._closeReceived(event)

    def _continue(self) -> None:
        """
        Go through what arrived while no messages were to be delivered.
        """
        wire = self._wire
        assert wire is not None
        while not self._halt & (_PAUSED | _OVER) and (self._events or self._backlog):
            events: Iterable[Event] | None
            events, self._events = self._events, None
            if events is None:
                data, self._backlog = self._backlog, b""
                events = wire.receive_data(data)
            if self._halt & _CLOSING:
                self._awaitClose(events)
            else:
                self._deliver(events)

    def _awaitClose(self, events: Iterable[Event]) -> None:
        """
        Go through what arrived after we sent our Close frame: only the peer's matters.
        """
        try:
            for event in events:
                if isinstance(event, Close):
                    self._closeReceived(event)
        except RemoteProtocolError as error:
            self._fail(error)

    def _closeReceived(self, close: Close) -> None:
        wire = self._wire
        assert wire is not None
        if wire.close_sent is None:
            self._sendClose(wire, close.code, "")
        self._flush()
        self._closed()

    def _closed(self) -> None:
        """
        The closing handshake is done: the server closes, the client waits for that (RFC 6455
        section 7.1.1).
        """
        self._halt |= _OVER
        if self._client:
            if self._timer is None:
                self._startTimer(self.options.closeTimeout)
        else:
            self._unregisterPressure()
            self.transport.loseConnection()

    def _fail(self, error: RemoteProtocolError) -> None:
        """
        The peer broke the protocol: fail the connection (RFC 6455 section 7.1.7).
        """
        _log.info(
            "{peer} broke the WebSocket protocol, closed with {code}: {reason}",
            peer=addressText(self.transport.getPeer()),
            code=int(error.code),
            reason=str(error),
        )
        self._failure = error
        self._end(error.code, str(error))

    def _applicationFailed(self) -> None:
        _log.failure(
            "The application of the WebSocket connection from {peer} failed: closed with 1011",
            peer=addressText(self.transport.getPeer()),
        )
        if not self._halt & _OVER:
            self.loseConnection(CloseCode.INTERNAL_ERROR)

    def _end(self, code: int, reason: str) -> None:
        """
        Close without waiting for the peer's Close frame.
        """
        assert self._wire is not None
        if self._wire.close_sent is None:
            self._write(self._wire.send_close(code, reason))
        self._flush()
        if self._halt & _PAUSED:
            # What the peer still sends is to be read, and dropped.
            self._halt &= ~_PAUSED
            cast(IPushProducer, self.transport).resumeProducing()
        self._halt |= _OVER
        self._events = None
        self._backlog = b""
        self._stopTimer()
        self._unregisterPressure()
        self._linger()

    # Sending

    def _sendClose(self, wire: Connection, code: int, reason: str) -> None:
        self._closedByUs = wire.close_received is None
        self._write(wire.send_close(code, reason))

    def _sendPiece(self, data: str | bytes, finished: bool) -> None:
        if self._halt & _SENT:
            return
        if self._wire is None:
            raise _tooEarly()
        self._write(self._wire.send_piece(data, finished))

    def _write(self, octets: bytes) -> None:
        batch = self._batch
        if batch is None:
            if self._pressure is None:
                self._registerPressure()
            self.transport.write(octets)
            return
        batch.append(octets)
        if len(octets) > _BATCHED_SIZE or len(batch) >= _BATCH_FRAMES:
            self.transport.writeSequence(batch)
            self._batch = []

    def _flush(self) -> None:
        batch, self._batch = self._batch, None
        if batch:
            self._write(batch[0] if len(batch) == 1 else b"".join(batch))

    # Flow control

    def _registerPressure(self) -> None:
        if self._attached or self._halt & (_CLOSING | _OVER):
            return
        self._pressure = _Pressure(self)
        IConsumer(self.transport).registerProducer(self._pressure, True)

    def _unregisterPressure(self) -> None:
        if self._pressure is not None:
            self._pressure = None
            IConsumer(self.transport).unregisterProducer()

    def _pause(self, why: int) -> None:
        if self._halt & (_CLOSING | _OVER):
            return
        if not self._halt & _PAUSED:
            cast(IPushProducer, self.transport).pauseProducing()
        self._halt |= why

    def _resume(self, why: int) -> None:
        if not self._halt & why:
            return
        self._halt &= ~why
        if self._halt & _PAUSED:
            return
        if not self._delivering:
            self._continue()
        if not self._halt & (_PAUSED | _OVER):
            cast(IPushProducer, self.transport).resumeProducing()

    # Time

    def keepAlive(self, now: float) -> None:
        """
        Ping, if it is time, or give the peer up if it did not answer the last ping in time.

        @param now: what the clock shows.
        """
        options = self.options
        wire = self._wire
        if self._halt & ~_BY_APPLICATION or wire is None or wire.close_received is not None:
            return
        if self._pingSent is not None:
            # A pong that we do not read is nothing to blame the peer for.
            late = 0 < options.pingTimeout <= now - self._pingSent
            if late and not self._halt & _BY_APPLICATION:
                _log.info(
                    "{peer} did not answer a ping for {seconds} seconds: aborted",
                    peer=addressText(self.transport.getPeer()),
                    seconds=options.pingTimeout,
                )
                self._failure = RemoteProtocolError(
                    "a ping was not answered", CloseCode.INTERNAL_ERROR
                )
                self.abortConnection()
        elif now >= self._nextPing:
            self._pings += 1
            self._pingSent = now
            self._write(wire.send_ping(self._pingPayload()))

    def _pingPayload(self) -> bytes:
        return b"netkit %d" % self._pings

    def _isAnswer(self, payload: bytes) -> bool:
        """
        Whether a pong answers the last ping of L{keepAlive}.
        """
        if self._pingSent is None or payload != self._pingPayload():
            return False
        now = self.clock.seconds()
        self.latency = now - self._pingSent
        self._pingSent = None
        self._nextPing = now + self.options.pingInterval
        return True

    def _startTimer(self, delay: float) -> None:
        self._stopTimer()
        if delay:
            self._timer = self.clock.callLater(delay, self._tooSlow)

    def _stopTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _tooSlow(self) -> None:
        self._timer = None
        _log.info(
            "{peer} took too long for the {which} handshake: aborted",
            peer=addressText(self.transport.getPeer()),
            which="opening" if self._wire is None else "closing",
        )
        self.transport.abortConnection()


def _defines(application: WebSocketProtocol, *methods: str) -> bool:
    """
    Whether an application defines what asks for an event, as isinstance() with a Protocol would
    say, at a hundredth of the cost.
    """
    return all(hasattr(application, method) for method in methods)


def _tooEarly() -> NotConnected:
    return NotConnected("nothing can be sent before negotiationFinished")


@implementer(IPushProducer)
class _Pressure:
    """
    What the transport pauses while the peer does not take what was sent: then what would make us
    send more is not read either.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: WebSocketConnection) -> None:
        self._connection = connection

    def pauseProducing(self) -> None:
        self._connection._pause(_BY_PRESSURE)

    def resumeProducing(self) -> None:
        self._connection._resume(_BY_PRESSURE)

    def stopProducing(self) -> None:
        """
        The connection is lost, which L{WebSocketConnection.connectionLost} is told as well.
        """
