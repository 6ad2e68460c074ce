"""
A client's side of a connection: the opening handshake, and what refuses it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import Response
from twisted.web.http_headers import Headers

from ..base.addresses import addressText
from ..wire.errors import RemoteProtocolError
from ..wire.http.connection import ResponseReceiver
from ..wire.http.content import Content, EndOfMessage
from ..wire.http.head import ResponseHead
from ..wire.websocket.handshake import ClientHandshake
from .connection import WebSocketConnection
from .errors import ConnectionRejected, HandshakeFailed
from .keepalive import Keepalive
from .options import WebSocketOptions
from .protocol import WebSocketProtocol

_log = Logger()


class WebSocketClientConnection(WebSocketConnection):
    """
    A connection to a server.

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
        self._receiver: ResponseReceiver | None = ResponseReceiver(options.headLimits())
        self._receiver.request_sent(b"GET")
        # The response that refuses the connection, while its content arrives.
        self._refusal: Response | None = None

    def connectionMade(self) -> None:
        self._connected()
        assert self._waiting is not None
        self._waiting.negotiationStarted(self)
        self.transport.write(self._handshake.request)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._keepalive.discard(self)
        if self._receiver is not None and self._refusal is not None:
            # The content may be what ends with the connection.
            self._receiver.receive_end()
            self._content(self._receiver)
        waiting, self._waiting = self._waiting, None
        super().connectionLost(reason)
        if waiting is not None:
            waiting.connectionLost(reason)
            if reason.check(ConnectionDone):
                reason = Failure(ConnectionLost("closed before it answered the handshake"))
            self._fails(reason)
        self._endRefusal(reason)
        self.closed.callback(None)

    def serviceStopping(self) -> None:
        """
        Close: whoever the connection belongs to stops.
        """
        self.loseConnection(1001, "the client stops")

    # The opening handshake

    def _handshakeReceived(self, data: bytes) -> None:
        receiver = self._receiver
        if receiver is None:
            return
        receiver.receive(data)
        if self._refusal is not None:
            self._content(receiver)
            return
        try:
            head = receiver.next_final_head()
            if head is None:
                return
            if head.status == 101:
                self._accepted(head, receiver)
            else:
                self._refused(head, receiver)
        except RemoteProtocolError as error:
            _log.info(
                "{peer} does not open a WebSocket: {reason}",
                peer=addressText(self.transport.getPeer()),
                reason=str(error),
            )
            self._fails(Failure(HandshakeFailed(str(error))))
            self._receiver = None
            self.transport.abortConnection()

    def _accepted(self, head: ResponseHead, receiver: ResponseReceiver) -> None:
        agreement = self._handshake.read_response(head.fields)
        application, self._waiting = self._waiting, None
        assert application is not None
        self._receiver = None
        self.responseHeaders = _headers(head)
        self._keepalive.add(self)
        self._open(application, agreement, b"", receiver.detach())

    def _finished(self, application: WebSocketProtocol) -> None:
        # In the order of twisted.web.websocket.
        self.opened.callback(None)
        super()._finished(application)

    def _refused(self, head: ResponseHead, receiver: ResponseReceiver) -> None:
        """
        The server gave another answer: hand it over.
        """
        response = Response(
            (b"HTTP", 1, head.minor), head.status, head.reason, _headers(head), self.transport
        )
        self._refusal = response
        # Its content may take as long again.
        self._startTimer(self.options.openTimeout)
        self._fails(Failure(ConnectionRejected(response)))
        self._content(receiver)

    def _content(self, receiver: ResponseReceiver) -> None:
        """
        Hand over the content of the response that refuses the connection.
        """
        response = self._refusal
        if response is None:
            return
        try:
            while (event := receiver.next_event()) is not None:
                if isinstance(event, Content):
                    response._bodyDataReceived(bytes(event.data))
                elif isinstance(event, EndOfMessage):
                    self._endRefusal(connectionDone)
                    self.transport.loseConnection()
                    return
        except RemoteProtocolError as error:
            self._endRefusal(Failure(error))
            self.transport.abortConnection()

    def _endRefusal(self, reason: Failure) -> None:
        response, self._refusal = self._refusal, None
        if response is not None:
            response._bodyDataFinished(reason)

    def _fails(self, reason: Failure) -> None:
        if not self.opened.called:
            self.opened.errback(reason)

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


def _headers(head: ResponseHead) -> Headers:
    headers = Headers()
    for name, value in head.fields:
        headers.addRawHeader(name, value)
    return headers
