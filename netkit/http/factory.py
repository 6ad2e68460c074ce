"""
What makes HTTP connections, and the settings that they share.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from email.utils import formatdate
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocolNegotiationFactory,
    IReactorTime,
)
from zope.interface import implementer

from ..interfaces import IPrinter
from ..server import ServerFactory, ServerProtocol
from ..wire.http import Limits
from .protocol import HTTPProtocol
from .request import Request
from .response import Response, Upgrade

Answer = Response | Upgrade
Handler = Callable[
    [Request],
    Answer
    | Deferred[Response]
    | Deferred[Upgrade]
    | Deferred[Answer]
    | Coroutine[Deferred[Any], Any, Answer],
]


@implementer(IProtocolNegotiationFactory)
class HTTPFactory(ServerFactory):
    """
    Makes HTTP connections, within the limits of L{ServerFactory} and of L{Limits}.
    """

    protocol = HTTPProtocol

    def __init__(
        self,
        handler: Handler,
        *,
        printer: IPrinter | None = None,
        limits: Limits | None = None,
        headTimeout: float = 30.0,
        contentTimeout: float = 300.0,
        refusedMethods: frozenset[bytes] = frozenset({b"CONNECT", b"TRACE"}),
        allowHalfOpen: bool = False,
        maxConnections: int = 10_000,
        maxBuffered: int = 256 * 2**20,
        idleTimeout: float = 75.0,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param handler: called with each L{Request} as soon as its head has arrived; it returns a
            L{Response} or an L{Upgrade}, a Deferred of one, or is a coroutine function. One that
            fails has the client answered 500; when the client goes away, what it awaits is
            cancelled.
        @param printer: what shows each request, head and content exactly as sent, when it is
            complete; nothing by default.
        @param limits: how large the parts of a request may be.
        @param headTimeout: how many seconds a request's head may take from its first octet to its
            last; 408 is answered then.
        @param contentTimeout: how many seconds of being read from a client may take to send the
            content of a request; 408 is answered then.
        @param refusedMethods: the methods that are answered 501.
        @param allowHalfOpen: whether a client that closed its half of the connection is answered
            all that it asked before, as C{nc} waits for. By default it has gone away: programs
            that speak HTTP close nothing before they have their answer, unless they gave up.
        @param maxConnections: as in L{ServerFactory}.
        @param maxBuffered: as in L{ServerFactory}.
        @param idleTimeout: as in L{ServerFactory}; between requests too, but not while a handler
            works on its answer.
        @param clock: as in L{ServerFactory}.
        @raise TypeError: the handler is none.
        """
        if not callable(handler):
            raise TypeError(
                f"the handler is a function that is given a Request, not {handler!r}; write "
                "lambda request: response to answer the same to all"
            )
        super().__init__(
            maxConnections=maxConnections,
            maxBuffered=maxBuffered,
            idleTimeout=idleTimeout,
            clock=clock,
        )
        self.handler = handler
        self.printer = printer
        self.limits = limits or Limits()
        self.headTimeout = headTimeout
        self.contentTimeout = contentTimeout
        self.refusedMethods = refusedMethods
        self.allowHalfOpen = allowHalfOpen
        self._dateLine: bytes | None = None
        self._dateEnds: IDelayedCall | None = None

    def acceptableProtocols(self) -> list[bytes]:
        """
        What TLS clients are told that is spoken here (RFC 7301).
        """
        return [b"http/1.1"]

    def dateLine(self) -> bytes:
        """
        The field line that says the current date (RFC 9110 section 6.6.1), made once a second.
        """
        if self._dateLine is None:
            now = self.clock.seconds()
            self._dateLine = b"date: %b\r\n" % formatdate(now, usegmt=True).encode()
            self._dateEnds = self.clock.callLater(1 - now % 1, self._forgetDate)
        return self._dateLine

    def connectionClosed(self, protocol: ServerProtocol) -> None:
        super().connectionClosed(protocol)
        if not self.connections and self._dateEnds is not None:
            self._dateEnds.cancel()
            self._forgetDate()

    def _forgetDate(self) -> None:
        self._dateLine = self._dateEnds = None
