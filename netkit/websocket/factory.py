"""
A WebSocket server on any endpoint.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import (
    IProtocolFactory,
    IProtocolNegotiationFactory,
    IReactorTime,
)
from zope.interface import implementer

from ..server import ServerFactory, ServerProtocol
from ..wire.websocket.handshake import Offer, accept
from .keepalive import Keepalive
from .options import DEFAULTS, WebSocketOptions
from .protocol import (
    Acceptance,
    ConnectionAcceptor,
    Decision,
    Rejection,
    WebSocketProtocol,
    WebSocketServerFactory,
)
from .server import Answer, WebSocketServerConnection


@implementer(IProtocolNegotiationFactory)
class WebSocketFactory(ServerFactory):
    """
    A Twisted factory that serves WebSocket, and only that unless told otherwise, on whatever it
    listens on::

        serverFromString(reactor, "tcp:8080").listen(WebSocketFactory(Factory.forProtocol(Chat)))
    """

    def __init__(
        self,
        application: WebSocketServerFactory[WebSocketProtocol],
        *,
        path: bytes | None = None,
        subprotocols: Sequence[str] = (),
        origins: Sequence[str] | None = None,
        httpFactory: IProtocolFactory | None = None,
        options: WebSocketOptions = DEFAULTS,
        maxConnections: int = 10_000,
        maxBuffered: int = 256 * 2**20,
        idleTimeout: float = 600.0,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param application: makes the application's side of each connection. Its C{buildProtocol}
            gets a L{WebSocketRequest <netkit.websocket.WebSocketRequest>}. Where it is a
            L{ConnectionAcceptor <netkit.websocket.ConnectionAcceptor>}, it decides about each
            request first.
        @param path: the only path that there is a WebSocket at; any other is answered 404. Any
            path is right by default.
        @param subprotocols: the subprotocols that are spoken; of these the first in the client's
            list is taken.
        @param origins: the web origins that browsers may connect from, such as
            C{https://example.com}; any by default. Who sends no C{Origin} is no browser, and may.
        @param httpFactory: makes the protocol for a connection whose first request asks for no
            WebSocket; without it that is answered 426.
        @param options: how connections are to behave.
        @param maxConnections: as in L{ServerFactory}.
        @param maxBuffered: as in L{ServerFactory}.
        @param idleTimeout: as in L{ServerFactory}. The answers to pings are traffic.
        @param clock: as in L{ServerFactory}.
        """
        super().__init__(
            maxConnections=maxConnections,
            maxBuffered=maxBuffered,
            idleTimeout=idleTimeout,
            clock=clock,
        )
        self.application = application
        self._accept = (
            application.acceptConnection if isinstance(application, ConnectionAcceptor) else None
        )
        self.path = path
        self.subprotocols = frozenset(subprotocols)
        self.origins = None if origins is None else frozenset(map(str.lower, origins))
        self.httpFactory = httpFactory
        self.options = options
        self.headLimits = options.headLimits()
        self.keepalive = Keepalive(options, self.clock)

    def acceptableProtocols(self) -> list[bytes]:
        """
        What TLS clients are told that is spoken here (RFC 7301): the opening handshake is
        HTTP/1.1. Without an answer Twisted turns away all who ask, as browsers do.
        """
        return [b"http/1.1"]

    def protocol(self) -> ServerProtocol:
        """
        Make the protocol of a connection.
        """
        return WebSocketServerConnection(self.options, self.clock)

    def decide(self, request: Any) -> Any:
        """
        See whether a request is welcome.

        @param request: the request: a L{WebSocketRequest <netkit.websocket.WebSocketRequest>},
            or one of L{twisted.web}.
        @return: a L{Decision <netkit.websocket.protocol.Decision>}, or a Deferred of one.
        """
        if self.path is not None and request.path != self.path:
            return Rejection(status=404)
        if self.origins is not None:
            origin = request.getHeader(b"origin")
            if origin is not None and origin.decode("latin-1").lower() not in self.origins:
                return Rejection(status=403)
        if self._accept is not None:
            decision = self._accept(request)
            return ensureDeferred(decision) if isinstance(decision, Coroutine) else decision
        return None

    def answer(self, decision: Decision, request: Any, offer: Offer) -> Answer | Rejection:
        """
        Make what a decision leads to.

        @param decision: the decision.
        @param request: the request, as the application sees it.
        @param offer: what it offers.
        """
        if isinstance(decision, Rejection):
            return decision
        if decision is None:
            decision = Acceptance()
        subprotocol = decision.subprotocol
        if subprotocol is None:
            wanted = (name for name in offer.subprotocols if name in self.subprotocols)
            subprotocol = next(wanted, None)
        response, agreement = accept(
            offer,
            subprotocol=subprotocol,
            settings=self.options.deflateSettings(),
            fields=decision.headers,
        )
        application = self.application.buildProtocol(request)
        if application is None:
            return Rejection()
        return Answer(application, agreement, response)
