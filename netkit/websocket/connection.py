"""
A WebSocket connection, from either side: what the protocol reads and what the application writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProducer,
    IReactorTime,
    ITCPTransport,
    ITransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..base.addresses import addressText
from ..base.budget import BudgetExceededError, Share
from ..wire.errors import WebSocketProtocolError
from ..wire.websocket.broadcast import PreparedMessage
from ..wire.websocket.codes import CloseCode
from ..wire.websocket.connection import Connection
from ..wire.websocket.events import Close, Event, Piece, Ping, Pong
from ..wire.websocket.handshake import Agreement
from .errors import NotConnected, WebSocketClosed
from .flow import PAUSED_BY_APPLICATION, ReadFlow
from .halts import CLOSING, HALF_CLOSED, OVER, SENT
from .keepalive import Pinger
from .memory import keepFreedMemory
from .options import WebSocketOptions
from .protocol import WebSocketProtocol
from .sending import Sender

_log = Logger()

# A message of more octets, or characters, is not copied if that can be helped.
_LARGE = 2**16


class WebSocketConnection(Protocol):
    """
    A connection: a L{Protocol <twisted.internet.protocol.Protocol>} to the reactor, a
    L{WebSocketTransport <netkit.websocket.WebSocketTransport>} to the application.

    A subclass does the opening handshake of its role and calls L{_open}.
    """

    subprotocol: str | None = None
    latency: float | None = None
    idleTicks = 0

    transport: ITCPTransport
    _client: bool
    _sender: Sender
    _flow: ReadFlow
    # These two since the opening handshake is done.
    _wire: Connection | None = None
    _pinger: Pinger
    # What is kept in memory is counted in this, where it is.
    _share: Share | None = None
    # What is in the way of messages: see L{netkit.websocket.halts}.
    _halt = 0
    # Why we failed the connection, where we did.
    _failure: WebSocketProtocolError | None = None
    _application: WebSocketProtocol | None = None
    # What arrived and was not gone through: events, then octets.
    _events: Iterator[Event] | None = None
    _backlog: bytes = b""
    _delivering = False
    # The one time-out that runs: of the opening handshake, then of the closing one.
    _timer: IDelayedCall | None = None
    _closedByUs = False

    def __init__(self, options: WebSocketOptions, clock: IReactorTime) -> None:
        """
        @param options: how to behave.
        @param clock: what tells the time.
        """
        self.options = options
        self.clock = clock

    # From the reactor

    def makeConnection(self, transport: ITransport) -> None:
        self._flow = ReadFlow(transport, self._continue)
        self._sender = Sender(cast(ITCPTransport, transport), self._flow, self._countKept)
        super().makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        wire = self._wire
        if wire is None:
            self._handshakeReceived(data)
            return
        self.idleTicks = 0
        self._pinger.heard = True
        if self._halt or self._flow.paused or self._delivering:
            if not self._halt & OVER:
                self._backlog += data
                self._countKept()
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
                self._countKept()
        if self._backlog or self._events is not None:
            self._continue()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._halt |= OVER
        self._stopTimer()
        wire, application = self._wire, self._application
        self._application = None
        self._events = None
        self._backlog = b""
        if self._share is not None:
            self._share.keep(0)
            self._share = None
        self._flow.end()
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
            self._sender.flush()
            self._closed()
            return
        self._halt |= CLOSING
        self._startTimer(self.options.closeTimeout)
        # The peer's Close frame is to be read, whoever paused us.
        self._flow.close()

    def loseWriteConnection(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        if self._halt & SENT:
            return
        if self._wire is None:
            raise _tooEarly()
        if self._wire.close_received is not None:
            self.loseConnection(code, reason)
            return
        self._sendClose(self._wire, code, reason)
        self._halt |= HALF_CLOSED

    def abortConnection(self) -> None:
        self._halt |= OVER
        self._flow.end()
        self.transport.abortConnection()

    def sendTextMessage(self, text: str) -> None:
        if self._halt & SENT:
            return
        if self._wire is None:
            raise _tooEarly()
        if len(text) > _LARGE:
            self._sender.writeParts(self._wire.send_large(text))
        else:
            self._sender.write(self._wire.send_text(text))

    def sendBytesMessage(self, data: bytes | bytearray | memoryview) -> None:
        if self._halt & SENT:
            return
        if self._wire is None:
            raise _tooEarly()
        if len(data) > _LARGE:
            self._sender.writeParts(self._wire.send_large(data))
        else:
            self._sender.write(self._wire.send_bytes(data))

    def sendTextPiece(self, text: str, finished: bool) -> None:
        self._sendPiece(text, finished)

    def sendBytesPiece(self, data: bytes, finished: bool) -> None:
        self._sendPiece(data, finished)

    def _sendPiece(self, data: str | bytes, finished: bool) -> None:
        if self._halt & SENT:
            return
        if self._wire is None:
            raise _tooEarly()
        self._sender.write(self._wire.send_piece(data, finished))

    def sendPrepared(self, message: PreparedMessage, dropSlow: bool) -> bool:
        """
        Send a message that goes to many connections: see L{netkit.websocket.broadcast}.

        @return: whether it was sent.
        """
        if self._halt & SENT or self._wire is None or (dropSlow and self._sender.paused):
            return False
        self._sender.write(self._wire.send_prepared(message))
        return True

    def ping(self, payload: bytes = b"") -> None:
        if self._halt & SENT:
            return
        if self._wire is None:
            raise _tooEarly()
        self._sender.write(self._wire.send_ping(payload))

    def attachProducer(self, producer: IProducer, streaming: bool = True) -> None:
        self._sender.attach(producer, streaming)

    def detachProducer(self) -> None:
        self._sender.detach()

    def pauseProducing(self) -> None:
        self._flow.pause(PAUSED_BY_APPLICATION)

    def resumeProducing(self) -> None:
        self._flow.resume(PAUSED_BY_APPLICATION)

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
        self._pinger = Pinger(
            self.options, self.clock.seconds(), self.transport, self._sender, self._flow
        )
        self._sender.collect()
        if response:
            self._sender.write(response)
        self._delivering = True
        try:
            self._finished(application)
        except Exception:
            self._applicationFailed()
        finally:
            self._delivering = False
            self._sender.flush()
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
        self._sender.collect()
        try:
            for event in events:
                self._tell(event)
                if self._halt or self._flow.paused:
                    # No more messages are to be delivered: for now, or for good.
                    if not self._halt & OVER:
                        self._events = events
                    break
        except WebSocketProtocolError as error:
            self._fail(error)
        finally:
            self._delivering = False
            self._sender.flush()

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
                self._sender.write(self._wire.send_pong(event.payload))
            if _defines(application, "pingReceived"):
                application.pingReceived(event.payload)
        elif isinstance(event, Pong):
            latency = self._pinger.pong(event.payload, self.clock.seconds())
            if latency is None:
                application.pongReceived(event.payload)
            else:
                self.latency = latency
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
        if wire is None or self._delivering:
            return
        while not (self._flow.paused or self._halt & OVER) and (self._events or self._backlog):
            events, self._events = self._events, None
            if events is None:
                data, self._backlog = self._backlog, b""
                events = iter(wire.receive_data(data))
            if self._halt & CLOSING:
                self._awaitClose(events)
            else:
                self._deliver(events)
            self._countKept()

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
        self._sender.flush()
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
            self._flow.end()
            self._sender.end()
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
            self._sender.write(self._wire.send_close(code, reason))
        self._sender.flush()
        self._halt |= OVER
        self._events = None
        self._backlog = b""
        self._wire.drop()
        self._stopTimer()
        # What the peer still sends is to be read, and dropped.
        self._flow.close()
        self._sender.end()
        self._linger()

    # Sending

    def _sendClose(self, wire: Connection, code: int, reason: str) -> None:
        self._closedByUs = wire.close_received is None
        self._sender.write(wire.send_close(code, reason))

    # Memory

    def _countKept(self) -> None:
        """
        Count what is kept in memory for this connection. Where that is more than all connections
        of a server may have together, it is this one that ends.
        """
        share, wire = self._share, self._wire
        if share is None or wire is None or self._halt & OVER:
            return
        kept = wire.kept + len(self._backlog) + self._sender.kept
        if kept == share.kept:
            return
        try:
            share.keep(kept)
        except BudgetExceededError as error:
            _log.warn(
                "{peer} closed with {code}: {reason}",
                peer=addressText(self.transport.getPeer()),
                code=int(CloseCode.TRY_AGAIN_LATER),
                reason=str(error),
            )
            self._failure = WebSocketProtocolError(str(error), CloseCode.TRY_AGAIN_LATER)
            if self._sender.paused:
                # It would not read that either, before all else.
                self.abortConnection()
            else:
                self._end(CloseCode.TRY_AGAIN_LATER, str(error))
            share.keep(0)

    # Keepalive

    def keepAlive(self, now: float) -> None:
        """
        Ping, if it is time, or give the peer up if it is not there.

        @param now: what the clock shows.
        """
        wire = self._wire
        if wire is None or self._halt & (CLOSING | OVER):
            return
        answers = wire.close_sent is None and wire.close_received is None
        if not self._pinger.isAlive(now, answers):
            seconds = self.options.pingInterval + self.options.pingTimeout
            _log.info(
                "{peer} is not there any more: for {seconds} seconds it sent nothing, no pong "
                "either, and took nothing of what was sent: aborted",
                peer=addressText(self.transport.getPeer()),
                seconds=seconds,
            )
            self._failure = WebSocketProtocolError(
                f"a ping was not answered, and nothing sent or taken for {seconds} seconds",
                CloseCode.INTERNAL_ERROR,
            )
            self.abortConnection()
        elif answers and self._pinger.isDue(now):
            self._sender.write(wire.send_ping(self._pinger.ping(now)))

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


def _tooEarly() -> NotConnected:
    """
    The error for what is asked for before the opening handshake is done.
    """
    return NotConnected("nothing can be sent before negotiationFinished")


def _defines(application: WebSocketProtocol, *methods: str) -> bool:
    """
    Whether an application defines what asks for an event, as isinstance() with a Protocol would
    say, at a hundredth of the cost.
    """
    return all(hasattr(application, method) for method in methods)
