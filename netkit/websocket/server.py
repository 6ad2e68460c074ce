"""
The server's side of a WebSocket connection.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..base.deadlines import Deadlines
from ..server import ServerProtocol
from ..wire.http.head import RequestHead
from ..wire.websocket.codes import CloseCode
from .acceptor import Accepted, Acceptor
from .connection import WebSocketConnection
from .conversation import Conversation
from .keepalive import Keepalive
from .protocol import Rejection
from .serveropening import ServerOpening

_log = Logger()


class WebSocketServerConnection(ServerProtocol):
    """
    The server's side of a connection: closed with 1001 when the service stops, or when it was idle
    for too long.
    """

    # None once it is a WebSocket.
    _opening: ServerOpening | None = None
    _connection: WebSocketConnection | None = None
    # For who is told of conversations.
    _head: RequestHead | None = None
    _began = 0.0
    _idleTicks = 0

    def __init__(
        self,
        acceptor: Acceptor,
        keepalive: Keepalive,
        openings: Deadlines,
        clock: IReactorTime,
        httpFactory: IProtocolFactory | None = None,
        conversationDone: Callable[[Conversation], object] | None = None,
    ) -> None:
        """
        @param acceptor: decides whether the request is accepted.
        @param keepalive: pings the peer, once the connection is open.
        @param openings: says when an opening handshake has taken too long.
        @param clock: what tells the time.
        @param httpFactory: makes the protocol for requests that ask for no WebSocket.
        @param conversationDone: called with what became of the WebSocket.
        """
        self._acceptor = acceptor
        self._keepalive = keepalive
        self._openings = openings
        self._clock = clock
        self._httpFactory = httpFactory
        self._conversationDone = conversationDone

    def connectionMade(self) -> None:
        super().connectionMade()
        self._opening = ServerOpening(
            self.transport,
            self._acceptor,
            self._httpFactory,
            self.factory.budget.share(),
            self._clock,
            self._openings,
            opened=self.begin,
            refused=self._refused,
        )

    def dataReceived(self, data: bytes) -> None:
        if self._opening is not None:
            self._opening.dataReceived(data)
        elif self._connection is not None:
            # For who took this method before it was a WebSocket.
            self._connection.dataReceived(data)

    @property
    def idleTicks(self) -> int:
        """
        How many of the factory's idle checks there were since something arrived.
        """
        if self._connection is not None and self._connection.wasHeard():
            self._idleTicks = 0
        return self._idleTicks

    @idleTicks.setter
    def idleTicks(self, ticks: int) -> None:
        self._idleTicks = ticks

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._opening is not None:
            self._opening.connectionLost(reason)
        # Each of the two knows this one: no cycle is to be left for the collector.
        self._opening = None
        connection, self._connection = self._connection, None
        if connection is not None:
            del self.dataReceived
            self._keepalive.discard(connection)
            connection.connectionLost(reason)
            self._tell(connection)
        super().connectionLost(reason)

    def readConnectionLost(self) -> None:
        if self._opening is not None:
            self._opening.readConnectionLost()
        elif self._connection is not None:
            self._connection.readConnectionLost()
        else:
            super().readConnectionLost()

    def writeConnectionLost(self) -> None:
        if self._opening is not None:
            self._opening.writeConnectionLost()

    def serviceStopping(self) -> None:
        if self._connection is not None:
            self._connection.loseConnection(CloseCode.GOING_AWAY, "the service stops")
        elif self._opening is not None:
            self._opening.serviceStopping()

    def timedOut(self) -> None:
        if self._connection is not None:
            self._connection.loseConnection(CloseCode.GOING_AWAY, "idle for too long")
        elif self._opening is None or not self._opening.plain:
            # What speaks plain HTTP has a time-out of its own, if it wants one.
            super().timedOut()

    def begin(self, accepted: Accepted, received: bytes = b"") -> None:
        """
        Send the response 101 and open the connection.

        @param accepted: what the request was accepted with.
        @param received: the octets that arrived behind it.
        """
        if self._opening is not None:
            if self._conversationDone is not None:
                self._head = self._opening.head
                self._began = self._clock.seconds()
            self._opening.end()
            self._opening = None
        self._connection = connection = WebSocketConnection(
            accepted.application,
            self.transport,
            self._acceptor.options,
            self._clock,
            server=self,
        )
        # No call of ours is on the way of what arrives.
        self.dataReceived = connection.dataReceived  # type: ignore[method-assign]
        accepted.application.negotiationStarted(connection)
        self._keepalive.add(connection)
        connection.open(accepted.agreement, accepted.response)
        connection.start(received)

    def _refused(self, rejection: Rejection) -> None:
        if self._conversationDone is not None and self._opening is not None:
            self._done(
                Conversation(
                    self._opening.head,
                    rejection.status,
                    self.transport,
                    ended=self._clock.seconds(),
                    octets=len(rejection.body),
                )
            )
        self.lingeringClose()

    def _tell(self, connection: WebSocketConnection) -> None:
        if self._conversationDone is not None:
            now = self._clock.seconds()
            self._done(
                Conversation(
                    self._head,
                    101,
                    self.transport,
                    ended=now,
                    code=connection.closeCode,
                    messagesReceived=connection.messagesReceived,
                    messagesSent=connection.messagesSent,
                    # A clock may be set back.
                    seconds=max(0.0, now - self._began),
                )
            )

    def _done(self, conversation: Conversation) -> None:
        assert self._conversationDone is not None
        try:
            self._conversationDone(conversation)
        except Exception:
            _log.failure("What is told of WebSockets failed")
