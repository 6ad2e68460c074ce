"""
A WebSocket in a tree of L{twisted.web} resources, or of Klein routes.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from ..wire.errors import RemoteProtocolError
from ..wire.http.fields import Fields, encode_fields
from ..wire.http.framing import Framing
from ..wire.http.head import RequestHead
from ..wire.websocket.handshake import Offer, read_request
from .factory import WebSocketFactory
from .options import DEFAULTS, WebSocketOptions
from .protocol import Decision, Rejection, WebSocketProtocol, WebSocketServerFactory
from .server import WebSocketServerConnection

_log = Logger()


class WebSocketResource(Resource):
    """
    A resource that is a WebSocket.

    @ivar webSocketFactory: what has the connections: C{closeConnections} ends them, with 1001,
        when the service stops.
    """

    def __init__(
        self,
        factory: WebSocketServerFactory[WebSocketProtocol],
        *,
        subprotocols: Sequence[str] = (),
        origins: Sequence[str] | None = None,
        options: WebSocketOptions = DEFAULTS,
        maxConnections: int = 10_000,
        idleTimeout: float = 600.0,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param factory: makes the application's side of each connection: its C{buildProtocol} gets
            the L{Request <twisted.web.server.Request>}.
        @param subprotocols: as in L{WebSocketFactory}.
        @param origins: as in L{WebSocketFactory}.
        @param options: how connections are to behave.
        @param maxConnections: as in L{WebSocketFactory}.
        @param idleTimeout: as in L{WebSocketFactory}.
        @param clock: as in L{WebSocketFactory}.
        """
        super().__init__()
        self.factory = factory
        self.webSocketFactory = WebSocketFactory(
            factory,
            subprotocols=subprotocols,
            origins=origins,
            options=options,
            maxConnections=maxConnections,
            idleTimeout=idleTimeout,
            clock=clock,
        )

    def render_GET(self, request: Request) -> bytes | int:
        """
        Answer a request for a WebSocket.
        """
        try:
            offer = read_request(_head(request))
        except RemoteProtocolError as error:
            _log.info("{request} is refused: {reason}", request=request, reason=str(error))
            # As twisted.web.websocket has it.
            request.setResponseCode(400)
            request.setHeader(b"content-type", b"text/plain")
            return b"websocket protocol negotiation error"
        deciding: Deferred[Decision] = maybeDeferred(self.webSocketFactory.decide, request)
        gone = request.notifyFinish()
        gone.addErrback(lambda reason: deciding.cancel())
        deciding.addCallback(self._decided, request, offer)
        deciding.addErrback(_failed, request)
        return NOT_DONE_YET

    def _decided(self, decision: Decision, request: Request, offer: Offer) -> None:
        if request._disconnected:
            return
        wire = self.webSocketFactory.buildProtocol(request.getClientAddress())
        if not isinstance(wire, WebSocketServerConnection):
            _reject(request, Rejection(status=503))
            return
        answer = self.webSocketFactory.answer(decision, request, offer)
        if isinstance(answer, Rejection):
            _reject(request, answer)
            return
        channel = request.channel
        # The channel's own; what flows now is for the WebSocket to control.
        IConsumer(channel.transport).unregisterProducer()
        channel._protocolUpgradeForWebsockets(wire)
        wire.begin(answer)


def _head(request: Request) -> RequestHead:
    """
    The head that a request had.
    """
    fields = [
        (name, value)
        for name, values in request.requestHeaders.getAllRawHeaders()
        for value in values
    ]
    minor = 1 if request.clientproto == b"HTTP/1.1" else 0
    length = request.requestHeaders.getRawHeaders(b"content-length", [b"0"])[0]
    chunked = request.requestHeaders.hasHeader(b"transfer-encoding")
    framing = Framing(chunked, int(length), keep_alive=False, upgrade=True)
    section = Fields(encode_fields(fields) + b"\r\n")
    return RequestHead(request.method, request.uri, minor, section, framing, b"")


def _reject(request: Request, rejection: Rejection) -> None:
    request.setResponseCode(rejection.status)
    for name, value in rejection.headers:
        request.responseHeaders.addRawHeader(name, value)
    request.write(rejection.body)
    request.finish()


def _failed(reason: Failure, request: Request) -> None:
    if request._disconnected:
        return
    _log.failure("A request for a WebSocket could not be answered: 500", failure=reason)
    _reject(request, Rejection(status=500))
