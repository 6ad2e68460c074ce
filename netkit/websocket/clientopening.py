"""
The client's opening handshake (RFC 6455 section 4.1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import Response
from twisted.web.http_headers import Headers

from ..base.notes import tell
from ..base.twistedprivate import contentEnded, contentReceived
from ..wire.errors import HTTPProtocolError, RemoteProtocolError
from ..wire.http.connection import ResponseReceiver
from ..wire.http.content import Content, EndOfMessage
from ..wire.http.head import ResponseHead
from ..wire.websocket.handshake import Agreement, ClientHandshake
from .errors import ConnectionRejected, HandshakeFailed
from .options import WebSocketOptions

_log = Logger()


class Opened(NamedTuple):
    """
    The result of a response that opens the connection.

    @ivar agreement: the subprotocol and the compression that were agreed on.
    @ivar headers: the header fields of the response.
    @ivar received: the octets that arrived behind it.
    """

    agreement: Agreement
    headers: Headers
    received: bytes


class ClientOpening:
    """
    The client's side of a connection until it is open: sends the request and parses the response.
    Where that is not 101, its content is delivered to the response of the L{ConnectionRejected},
    until it ends.
    """

    __slots__ = (
        "_failed",
        "_handshake",
        "_opened",
        "_over",
        "_receiver",
        "_refusal",
        "_transport",
    )

    def __init__(
        self,
        transport: ITCPTransport,
        handshake: ClientHandshake,
        options: WebSocketOptions,
        *,
        opened: Callable[[Opened], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """
        Send the request.

        @param transport: the connection.
        @param handshake: the request.
        @param options: how large the head of the response may be.
        @param opened: called when the response opens the connection.
        @param failed: called when it does not: with L{ConnectionRejected} for another response, or
            L{HandshakeFailed} for what is none.
        """
        self._transport = transport
        self._handshake = handshake
        self._opened = opened
        self._failed = failed
        self._receiver = ResponseReceiver(options.headLimits())
        self._receiver.request_sent(b"GET")
        # The response that refuses the connection, while its content arrives.
        self._refusal: Response | None = None
        self._over = False
        transport.write(handshake.request)

    def dataReceived(self, data: bytes) -> None:
        """
        Octets arrived.
        """
        if self._over:
            return
        self._receiver.receive(data)
        if self._refusal is not None:
            self._readContent(self._refusal)
            return
        try:
            head = self._receiver.next_final_head()
            if head is None:
                return
            agreement = None
            if head.status == 101:
                agreement = self._handshake.read_response(head.fields)
        except RemoteProtocolError as error:
            tell(
                _log.info,
                self._transport,
                "does not open a WebSocket: {reason}",
                reason=str(error),
            )
            self._over = True
            self._failed(HandshakeFailed(str(error)))
            self._transport.abortConnection()
            return
        if agreement is None:
            self._refused(head)
        else:
            self._over = True
            self._opened(Opened(agreement, _headers(head), self._receiver.detach()))

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is lost.

        @param reason: why.
        """
        if self._refusal is not None:
            # Content without a length ends with the connection.
            self._receiver.receive_end()
            self._readContent(self._refusal)
            self._endContent(reason)
        self._over = True

    def _refused(self, head: ResponseHead) -> None:
        response = Response(
            (b"HTTP", 1, head.minor), head.status, head.reason, _headers(head), self._transport
        )
        self._refusal = response
        self._failed(ConnectionRejected(response))
        self._readContent(response)

    def _readContent(self, response: Response) -> None:
        try:
            while (event := self._receiver.next_event()) is not None:
                if isinstance(event, Content):
                    contentReceived(response, bytes(event.data))
                elif isinstance(event, EndOfMessage):
                    self._endContent(connectionDone)
                    self._transport.loseConnection()
                    return
        except HTTPProtocolError as error:
            self._endContent(Failure(error))
            self._transport.abortConnection()

    def _endContent(self, reason: Failure) -> None:
        response, self._refusal = self._refusal, None
        self._over = True
        if response is not None:
            contentEnded(response, reason)


def _headers(head: ResponseHead) -> Headers:
    headers = Headers()
    for name, value in head.fields:
        headers.addRawHeader(name, value)
    return headers
