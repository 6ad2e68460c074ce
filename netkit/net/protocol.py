"""
Twisted's events of a connection, made a socket's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from ..base.addresses import addressText
from ..base.arguments import checkCount, checkFlag, checkSeconds
from ..base.budget import Budget
from ..base.deadlines import Deadline
from ..base.halfclose import IHalfCloseableTLS
from ..base.tls import handshakeDone
from ..base.transports import StreamTransport
from ..base.twistedprivate import releaseConnector
from .errors import withEndpoint
from .socket import HIGH_WATER_MARK, MOST_KEEPALIVE_DELAY, Socket

# In seconds: how long a peer may take to agree on TLS.
HANDSHAKE_TIMEOUT = 30.0


@dataclass(frozen=True, kw_only=True)
class SocketOptions:
    """
    How a socket begins.

    @ivar allowHalfOpen: as in L{Socket}.
    @ivar highWaterMark: as in L{Socket}.
    @ivar noDelay: whether to call L{Socket.setNoDelay}.
    @ivar keepAlive: whether to call L{Socket.setKeepAlive}.
    @ivar keepAliveInitialDelay: seconds, as in L{Socket.setKeepAlive}.
    @ivar timeout: seconds, as in L{Socket.setTimeout}.
    """

    allowHalfOpen: bool = False
    highWaterMark: int = HIGH_WATER_MARK
    noDelay: bool = False
    keepAlive: bool = False
    keepAliveInitialDelay: float = 0.0
    timeout: float = 0.0

    def __post_init__(self) -> None:
        """
        @raise TypeError: a value is of another type.
        @raise ValueError: a number is out of range.
        """
        for name in ("allowHalfOpen", "noDelay", "keepAlive"):
            checkFlag(name, getattr(self, name))
        checkCount("highWaterMark", self.highWaterMark)
        checkSeconds("keepAliveInitialDelay", self.keepAliveInitialDelay, MOST_KEEPALIVE_DELAY)
        checkSeconds("timeout", self.timeout)


@implementer(IHalfCloseableProtocol)
class SocketProtocol(Protocol):
    """
    Makes a L{Socket} once its connection is ready to be used, and tells it what happens.

    @ivar socket: the socket, once there is one.
    @ivar endpoint: what the connection is called in messages.
    """

    transport: StreamTransport
    socket: Socket | None = None

    def __init__(
        self,
        options: SocketOptions,
        clock: IReactorTime,
        ready: Callable[[Socket], object],
        failed: Callable[[Exception], object],
        endpoint: str = "",
        budget: Budget | None = None,
    ) -> None:
        """
        @param options: how the socket begins.
        @param clock: what tells the time.
        @param ready: called with the socket.
        @param failed: called in place of C{ready} with why the connection never got that far.
        @param endpoint: what the connection is called in messages; the peer's address by default.
        @param budget: what limits how much this and other connections keep in memory together.
        """
        self._options = options
        self._clock = clock
        self._ready = ready
        self._failed = failed
        self.endpoint = endpoint
        self._handshake = Deadline(clock, self._abort)
        self._share = None if budget is None else budget.share()

    def connectionMade(self) -> None:
        super().connectionMade()
        self.endpoint = self.endpoint or peerText(self.transport)
        if self._handshakeAwaited():
            # Said only now: Twisted's client endpoints pass on the events of one interface alone,
            # and on TCP it has to be the other one.
            alsoProvides(self, IHandshakeListener)
            self._handshake.start(HANDSHAKE_TIMEOUT)
        else:
            self._begin()

    def _handshakeAwaited(self) -> bool:
        transport: object = self.transport
        if isinstance(transport, TLSMemoryBIOProtocol):
            # What is between Twisted's TLS and us, if anything is, does not pass on its end.
            return transport.wrappedProtocol is self
        return IHalfCloseableTLS.providedBy(transport) and not handshakeDone(transport)

    def handshakeCompleted(self) -> None:
        """
        Both sides have agreed on TLS.
        """
        if self._handshake.pending:
            self._begin()

    def dataReceived(self, data: bytes) -> None:
        if self.socket is not None:
            self.socket._received(data)

    def readConnectionLost(self) -> None:
        if self.socket is not None:
            self.socket._peerHasEnded()

    def writeConnectionLost(self) -> None:
        if self.socket is not None:
            self.socket._halfClosed()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        releaseConnector(self.transport)
        error = withEndpoint(reason.value, self.endpoint)
        if self.socket is not None:
            self.socket._connectionLost(error)
        else:
            self._handshake.end()
            self._failed(error)
        super().connectionLost(reason)

    def _abort(self) -> None:
        self.transport.abortConnection()

    def _begin(self) -> None:
        self._handshake.end()
        options = self._options
        self.socket = Socket(
            self.transport,
            self._clock,
            self.endpoint,
            allowHalfOpen=options.allowHalfOpen,
            highWaterMark=options.highWaterMark,
            share=self._share,
        )
        # Either way: what a connection begins with is not the same on all reactors.
        self.socket.setNoDelay(options.noDelay)
        if options.keepAlive:
            self.socket.setKeepAlive(True, options.keepAliveInitialDelay)
        self.socket.setTimeout(options.timeout)
        ready, self._ready = self._ready, _nothing
        self._failed = _nothing
        ready(self.socket)


def _nothing(result: object) -> None:
    """
    What is called in place of who was let go of.
    """


def peerText(transport: ITCPTransport) -> str:
    """
    Write who is at the other end. The client of a UNIX socket has no name: it is told by the
    server's.
    """
    peer = transport.getPeer()
    if isinstance(peer, UNIXAddress) and not peer.name:
        return f"a client of {addressText(transport.getHost())}"
    return addressText(peer)
