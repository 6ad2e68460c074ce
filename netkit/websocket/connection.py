"""
A WebSocket connection, from either side: what the protocol reads and what the application writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IProducer, IReactorTime, ITCPTransport
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..base.addresses import addressText
from ..base.budget import BudgetExceededError, Share
from ..base.malloc import raiseTrimThreshold
from ..base.notes import note, tell
from ..base.progress import unsent
from ..base.sockopts import disableDelay
from ..base.timeslice import TIME_SLICE
from ..base.twistedprivate import Fired
from ..server import ServerProtocol
from ..wire.errors import WebSocketProtocolError
from ..wire.websocket.broadcast import PreparedMessage
from ..wire.websocket.codec import serialize_message
from ..wire.websocket.codes import CloseCode
from ..wire.websocket.connection import Connection
from ..wire.websocket.events import Close, Event, Piece, Ping, Pong
from ..wire.websocket.handshake import Agreement
from ..wire.websocket.lifecycle import State
from .closing import ClosingDeadline
from .errors import WebSocketClosed
from .flow import PAUSED_BY_APPLICATION, PAUSED_FOR_OTHERS, ReadFlow
from .keepalive import HEARD, Pinger
from .options import WebSocketOptions
from .protocol import WebSocketProtocol
from .sending import Sender

_log = Logger()

# A message of more octets, or characters, is not copied if that can be helped.
_LARGE = 2**16


class WebSocketConnection:
    """
    The L{WebSocketTransport <netkit.websocket.WebSocketTransport>} of an application: a connection
    in either role, from its opening handshake on, which somebody else does.

    @ivar transport: what it goes over.
    @ivar subprotocol: as in the interface.
    @ivar latency: as in the interface.
    @ivar messagesReceived: how many messages arrived.
    @ivar messagesSent: how many were sent.
    """

    __slots__ = (
        "__weakref__",
        "_application",
        "_backlog",
        "_clock",
        "_closing",
        "_delivering",
        "_events",
        "_flow",
        "_options",
        "_pinger",
        "_sender",
        "_server",
        "_share",
        "_unread",
        "_wire",
        "latency",
        "messagesReceived",
        "messagesSent",
        "subprotocol",
        "transport",
    )

    def __init__(
        self,
        application: WebSocketProtocol,
        transport: ITCPTransport,
        options: WebSocketOptions,
        clock: IReactorTime,
        *,
        server: ServerProtocol | None = None,
    ) -> None:
        """
        @param application: what receives the events.
        @param transport: what the connection goes over.
        @param options: how to behave.
        @param clock: what tells the time.
        @param server: the protocol of a connection to a server; L{None} in a client.
        """
        self.transport = transport
        self.subprotocol: str | None = None
        self.latency: float | None = None
        self.messagesReceived = self.messagesSent = 0
        self._application: WebSocketProtocol | None = application
        self._options = options
        self._clock = clock
        self._server = server
        # What is kept in memory for it, once something is.
        self._share: Share | None = None
        self._unread = 0
        self._wire = Connection(
            client=server is None,
            max_message_size=options.maxMessageSize,
            max_fragments=options.maxFragments,
            state=State.CONNECTING,
        )
        self._flow = ReadFlow(transport, self)
        self._sender = Sender(transport, self._flow, self)
        self._pinger = Pinger(options, self._sender)
        # Of the closing handshake, once we began it, or ended it.
        self._closing: ClosingDeadline | None = None
        # What arrived and was not delivered: events, then octets.
        self._events: Iterator[Event] | None = None
        self._backlog = b""
        self._delivering = False

    # From whoever has the connection

    def open(self, agreement: Agreement, response: bytes = b"") -> None:
        """
        The opening handshake is done: messages can be sent.

        @param agreement: what was agreed on.
        @param response: octets to send before anything else.
        """
        raiseTrimThreshold()
        # A message is not to wait until the peer has acknowledged the last one.
        disableDelay(self.transport)
        self.subprotocol = agreement.subprotocol
        self._wire.open(
            deflate=agreement.deflate,
            # isinstance() with a Protocol would take a hundred times as long.
            pieces=hasattr(self._application, "textPieceReceived")
            and hasattr(self._application, "bytesPieceReceived"),
        )
        self._pinger.start(self._clock.seconds())
        self._sender.collect()
        if response:
            self._sender.out.write(response)

    def start(self, received: bytes) -> None:
        """
        Tell the application that the connection is open, and begin to receive.

        @param received: octets that arrived behind the opening handshake.
        """
        self._delivering = True
        try:
            if self._application is not None:
                self._application.negotiationFinished()
        except Exception:
            self._applicationFailed()
        finally:
            self._delivering = False
            self._sender.flush()
        self._backlog = received
        self.deliverBuffered()

    def dataReceived(self, data: bytes) -> None:
        """
        Something arrived.
        """
        self._pinger.heard = HEARD
        if self._flow.paused or self._delivering:
            self._backlog += data
            self.countBuffered()
            return
        read = self._wire.read_whole
        message = read(data)
        if message is None:
            self._parse(data)
        else:
            # As in _tell, without a call.
            application: Any = self._application
            self._delivering = True
            self.messagesReceived += 1
            try:
                if type(message) is bytes:
                    application.bytesMessageReceived(message)
                else:
                    application.textMessageReceived(message)
            except Exception:
                self._applicationFailed()
            finally:
                self._delivering = False
        if self._backlog:
            self.deliverBuffered()

    def _parse(self, data: bytes) -> None:
        """
        Deliver what arrived and is more, or less, or something else than one message.
        """
        events = self._wire.receive_data(data)
        if isinstance(events, tuple):
            self._delivering = True
            try:
                self._tell(events[0])
            finally:
                self._delivering = False
        else:
            self._deliver(events)
            self.countBuffered()
            if self._events is not None:
                self.deliverBuffered()

    def readConnectionLost(self) -> None:
        """
        The peer ended its half, and can send no Close frame any more: we end ours, behind what was
        sent (RFC 6455 section 7.1.5).
        """
        self._end()

    def connectionLost(self, reason: Failure) -> None:
        """
        The transport is gone.

        @param reason: why; the application is told how the connection was closed, if it was.
        """
        closure = self._wire.lifecycle.closure
        self._wire.lost()
        closing, self._closing = self._closing, None
        if closing is not None:
            closing.end()
        self._flow.lost()
        self._events = None
        self._backlog = b""
        if self._share is not None:
            self._share.keep(0)
            self._share = None
        application, self._application = self._application, None
        if closure is not None:
            reason = Failure(WebSocketClosed(*closure))
        assert isinstance(reason.value, Exception)
        self._sender.fail(reason.value)
        if application is not None:
            application.connectionLost(reason)

    def wasHeard(self) -> bool:
        """
        Whether anything arrived since the last time that this was asked.
        """
        return self._pinger.wasHeard()

    def keepAlive(self, now: float) -> None:
        """
        Ping, if it is time, or give the peer up if it is not there.

        @param now: what the clock shows.
        """
        lifecycle = self._wire.lifecycle
        if lifecycle.discards:
            return
        answers = lifecycle.answers_pings
        if not self._pinger.isAlive(now, answers):
            seconds = self._options.pingInterval + self._options.pingTimeout
            tell(
                _log.info,
                self.transport,
                "is not there any more: for {seconds} seconds it sent nothing, no pong either, "
                "and took nothing of what was sent: aborted",
                seconds=seconds,
            )
            problem = f"a ping was not answered, and nothing sent or taken for {seconds} seconds"
            self._abort(WebSocketProtocolError(problem, CloseCode.INTERNAL_ERROR))
        elif answers and self._pinger.isDue(now):
            self._sender.out.write(self._wire.send_ping(self._pinger.ping(now)))

    # From the application

    @property
    def state(self) -> State:
        return self._wire.state

    @property
    def bufferedAmount(self) -> int:
        return unsent(self.transport) or self._sender.buffered

    @property
    def closeCode(self) -> int:
        """
        The code of the side that closed first; 1006 where neither did (RFC 6455 section 7.1.5).
        """
        closure = self._wire.lifecycle.closure
        return CloseCode.ABNORMAL_CLOSURE if closure is None else closure.code

    def ready(self) -> Deferred[None]:
        return self._sender.ready()

    def sendMessage(self, message: str | bytes | bytearray | memoryview) -> Deferred[None]:
        """
        Send a message of either kind.

        @return: as L{ready}.
        @raise TypeError: it is of neither.
        """
        sender = self._sender
        if self._wire.as_is:
            frame = serialize_message(message)
            if frame is not None:
                sender.out.write(frame)
                self.messagesSent += 1
                return sender.ready() if sender.paused else Fired()
        if isinstance(message, str):
            self.sendTextMessage(message)
        elif isinstance(message, (bytes, bytearray, memoryview)):
            self.sendBytesMessage(message)
        else:
            raise TypeError(
                f"a message is text or octets, not {message!r}: json.dumps() makes text of it"
            )
        return sender.ready()

    def sendTextMessage(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"text is a str, not {text!r:.50}: sendBytesMessage() sends octets")
        frame = serialize_message(text) if self._wire.as_is else None
        if frame is not None:
            self._sender.out.write(frame)
        elif len(text) > _LARGE:
            self._sender.writeParts(self._wire.send_large(text))
        else:
            self._sender.out.write(self._wire.send_text(text))
        self.messagesSent += 1

    def sendBytesMessage(self, data: bytes | bytearray | memoryview) -> None:
        if isinstance(data, str):
            raise TypeError(f"octets are bytes, not {data!r:.50}: sendTextMessage() sends text")
        frame = serialize_message(data) if self._wire.as_is else None
        if frame is not None:
            self._sender.out.write(frame)
        elif len(data) > _LARGE:
            self._sender.writeParts(self._wire.send_large(data))
        else:
            self._sender.out.write(self._wire.send_bytes(data))
        self.messagesSent += 1

    def sendTextPiece(self, text: str, finished: bool) -> None:
        self._sender.out.write(self._wire.send_piece(text, finished))
        self.messagesSent += finished

    def sendBytesPiece(self, data: bytes, finished: bool) -> None:
        self._sender.out.write(self._wire.send_piece(data, finished))
        self.messagesSent += finished

    def sendPrepared(self, message: PreparedMessage, dropSlow: bool) -> bool:
        """
        Send a message that goes to many connections: see L{netkit.websocket.broadcast}.

        @return: whether it was sent.
        """
        sender = self._sender
        if dropSlow and sender.paused:
            return False
        if self._wire.as_is:
            sender.out.write(message.plain)
        elif self._wire.lifecycle.may_send:
            sender.out.write(self._wire.send_prepared(message))
        else:
            return False
        self.messagesSent += 1
        return True

    def ping(self, payload: bytes = b"") -> None:
        self._sender.out.write(self._wire.send_ping(payload))

    def loseConnection(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        lifecycle = self._wire.lifecycle
        if lifecycle.state is State.CONNECTING:
            self.transport.loseConnection()
        elif not lifecycle.discards:
            self._write(self._wire.close(code, reason))
            self._proceed()

    def loseWriteConnection(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        lifecycle = self._wire.lifecycle
        if lifecycle.close_received is not None:
            self.loseConnection(code, reason)
        elif lifecycle.may_send or lifecycle.state is State.CONNECTING:
            self._sender.out.write(self._wire.send_close(code, reason))

    def abortConnection(self) -> None:
        self._abort(None)

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

    def keepUnread(self, size: int) -> None:
        """
        Count what the application keeps of what it was given, because nobody takes it.

        @param size: how many octets that are.
        """
        self._unread = size
        self.countBuffered()

    # Receiving

    def _deliver(self, events: Iterator[Event]) -> None:
        """
        Hand to the application what arrived, and write what it sends for that at once.
        """
        self._delivering = True
        self._sender.collect()
        end = self._clock.seconds() + TIME_SLICE
        try:
            for count, event in enumerate(events, 1):
                self._tell(event)
                # Small ones take less time than to look at the clock.
                if not count & 7 or len(event) > _LARGE:
                    self._yieldAfter(end)
                if self._flow.paused:
                    self._events = events
                    break
        except WebSocketProtocolError as error:
            tell(
                _log.info,
                self.transport,
                "broke the WebSocket protocol, closed with {code}: {reason}",
                code=int(error.code),
                reason=str(error),
            )
            self._fail(error)
        finally:
            self._delivering = False
            self._sender.flush()

    def _yieldAfter(self, end: float) -> None:
        """
        Go on in the next turn, if this connection's share of this one is over.

        @param end: when it is.
        """
        if self._clock.seconds() > end:
            self._flow.pause(PAUSED_FOR_OTHERS)
            self._clock.callLater(0, self._flow.resume, PAUSED_FOR_OTHERS)

    def _tell(self, event: Event) -> None:
        """
        Hand one event to the application.
        """
        application: Any = self._application
        kind = type(event)
        try:
            if kind is bytes or kind is bytearray:
                self.messagesReceived += 1
                application.bytesMessageReceived(event)
            elif kind is str:
                self.messagesReceived += 1
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
            self.messagesReceived += event.finished
            if isinstance(event.data, str):
                application.textPieceReceived(event.data, event.finished)
            else:
                application.bytesPieceReceived(event.data, event.finished)
        elif isinstance(event, Ping):
            self._write(self._wire.answer_ping(event.payload))
            if hasattr(application, "pingReceived"):
                application.pingReceived(event.payload)
        elif isinstance(event, Pong):
            latency = self._pinger.pong(event.payload, self._clock.seconds())
            if latency is None:
                application.pongReceived(event.payload)
            else:
                self._answered(latency)
        elif isinstance(event, Close):
            if self._wire.lifecycle.may_send and hasattr(application, "closeReceived"):
                application.closeReceived(event.code, event.reason)
            else:
                self._write(self._wire.answer_close())
                self._proceed()

    def _answered(self, latency: float) -> None:
        self.latency = latency
        if self._options.pingAnswered is not None:
            try:
                self._options.pingAnswered(latency)
            except Exception:
                _log.failure("What is told of answered pings failed")

    def deliverBuffered(self) -> None:
        """
        For the flow: deliver what arrived while nothing was to be delivered.
        """
        while not (self._flow.paused or self._delivering):
            events, self._events = self._events, None
            if events is None:
                if not self._backlog:
                    break
                data, self._backlog = self._backlog, b""
                events = iter(self._wire.receive_data(data))
            self._deliver(events)
            self.countBuffered()

    def _applicationFailed(self) -> None:
        _log.failure(
            "The application of the WebSocket connection from {peer} failed: closed with 1011",
            peer=addressText(self.transport.getPeer()),
        )
        note(self.transport, "the application failed: closed with 1011")
        self.loseConnection(CloseCode.INTERNAL_ERROR)

    # Sending and closing

    def _write(self, octets: bytes) -> None:
        """
        Write what is to be sent, if anything is.
        """
        if octets:
            self._sender.out.write(octets)

    def _proceed(self) -> None:
        """
        Do what the closing handshake asks for next.
        """
        lifecycle = self._wire.lifecycle
        if lifecycle.must_close:
            self._stopClosing()
            if lifecycle.failure is None or self._server is None:
                self._end()
            else:
                # It may still be sending, and is to get what we said.
                self._sender.flush()
                self._sender.end()
                self._flow.close()
                self._server.lingeringClose()
        elif lifecycle.close_expected:
            if self._closing is None and self._options.closeTimeout:
                self._closing = ClosingDeadline(
                    self._options.closeTimeout, self._clock, self._sender, self._closeTimedOut
                )
            # What is waited for has to be read, whoever paused us.
            self._flow.close()

    def _end(self) -> None:
        """
        Close the transport when it has sent everything.
        """
        self._sender.flush()
        self._sender.end()
        self._flow.end()
        self.transport.loseConnection()

    def _fail(self, error: WebSocketProtocolError) -> None:
        """
        End the connection without waiting for the peer's Close frame (RFC 6455 section 7.1.7).
        """
        self._write(self._wire.fail(error))
        self._events = None
        self._backlog = b""
        self._proceed()

    def _abort(self, error: WebSocketProtocolError | None) -> None:
        self._wire.abort(error)
        self._flow.end()
        self.transport.abortConnection()

    def _stopClosing(self) -> None:
        if self._closing is not None:
            self._closing.stop()

    def _closeTimedOut(self) -> None:
        tell(_log.info, self.transport, "took too long for the closing handshake: aborted")
        self.transport.abortConnection()

    # Memory

    def countBuffered(self) -> None:
        """
        For the sender: count what is kept in memory for this connection. Where that is more than
        all connections of a server may have together, it is this one that ends.
        """
        if self._server is None or self._wire.state is State.CLOSED:
            return
        size = self._wire.buffered + len(self._backlog) + self._sender.buffered + self._unread
        share = self._share
        if share is None:
            if not size:
                return
            self._share = share = self._server.factory.budget.share()
        if size == share.kept:
            return
        try:
            share.keep(size)
        except BudgetExceededError as exceeded:
            if self._wire.lifecycle.failure is not None:
                # It is ending, of this or something else, and its application keeps what it has.
                return
            error = WebSocketProtocolError(str(exceeded), CloseCode.TRY_AGAIN_LATER)
            tell(
                _log.warn,
                self.transport,
                "closed with {code}: {reason}",
                code=int(error.code),
                reason=str(error),
            )
            if self._sender.paused:
                # It would not read that either, before all else.
                self._abort(error)
            else:
                self._fail(error)
