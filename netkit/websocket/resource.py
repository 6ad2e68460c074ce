"""
A WebSocket in a tree of L{twisted.web} resources, or of Klein routes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from ..base.deadlines import Deadlines
from ..base.failures import releaseFrames
from ..base.notes import note, tell
from ..base.twistedprivate import upgradeChannel
from ..server import ServerFactory
from ..wire.errors import HTTPProtocolError
from ..wire.http.fields import Fields, encode_fields
from ..wire.http.framing import Framing
from ..wire.http.head import RequestHead
from ..wire.websocket.handshake import Offer, read_request
from .acceptor import Acceptor, Refused
from .keepalive import Keepalive
from .options import DEFAULTS, WebSocketOptions
from .protocol import Decision, Rejection, WebSocketProtocol, WebSocketServerFactory
from .server import WebSocketServerConnection

_log = Logger()


class WebSocketResource(Resource):
    """
    A resource that upgrades its requests to WebSockets.

    @ivar acceptor: decides whether a handshake is accepted.
    @ivar webSocketFactory: keeps the open connections within limits: C{closeConnections} closes
        them with 1001, for when the service stops.
    """

    def __init__(
        self,
        factory: WebSocketServerFactory[WebSocketProtocol],
        *,
        subprotocols: Iterable[str] = (),
        origins: Iterable[str] | None = None,
        options: WebSocketOptions = DEFAULTS,
        maxConnections: int = 10_000,
        maxBuffered: int = 256 * 2**20,
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
        @param maxBuffered: as in L{WebSocketFactory}.
        @param idleTimeout: as in L{WebSocketFactory}.
        @param clock: as in L{WebSocketFactory}.
        @raise TypeError: as L{WebSocketFactory} does.
        @raise ValueError: as L{WebSocketFactory} does.
        """
        super().__init__()
        self.factory = factory
        self.acceptor = Acceptor(
            factory, subprotocols=subprotocols, origins=origins, options=options
        )
        self.webSocketFactory = connections = ServerFactory(
            maxConnections=maxConnections,
            maxBuffered=maxBuffered,
            idleTimeout=idleTimeout,
            clock=clock,
        )
        keepalive = Keepalive(options, connections.clock)
        # The opening handshake is over when there is a connection.
        openings = Deadlines(connections.clock, 0)
        connections.protocol = partial(
            WebSocketServerConnection, self.acceptor, keepalive, openings, connections.clock
        )

    def render_GET(self, request: Request) -> bytes | int:
        """
        Answer a request for a WebSocket.
        """
        try:
            offer = read_request(_head(request))
        except HTTPProtocolError as error:
            # As twisted.web.websocket has it.
            _tellRefusal(request, 400, str(error))
            request.setResponseCode(400)
            request.setHeader(b"content-type", b"text/plain")
            return b"websocket protocol negotiation error"
        # As a WebSocketRequest has them.
        vars(request).update(fields=tuple(_fields(request)), subprotocols=offer.subprotocols)
        decision = self.acceptor.decide(request)
        deciding = decision if isinstance(decision, Deferred) else succeed(decision)
        gone: Deferred[None] = request.notifyFinish()
        gone.addErrback(lambda reason: deciding.cancel())
        deciding.addCallback(self._decided, request, offer, gone)
        deciding.addErrback(_failed, request, gone)
        return NOT_DONE_YET

    def _decided(
        self, decision: Decision | Refused, request: Request, offer: Offer, gone: Deferred[None]
    ) -> None:
        if gone.called:
            return
        connection = self.webSocketFactory.buildProtocol(request.getClientAddress())
        if not isinstance(connection, WebSocketServerConnection):
            # The factory says so in the log, once.
            note(request.channel.transport, "refused with 503: too many connections are open")
            _reject(request, Rejection(status=503))
            return
        answer = self.acceptor.answer(decision, request, offer)
        if isinstance(answer, Refused):
            _tellRefusal(request, answer.rejection.status, answer.reason)
            _reject(request, answer.rejection)
            return
        # The channel's own; what flows now is for the WebSocket to control.
        IConsumer(request.channel.transport).unregisterProducer()
        upgradeChannel(request, connection)
        connection.begin(answer)


def _head(request: Request) -> RequestHead:
    """
    The head that a request had.
    """
    minor = 1 if request.clientproto == b"HTTP/1.1" else 0
    length = request.requestHeaders.getRawHeaders(b"content-length", [b"0"])[0]
    chunked = request.requestHeaders.hasHeader(b"transfer-encoding")
    framing = Framing(chunked, int(length), keep_alive=False, upgrade=True)
    section = Fields(encode_fields(_fields(request)) + b"\r\n")
    return RequestHead(request.method, request.uri, minor, section, framing, b"")


def _fields(request: Request) -> Iterator[tuple[bytes, bytes]]:
    """
    The header fields of a request, as far as twisted.web keeps their order.
    """
    for name, values in request.requestHeaders.getAllRawHeaders():
        for value in values:
            yield name, value


def _tellRefusal(request: Request, status: int, reason: str) -> None:
    tell(
        _log.info,
        request.channel.transport,
        "refused with {status}: {reason}",
        status=status,
        reason=reason,
    )


def _reject(request: Request, rejection: Rejection) -> None:
    request.setResponseCode(rejection.status)
    for name, value in rejection.headers:
        request.responseHeaders.addRawHeader(name, value)
    request.write(rejection.body)
    request.finish()


def _failed(reason: Failure, request: Request, gone: Deferred[None]) -> None:
    if not gone.called:
        _log.failure("A request for a WebSocket could not be answered: 500", failure=reason)
        note(request.channel.transport, "the application failed: refused with 500")
        _reject(request, Rejection(status=500))
    releaseFrames(reason)
