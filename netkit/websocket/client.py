"""
The client's side of a WebSocket connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

from ..base.deadlines import Deadline
from ..base.notes import tell
from ..base.twistedprivate import releaseConnector
from ..wire.websocket.codes import CloseCode
from ..wire.websocket.handshake import ClientHandshake
from .clientopening import ClientOpening, Opened
from .connection import WebSocketConnection
from .errors import ConnectionRejected
from .keepalive import Keepalive
from .options import WebSocketOptions
from .protocol import WebSocketProtocol

_log = Logger()


class WebSocketClientConnection(Protocol):
    """
    The client's side of a connection: an opening handshake, and a WebSocket after it.

    @ivar opened: fires when the opening handshake is done, or fails with why it is not.
    @ivar closed: fires when the connection is lost.
    @ivar responseHeaders: the header fields of the response that opened the connection.
    """

    transport: ITCPTransport
    _connection: WebSocketConnection
    # Until the connection is a WebSocket.
    _opening: ClientOpening | None = None

    def __init__(
        self,
        handshake: ClientHandshake,
        application: WebSocketProtocol,
        options: WebSocketOptions,
        clock: IReactorTime,
        connected: Callable[[], None],
    ) -> None:
        """
        @param handshake: the request to send.
        @param application: what receives the connection's events.
        @param options: how to behave.
        @param clock: what tells the time.
        @param connected: called when the request is sent, and its answer is waited for.
        """
        self.opened: Deferred[None] = Deferred(self._cancelled)
        self.closed: Deferred[None] = Deferred()
        self.responseHeaders = Headers()
        self._handshake = handshake
        self._application = application
        self._options = options
        self._clock = clock
        self._connected = connected
        self._keepalive = Keepalive(options, clock)
        # Of the content of a response that refuses the connection.
        self._deadline = Deadline(clock, self._contentTimedOut)

    def connectionMade(self) -> None:
        self._connected()
        self._connection = WebSocketConnection(
            self._application, self.transport, self._options, self._clock
        )
        self._application.negotiationStarted(self._connection)
        self._opening = ClientOpening(
            self.transport,
            self._handshake,
            self._options,
            opened=self._accepted,
            failed=self._failed,
        )

    def dataReceived(self, data: bytes) -> None:
        if self._opening is None:
            self._connection.dataReceived(data)
        else:
            self._opening.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._deadline.end()
        releaseConnector(self.transport)
        self._keepalive.discard(self._connection)
        self._connection.connectionLost(reason)
        if self._opening is not None:
            self._opening.connectionLost(reason)
        if not self.opened.called:
            if reason.check(ConnectionDone):
                reason = Failure(ConnectionLost("closed before it answered the handshake"))
            self.opened.errback(reason)
        self.closed.callback(None)

    def serviceStopping(self) -> None:
        """
        Close: whoever the connection belongs to stops.
        """
        self._connection.loseConnection(CloseCode.GOING_AWAY, "the client stops")

    # The opening handshake

    def _accepted(self, opened: Opened) -> None:
        self._opening = None
        self.responseHeaders = opened.headers
        self._keepalive.add(self._connection)
        self._connection.open(opened.agreement)
        # In the order of twisted.web.websocket.
        self.opened.callback(None)
        self._connection.start(opened.received)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, ConnectionRejected) and self._options.openTimeout:
            # The content of the response may take as long again.
            self._deadline.start(self._options.openTimeout)
        if not self.opened.called:
            self.opened.errback(error)

    def _contentTimedOut(self) -> None:
        tell(
            _log.info,
            self.transport,
            "took too long for the content of its response: aborted",
        )
        self.transport.abortConnection()

    def _cancelled(self, opened: Deferred[None]) -> None:
        self.transport.abortConnection()


def clientFactory(make: Callable[[], WebSocketClientConnection]) -> Factory[Any]:
    """
    A factory for one connection.
    """
    factory: Factory[Any] = Factory.forProtocol(make)
    factory.noisy = False
    return factory
