"""
A WebSocket server on any endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.interfaces import (
    IProtocolFactory,
    IProtocolNegotiationFactory,
    IReactorTime,
)
from zope.interface import implementer

from ..base.arguments import checkCallable
from ..base.deadlines import Deadlines
from ..base.factories import AnyFactory
from ..server import ServerFactory, ServerProtocol
from .acceptor import Acceptor
from .conversation import Conversation
from .keepalive import Keepalive
from .options import DEFAULTS, WebSocketOptions
from .protocol import WebSocketProtocol, WebSocketServerFactory
from .server import WebSocketServerConnection


@implementer(IProtocolNegotiationFactory)
class WebSocketFactory(ServerFactory):
    """
    A Twisted factory that serves WebSocket, and only that unless told otherwise, on whatever it
    listens on::

        serverFromString(reactor, "tcp:8080").listen(WebSocketFactory(Factory.forProtocol(Chat)))

    @ivar acceptor: decides whether a handshake is accepted.
    """

    def __init__(
        self,
        application: WebSocketServerFactory[WebSocketProtocol],
        *,
        path: bytes | None = None,
        subprotocols: Iterable[str] = (),
        origins: Iterable[str] | None = None,
        httpFactory: AnyFactory | None = None,
        options: WebSocketOptions = DEFAULTS,
        conversationDone: Callable[[Conversation], object] | None = None,
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
        @param httpFactory: makes the protocol that answers the requests which ask for no
            WebSocket, up to one that does; without it they are answered 426.
        @param options: how connections are to behave.
        @param conversationDone: called with each L{Conversation} that is over, for who counts or
            logs them; with refusals as well.
        @param maxConnections: as in L{ServerFactory}.
        @param maxBuffered: as in L{ServerFactory}. What was sent and slow peers have not taken
            counts as well. The connection that goes over it is closed with 1013.
        @param idleTimeout: as in L{ServerFactory}. The answers to pings are traffic.
        @param clock: as in L{ServerFactory}.
        @raise TypeError: one of these is of another type.
        @raise ValueError: one of these makes no sense, such as an origin that is none.
        """
        if httpFactory is not None and not IProtocolFactory.providedBy(httpFactory):
            raise TypeError(f"httpFactory is a factory such as a Site, not {httpFactory!r}")
        self.acceptor = Acceptor(
            application, path=path, subprotocols=subprotocols, origins=origins, options=options
        )
        super().__init__(
            maxConnections=maxConnections,
            maxBuffered=maxBuffered,
            idleTimeout=idleTimeout,
            clock=clock,
        )
        if conversationDone is not None:
            checkCallable("conversationDone", conversationDone)
        self._httpFactory = httpFactory
        self._conversationDone = conversationDone
        self._keepalive = Keepalive(options, self.clock)
        self._openings = Deadlines(self.clock, options.openTimeout)

    def doStart(self) -> None:
        """
        Listening begins: for the other factory too.
        """
        super().doStart()
        if self._httpFactory is not None:
            self._httpFactory.doStart()

    def doStop(self) -> None:
        """
        Listening ends: for the other factory too.
        """
        if self._httpFactory is not None:
            self._httpFactory.doStop()
        super().doStop()

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
        return WebSocketServerConnection(
            self.acceptor,
            self._keepalive,
            self._openings,
            self.clock,
            self._httpFactory,
            self._conversationDone,
        )
