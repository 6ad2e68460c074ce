"""
What makes HTTP connections.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from reprlib import repr as shortened

from twisted.internet.interfaces import IProtocolNegotiationFactory, IReactorTime
from zope.interface import implementer

from ..base.arguments import checkCallable, checkFlag, checkSeconds
from ..server import ServerFactory, ServerProtocol
from ..wire.http import Limits
from .date import DateLine
from .exchange import ExchangeDone, ExchangeTeller, Observe
from .protocol import HTTPProtocol
from .refusals import RefusalResponse, plainRefusal
from .settings import Handler, HTTPSettings


@implementer(IProtocolNegotiationFactory)
class HTTPFactory(ServerFactory):
    """
    Makes HTTP connections, within the limits of L{ServerFactory} and of L{Limits}.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        limits: Limits | None = None,
        headTimeout: float = 30.0,
        contentTimeout: float = 300.0,
        refusedMethods: frozenset[bytes] = frozenset({b"CONNECT", b"TRACE"}),
        allowHalfOpen: bool = False,
        refusal: RefusalResponse = plainRefusal,
        exchangeDone: ExchangeDone | None = None,
        observe: Observe | None = None,
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
        @param limits: how large the parts of a request may be.
        @param exchangeDone: called when an exchange is over, for who counts or logs them, with the
            values of an L{Exchange}.
        @param observe: called with the transport of each connection, it returns the L{Observer
            <netkit.http.exchange.Observer>} who is told what that does: in the place of
            C{exchangeDone}, for who counts octets as well.
        @param headTimeout: how many seconds a request's head may take from its first octet to its
            last; 408 is answered then.
        @param contentTimeout: how many seconds of being read from a client may take to send the
            content of a request; 408 is answered then.
        @param refusedMethods: the methods that are answered 501.
        @param allowHalfOpen: whether a client that closed its half of the connection is answered
            all that it asked before, as C{nc} waits for. By default it has gone away: programs
            that speak HTTP close nothing before they have their answer, unless they gave up.
        @param refusal: called with each L{Refusal}, be it netkit's or an L{HTTPError}'s, it
            returns the response to answer, whose content is bytes; the reason as plain text, by
            default.
        @param maxConnections: as in L{ServerFactory}.
        @param maxBuffered: as in L{ServerFactory}.
        @param idleTimeout: as in L{ServerFactory}; between requests too, but not while a handler
            works on its answer.
        @param clock: as in L{ServerFactory}.
        @raise TypeError: the handler is none, or another argument of another type.
        @raise ValueError: an argument is out of range.
        """
        if not callable(handler):
            raise TypeError(
                f"the handler is a function that is given a Request, not {handler!r}; write "
                "lambda request: response to answer the same to all"
            )
        if limits is None:
            limits = Limits()
        elif not isinstance(limits, Limits):
            raise TypeError(f"limits is a Limits, not {limits!r}: write Limits(content=1000)")
        checkCallable("refusal", refusal)
        if exchangeDone is not None:
            checkCallable("exchangeDone", exchangeDone)
        if observe is not None:
            checkCallable("observe", observe)
            if exchangeDone is not None:
                raise ValueError("exchangeDone is not told where observe says who is")
        checkSeconds("headTimeout", headTimeout)
        checkSeconds("contentTimeout", contentTimeout)
        checkFlag("allowHalfOpen", allowHalfOpen)
        super().__init__(
            maxConnections=maxConnections,
            maxBuffered=maxBuffered,
            idleTimeout=idleTimeout,
            clock=clock,
        )
        if exchangeDone is not None:
            observe = partial(ExchangeTeller, exchangeDone, self.clock.seconds)
        self._settings = HTTPSettings(
            handler=handler,
            limits=limits,
            headTimeout=headTimeout,
            contentTimeout=contentTimeout,
            refusedMethods=_methods(refusedMethods),
            allowHalfOpen=allowHalfOpen,
            refusal=refusal,
            observe=observe,
        )
        self._date = DateLine(self.clock)

    def protocol(self) -> ServerProtocol:
        """
        Make the protocol of a connection.
        """
        return HTTPProtocol(self._settings, self._date)

    def acceptableProtocols(self) -> list[bytes]:
        """
        What TLS clients are told that is spoken here (RFC 7301).
        """
        return [b"http/1.1", b"http/1.0"]

    def connectionClosed(self, protocol: ServerProtocol) -> None:
        super().connectionClosed(protocol)
        if not self.connections:
            self._date.stop()


def _methods(methods: Iterable[bytes]) -> frozenset[bytes]:
    if not isinstance(methods, str | bytes) and isinstance(methods, Iterable):
        found = frozenset(methods)
        if all(isinstance(method, bytes) for method in found):
            return found
    raise TypeError(
        f'refusedMethods is a set of methods as bytes, {{b"TRACE"}}, not {shortened(methods)}'
    )
