"""
A WebSocket connection, from either side: what the protocol reads and what the application writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from twisted.internet.interfaces import IAddress, IDelayedCall, IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..base.addresses import addressText
from ..wire.errors import WebSocketProtocolError
from ..wire.websocket.codes import CloseCode
from ..wire.websocket.connection import Connection
from ..wire.websocket.events import Close, Event, Piece, Ping, Pong
from ..wire.websocket.handshake import Agreement
from .errors import WebSocketClosed
from .halts import BY_APPLICATION, CLOSING, HALF_CLOSED, OVER, PAUSED, SENT
from .keepalive import PingingConnection
from .memory import keepFreedMemory
from .protocol import WebSocketProtocol
from .sending import tooEarly

_log = Logger()


class WebSocketConnection(PingingConnection):
    """
    A connection: a L{Protocol <twisted.internet.protocol.Protocol>} to the reactor, a
    L{WebSocketTransport <netkit.websocket.WebSocketTransport>} to the application.

    A subclass does the opening handshake of its role and calls L{_open}.
    """

    subprotocol: str | None = None
    silentSweeps = 0

    _client: bool
    _application: WebSocketProtocol | None = None
    # What arrived and was not gone through: events, then octets.
    _events: Iterator[Event] | None = None
    _backlog: bytes = b""
    _delivering = False
    # The one time-out that runs: of the opening handshake, then of the closing one.
    _timer: IDelayedCall | None = None
    _closedByUs = False

    # From the reactor

    def dataReceived(self, data: bytes) -> None:
        wire = self._wire
        if wire is None:
            self._handshakeReceived(data)
            return
        self.silentSweeps = 0
        if self._halt or self._delivering:
            if not self._halt & OVER:
                self._backlog += data
        else:
            events = wire.receive_data(data)
            if isinstance(events, tuple):
                self._delivering = True
                try:
                    self._tell(events[0])
                finally:
                    self._delivering = False
            else:
                self._deliver(events)
        if (self._halt or self._backlog) and not self._delivering:
            self._continue()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._halt |= OVER
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

    def loseConnection(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        if self._halt & (CLOSING | OVER):
            return
        if self._wire is None:
            self.transport.loseConnection()
            return
        if not self._halt & HALF_CLOSED:
            self._sendClose(self._wire, code, reason)
        if self._wire.close_received is not None:
            self._flush()
            self._closed()
            return
        self._halt |= CLOSING
        self._startTimer(self.options.closeTimeout)
        # The peer's Close frame is to be read, whoever paused us.
        self._resume(PAUSED)

    def loseWriteConnection(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        if self._halt & SENT:
            return
        if self._wire is None:
            raise tooEarly()
        if self._wire.close_received is not None:
            self.loseConnection(code, reason)
            return
        self._sendClose(self._wire, code, reason)
        self._halt |= HALF_CLOSED

    def abortConnection(self) -> None:
        self._halt |= OVER
        self.transport.abortConnection()

    def pauseProducing(self) -> None:
        self._pause(BY_APPLICATION)

    def resumeProducing(self) -> None:
        self._resume(BY_APPLICATION)

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
        keepFreedMemory()
        self._application = application
        self.subprotocol = agreement.subprotocol
        self._wire = Connection(
            client=self._client,
            max_message_size=self.options.maxMessageSize,
            max_fragments=self.options.maxFragments,
            deflate=agreement.deflate,
            pieces=_defines(application, "textPieceReceived", "bytesPieceReceived"),
        )
        self._startPinging()
        self._collect()
        if response:
            self._write(response)
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

    def _deliver(self, events: Iterator[Event]) -> None:
        """
        Hand to the application what arrived, and write what it sends for that at once.
        """
        self._delivering = True
        self._collect()
        try:
            for event in events:
                self._tell(event)
                if self._halt:
                    # No more messages are to be delivered: for now, or for good.
                    if not self._halt & OVER:
                        self._events = events
                    break
        except WebSocketProtocolError as error:
            self._fail(error)
        finally:
            self._delivering = False
            self._flush()

    def _tell(self, event: Event) -> None:
        """
        Hand one event to the application.
        """
        application: Any = self._application
        kind = type(event)
        try:
            if kind is bytes or kind is bytearray:
                application.bytesMessageReceived(event)
            elif kind is str:
                application.textMessageReceived(event)
            else:
                self._handle(application, event)
        except Exception:
            self._applicationFailed()

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
            if _defines(application, "closeReceived") and not self._halt & SENT:
                application.closeReceived(event.code, event.reason)
            else:
                self._closeReceived(event)

    def _continue(self) -> None:
        """
        Go through what arrived while no messages were to be delivered.
        """
        wire = self._wire
        assert wire is not None
        while not self._halt & (PAUSED | OVER) and (self._events or self._backlog):
            events, self._events = self._events, None
            if events is None:
                data, self._backlog = self._backlog, b""
                events = iter(wire.receive_data(data))
            if self._halt & CLOSING:
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
        except WebSocketProtocolError as error:
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
        self._halt |= OVER
        if self._client:
            if self._timer is None:
                self._startTimer(self.options.closeTimeout)
        else:
            self._unregisterPressure()
            self.transport.loseConnection()

    def _fail(self, error: WebSocketProtocolError) -> None:
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
        if not self._halt & OVER:
            self.loseConnection(CloseCode.INTERNAL_ERROR)

    def _end(self, code: int, reason: str) -> None:
        """
        Close without waiting for the peer's Close frame.
        """
        assert self._wire is not None
        if self._wire.close_sent is None:
            self._write(self._wire.send_close(code, reason))
        self._flush()
        if self._halt & PAUSED:
            # What the peer still sends is to be read, and dropped.
            self._halt &= ~PAUSED
            cast(IPushProducer, self.transport).resumeProducing()
        self._halt |= OVER
        self._events = None
        self._backlog = b""
        self._stopTimer()
        self._unregisterPressure()
        self._linger()

    # Sending

    def _sendClose(self, wire: Connection, code: int, reason: str) -> None:
        self._closedByUs = wire.close_received is None
        self._write(wire.send_close(code, reason))

    # Flow control

    def _pause(self, why: int) -> None:
        if self._halt & (CLOSING | OVER):
            return
        if not self._halt & PAUSED:
            cast(IPushProducer, self.transport).pauseProducing()
        self._halt |= why

    def _resume(self, why: int) -> None:
        if not self._halt & why:
            return
        self._halt &= ~why
        if self._halt & PAUSED:
            return
        if not self._delivering:
            self._continue()
        if not self._halt & (PAUSED | OVER):
            cast(IPushProducer, self.transport).resumeProducing()

    # Time

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
