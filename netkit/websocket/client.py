"""
The client's side of a WebSocket connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

from ..wire.websocket.handshake import ClientHandshake
from .clientopening import ClientOpening, Opened
from .connection import WebSocketConnection
from .errors import ConnectionRejected
from .keepalive import Keepalive
from .options import WebSocketOptions
from .protocol import WebSocketProtocol


class WebSocketClientConnection(WebSocketConnection):
    """
    The client's side of a connection.

    @ivar opened: fires when the opening handshake is done, or fails with why it is not.
    @ivar closed: fires when the connection is lost.
    @ivar responseHeaders: the header fields of the response that opened the connection.
    """

    _client = True

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
        super().__init__(options, clock)
        self.opened: Deferred[None] = Deferred(self._cancelled)
        self.closed: Deferred[None] = Deferred()
        self.responseHeaders = Headers()
        self._keepalive = Keepalive(options, clock)
        self._handshake = handshake
        self._connected = connected
        self._waiting: WebSocketProtocol | None = application
        # Until the connection is a WebSocket.
        self._opening: ClientOpening | None = None

    def connectionMade(self) -> None:
        self._connected()
        assert self._waiting is not None
        self._waiting.negotiationStarted(self)
        self._opening = ClientOpening(
            self.transport,
            self._handshake,
            self.options,
            opened=self._accepted,
            failed=self._failed,
        )

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._keepalive.discard(self)
        waiting, self._waiting = self._waiting, None
        super().connectionLost(reason)
        if waiting is not None:
            waiting.connectionLost(reason)
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
        self.loseConnection(1001, "the client stops")

    # The opening handshake

    def _handshakeReceived(self, data: bytes) -> None:
        if self._opening is not None:
            self._opening.dataReceived(data)

    def _accepted(self, opened: Opened) -> None:
        application, self._waiting = self._waiting, None
        assert application is not None
        self._opening = None
        self.responseHeaders = opened.headers
        self._keepalive.add(self)
        self._open(application, opened.agreement, b"", opened.received)

    def _finished(self, application: WebSocketProtocol) -> None:
        # In the order of twisted.web.websocket.
        self.opened.callback(None)
        super()._finished(application)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, ConnectionRejected):
            # The content of the response may take as long again.
            self._startTimer(self.options.openTimeout)
        if not self.opened.called:
            self.opened.errback(error)

    def _cancelled(self, opened: Deferred[None]) -> None:
        self.transport.abortConnection()

    def _linger(self) -> None:
        # It is for the server to close (RFC 6455 section 7.1.1).
        self._startTimer(self.options.closeTimeout)


def clientFactory(make: Callable[[], WebSocketClientConnection]) -> Factory[Any]:
    """
    A factory for one connection.
    """
    factory: Factory[Any] = Factory.forProtocol(make)
    factory.noisy = False
    return factory
