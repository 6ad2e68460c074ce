"""
The server's side of a WebSocket connection.
"""

from __future__ import annotations

from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from ..server import ServerProtocol
from ..wire.websocket.codes import CloseCode
from .acceptor import Accepted, Acceptor
from .connection import WebSocketConnection
from .keepalive import Keepalive
from .serveropening import ServerOpening


class WebSocketServerConnection(WebSocketConnection, ServerProtocol):
    """
    The server's side of a connection: closed with 1001 when the service stops, or when it was idle
    for too long.
    """

    _client = False
    # None once it is a WebSocket.
    _opening: ServerOpening | None = None

    def __init__(
        self,
        acceptor: Acceptor,
        keepalive: Keepalive,
        clock: IReactorTime,
        httpFactory: IProtocolFactory | None = None,
    ) -> None:
        """
        @param acceptor: decides whether the request is accepted.
        @param keepalive: pings the peer, once the connection is open.
        @param clock: what tells the time.
        @param httpFactory: makes the protocol for requests that ask for no WebSocket.
        """
        super().__init__(acceptor.options, clock)
        self._acceptor = acceptor
        self._keepalive = keepalive
        self._httpFactory = httpFactory

    def connectionMade(self) -> None:
        super().connectionMade()
        self._opening = ServerOpening(
            self.transport,
            self._acceptor,
            self._httpFactory,
            self.factory.budget.share(),
            self.clock,
            opened=self.begin,
            refused=self.lingeringClose,
        )

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._opening is not None:
            self._opening.connectionLost(reason)
        self._keepalive.discard(self)
        WebSocketConnection.connectionLost(self, reason)
        ServerProtocol.connectionLost(self, reason)

    def readConnectionLost(self) -> None:
        if self._opening is not None:
            self._opening.readConnectionLost()
        else:
            super().readConnectionLost()

    def writeConnectionLost(self) -> None:
        if self._opening is not None:
            self._opening.writeConnectionLost()

    def serviceStopping(self) -> None:
        if self._opening is not None:
            self._opening.serviceStopping()
        else:
            self.loseConnection(CloseCode.GOING_AWAY, "the service stops")

    def timedOut(self) -> None:
        if self._opening is None:
            self.loseConnection(CloseCode.GOING_AWAY, "idle for too long")
        elif not self._opening.plain:
            # What speaks plain HTTP has a time-out of its own, if it wants one.
            super().timedOut()

    def begin(self, accepted: Accepted, received: bytes = b"") -> None:
        """
        Send the response 101 and open the connection.

        @param accepted: what the request was accepted with.
        @param received: the octets that arrived behind it.
        """
        if self._opening is not None:
            self._opening.end()
            self._opening = None
        self._share = self.factory.budget.share()
        accepted.application.negotiationStarted(self)
        self._keepalive.add(self)
        self._open(accepted.application, accepted.agreement, accepted.response, received)

    def _handshakeReceived(self, data: bytes) -> None:
        if self._opening is not None:
            self._opening.dataReceived(data)

    def _linger(self) -> None:
        self.lingeringClose()
