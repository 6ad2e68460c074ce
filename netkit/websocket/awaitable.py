"""
A WebSocket connection whose messages are awaited, for coroutines.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Generator
from types import TracebackType, coroutine
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..base.addresses import addressText
from ..base.arguments import checkCallable
from ..base.coroutines import Arrival, Runner
from ..base.failures import releaseFrames, untraced
from ..base.notes import note
from ..base.waiters import Waiters
from ..wire.websocket.broadcast import PreparedMessage
from ..wire.websocket.codes import CloseCode
from ..wire.websocket.lifecycle import NotConnected, State
from .connection import WebSocketConnection
from .errors import WebSocketClosed
from .protocol import WebSocketProtocol, WebSocketTransport

_log = Logger()

#: What is received: text, or octets.
Message: TypeAlias = str | bytes | bytearray

# So much may wait to be received before the peer is read from no more; and what a message counts
# for beside its content, so that very small ones are not kept in any number.
_HIGH_WATER_MARK = 2**16
_OVERHEAD = 64

# With these codes a connection ends as it should.
_IN_ORDER = frozenset(
    {CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RECEIVED}
)

# With these a coroutine ends that did not expect the end of its connection.
_ENDS = (ConnectionDone, ConnectionLost, ConnectionAborted, NotConnected)


class WebSocket(WebSocketProtocol):
    """
    One connection, of a server or a client: messages are received by C{async for}, and sent by
    C{await ws.send(message)}. While nobody receives, the peer is read from no more.

    @ivar request: what opened the connection of a server; L{None} in a client.
    @ivar transport: the same connection, for what has no name here.
    """

    transport: WebSocketTransport
    _connection: WebSocketConnection

    def __init__(
        self, request: Any = None, started: Callable[[WebSocket], object] | None = None
    ) -> None:
        """
        WebSockets are made by L{WebSocketApplication} and by
        L{WebSocketClientEndpoint.open <netkit.websocket.WebSocketClientEndpoint.open>}.

        @param request: what opened the connection.
        @param started: called when it is open.
        """
        self.request = request
        self._started = started
        self._messages: deque[Message] = deque()
        self._unread = 0
        self._paused = False
        self._receiver: Deferred[Message] | None = None
        # What the iteration waits for, or can again, where nothing is to be had.
        self._arrival: Arrival[Message] | None = None
        self._reason: Exception | None = None
        self._watchers: Waiters[Exception] = Waiters()

    def __repr__(self) -> str:
        return f"<WebSocket with {addressText(self.transport.getPeer())}, {self.state.name}>"

    # For whoever has it

    def receive(self) -> Deferred[Message]:
        """
        Receive the next message. Cancelling it loses none.

        @return: fires with the message; fails with why there is no more: L{WebSocketClosed
            <netkit.websocket.WebSocketClosed>} after a Close frame, else Twisted's error.
        """
        if self._messages:
            return succeed(self._next())
        if self._reason is not None:
            return fail(untraced(self._reason))
        if self._receiver is not None:
            return fail(
                RuntimeError("another receive() of this WebSocket waits: one at a time can")
            )
        receiver: Deferred[Message] = Deferred(self._stoppedReceiving)
        self._receiver = receiver
        self._arrival = None
        return receiver

    def __aiter__(self) -> WebSocket:
        return self

    @coroutine
    def __anext__(self) -> Generator[Any, Any, Message]:
        """
        Receive the next message, up to an end in good order.
        """
        try:
            arrival = self._arrival
            if arrival is None or self._receiver is not None:
                if self._messages:
                    return self._next()
                if self._receiver is not None or self._reason is not None:
                    return (yield from self.receive())
                self._arrival = arrival = Arrival(self._stoppedReceiving)
            self._receiver = arrival
            message: Message = yield arrival
            return message
        except WebSocketClosed as closed:
            if closed.code in _IN_ORDER:
                raise StopAsyncIteration from None
            raise

    def send(self, message: str | bytes | bytearray | memoryview) -> Deferred[None]:
        """
        Send a message. It is on its way when this returns.

        @param message: text or octets.
        @return: fires when more should be sent: at once, where the peer takes what it is sent.
            Fails where the connection is lost before.
        @raise TypeError: C{message} is neither; nothing was sent.
        @raise NotConnected: the connection is closed, by whichever side, or is closing.
        """
        return self._connection.sendMessage(message)

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> Deferred[Exception]:
        """
        Close the connection: what was sent before arrives, what the peer still sends is dropped.
        Where it is closing already, or closed, this waits for the end alone.

        @param code: the close code: 1000, 1001, 1008, 1011, 3000 to 4999 ...
        @param reason: why, in words for whoever debugs it: up to 123 octets.
        @return: as C{closed}.
        """
        if self._reason is None:
            self.transport.loseConnection(code, reason)
        return self.closed

    @property
    def closed(self) -> Deferred[Exception]:
        """
        Fires when the connection is gone, with how it ended: L{WebSocketClosed
        <netkit.websocket.WebSocketClosed>}, which has code and reason, or Twisted's error. It does
        not fail. Each time another Deferred.
        """
        return self._watchers.wait() if self._reason is None else succeed(self._reason)

    @property
    def state(self) -> State:
        """
        Where the connection is: C{CONNECTING}, C{OPEN}, C{CLOSING} or C{CLOSED}.
        """
        return self.transport.state

    @property
    def bufferedAmount(self) -> int:
        """
        How many octets were sent and wait here, because the peer does not take them.
        """
        return self.transport.bufferedAmount

    @property
    def subprotocol(self) -> str | None:
        """
        The subprotocol that was agreed on, if any.
        """
        return self.transport.subprotocol

    @property
    def latency(self) -> float | None:
        """
        How many seconds the peer took to answer the last ping of ours.
        """
        return self.transport.latency

    def getPeer(self) -> IAddress:
        """
        The peer's address.
        """
        return self.transport.getPeer()

    async def __aenter__(self) -> WebSocket:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """
        Close the connection.
        """
        await self.close()

    def sendPrepared(self, message: PreparedMessage, dropSlow: bool) -> bool:
        """
        For L{netkit.websocket.broadcast}.
        """
        return self._connection.sendPrepared(message, dropSlow)

    # From the connection

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        assert isinstance(transport, WebSocketConnection)
        self.transport = self._connection = transport

    def negotiationFinished(self) -> None:
        if self._started is not None:
            self._started(self)

    def connectionLost(self, reason: Failure) -> None:
        assert isinstance(reason.value, Exception)
        self._reason = reason.value
        receiver, self._receiver = self._receiver, None
        self._arrival = None
        if receiver is not None:
            failure = Failure(untraced(self._reason))
            if isinstance(receiver, Arrival):
                receiver.failed(failure)
            else:
                receiver.errback(failure)
            # Whoever received may have caught it, and go on.
            releaseFrames(failure)
        self._watchers.succeed(self._reason)

    def _received(self, message: Message) -> None:
        arrival = self._arrival
        if arrival is not None:
            runner = arrival.runner
            if runner is not None:
                # As in Arrival.arrived, without a call.
                self._receiver = arrival.runner = None
                runner.resume(message)
                return
            # It has callbacks, or nobody waits for it: it is not to be waited for again.
            self._arrival = None
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.callback(message)
            return
        self._messages.append(message)
        self._unread += len(message) + _OVERHEAD
        if self._unread > _HIGH_WATER_MARK:
            if not self._paused:
                self._paused = True
                self.transport.pauseProducing()
            self._connection.keepUnread(self._unread)

    # One call for each message, not two.
    textMessageReceived = _received
    bytesMessageReceived = _received  # type: ignore[assignment]

    def _next(self) -> Message:
        """
        Take the first of the messages that wait.
        """
        message = self._messages.popleft()
        if self._paused:
            self._relieve(len(message) + _OVERHEAD)
        else:
            self._unread -= len(message) + _OVERHEAD
        return message

    def _relieve(self, size: int) -> None:
        """
        Less waits: go on to read, where that is little enough.
        """
        self._unread -= size
        self._connection.keepUnread(self._unread)
        if self._unread <= _HIGH_WATER_MARK // 2:
            self._paused = False
            self._connection.keepUnread(0)
            self.transport.resumeProducing()

    def _stoppedReceiving(self, receiver: Deferred[Message]) -> None:
        self._receiver = self._arrival = None


class WebSocketApplication:
    """
    Has a coroutine function answer each connection to a server::

        async def echo(ws):
            async for message in ws:
                await ws.send(message)

        WebSocketFactory(WebSocketApplication(echo))

    When it returns, the connection is closed; where it fails, with 1011, and that is logged.
    A subclass may define C{acceptConnection} (L{ConnectionAcceptor
    <netkit.websocket.ConnectionAcceptor>}).
    """

    def __init__(self, handler: Callable[[WebSocket], Coroutine[Any, Any, object]]) -> None:
        """
        @param handler: called with each L{WebSocket} that is open.
        @raise TypeError: it is no function.
        """
        checkCallable("handler", handler)
        self._handler = handler

    def buildProtocol(self, request: Any) -> WebSocket:
        """
        Make the application's side of a connection.

        @param request: what opens it.
        """
        return WebSocket(request, self._start)

    def _start(self, ws: WebSocket) -> None:
        handling = self._handler(ws)
        if not isinstance(handling, Coroutine):
            raise TypeError(
                f"the handler of a WebSocket is a coroutine function, and returned {handling!r}: "
                "write async def"
            )
        Runner(handling, self._returned, self._failed, ws).start()

    def _returned(self, result: object, ws: WebSocket) -> None:
        ws.transport.loseConnection()

    def _failed(self, failure: Failure, ws: WebSocket) -> None:
        if ws.state is State.OPEN or not failure.check(*_ENDS):
            peer = addressText(ws.getPeer())
            _log.failure(
                "The handler of the WebSocket from {peer} failed: closed with 1011",
                failure,
                peer=peer,
            )
            note(ws.transport, "the handler failed: closed with 1011")
        releaseFrames(failure)
        ws.transport.loseConnection(CloseCode.INTERNAL_ERROR)
