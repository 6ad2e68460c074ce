"""
What every connection to one of netkit's servers shares: its factory knows it, bounds how many
there are, ends those that fell silent, and closes them when the service stops.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IReactorTime,
    ISSLTransport,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from .base.addresses import addressText
from .base.arguments import checkCount, checkReactor, checkSeconds
from .base.budget import Budget
from .base.deadlines import LINGER, Deadline, Ticker
from .base.halfclose import hasHalves
from .base.notes import note, tell
from .base.sockopts import closeAfterWrites
from .base.tls import errorText, handshakeDone
from .base.transports import StreamTransport
from .base.waiters import Waiters

_log = Logger()

# An idle connection is ended after one time-out at the earliest and 1 + 1/_TICKS at the latest.
_TICKS = 4


@implementer(IHalfCloseableProtocol)
class ServerProtocol(Protocol):
    """
    A connection that a L{ServerFactory} made.

    A subclass sets C{idleTicks} to 0 whenever something moves: that is all that a hot path pays
    for the idle time-out. It may define C{connectionMade} and C{connectionLost}, and answer the
    peer's half-close (C{readConnectionLost}); this class just closes then.

    @ivar idleTicks: how many of the factory's idle checks there were since something last moved.
    @ivar lingering: whether L{lingeringClose} was called.
    """

    transport: StreamTransport
    factory: ServerFactory
    idleTicks = 0
    lingering = False
    _lingerEnd: Deadline | None = None

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        defined = cls.__dict__.get("connectionLost")
        if defined is not None:
            # A subclass that does not extend ours would leave its connections with the factory.
            cls.connectionLost = _uncounting(defined)  # type: ignore[method-assign]

    def makeConnection(self, transport: ITransport) -> None:
        # Not in connectionMade, which a subclass might not extend.
        self.factory.connectionOpened(self)
        super().makeConnection(transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._lingerEnd is not None:
            self._lingerEnd.stop()
        self._uncount()
        if not (handshakeDone(self.transport) or reason.check(ConnectionAborted)):
            self.factory.insecure += 1
            _log.info(
                "{peer}: the TLS handshake failed: {reason}",
                peer=addressText(self.transport.getPeer()),
                reason="the client left"
                if reason.check(ConnectionDone, ConnectionLost)
                else errorText(reason.value),
            )

    def _uncount(self) -> None:
        if self in self.factory.connections:
            self.factory.connectionClosed(self)

    def readConnectionLost(self) -> None:
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """
        Our half is closed: what the peer still sends is for the subclass to take or to drop.
        """

    def lingeringClose(self) -> None:
        """
        Close after what is written, so that a peer which is still sending gets to read it: our
        half is closed, what still arrives is read and dropped until the peer closes or L{LINGER}
        seconds are over. Closing at once would reset the connection, and the answer with it. When
        the time is over the system goes on to deliver what was written, and nothing more is read.

        C{lingering} is true from here on, and says to C{dataReceived} that it is to drop.
        """
        self.lingering = True
        if ISSLTransport.providedBy(self.transport) and not hasHalves(self.transport):
            # Twisted's TLS says close_notify, and reads on until the peer's.
            self.transport.loseConnection()
        else:
            self.transport.loseWriteConnection()
        self._lingerEnd = Deadline(self.factory.clock, self._lingered)
        self._lingerEnd.start(LINGER)

    def _lingered(self) -> None:
        closeAfterWrites(self.transport)

    def timedOut(self) -> None:
        """
        Nothing moved for the factory's C{idleTimeout}.
        """
        tell(_log.info, self.transport, "was idle for too long: closed")
        self.transport.abortConnection()

    def serviceStopping(self) -> None:
        """
        The service stops: end the connection soon, with what is already written delivered.
        """
        self.transport.loseConnection()

    def serviceRetiring(self) -> None:
        """
        Another process serves whoever connects from here on; who is connected may go on for a
        while, until L{serviceStopping}. A protocol of requests had better let the next one be the
        last.
        """

    def graceOver(self) -> None:
        """
        The connection did not end in the time that it had since L{serviceStopping}.
        """
        note(self.transport, "did not close in time: aborted")
        self.transport.abortConnection()


def _uncounting(connectionLost: Callable[..., None]) -> Callable[..., None]:
    """
    Have a factory know the connection no more when C{connectionLost} is done.
    """

    @wraps(connectionLost)
    def lost(self: ServerProtocol, reason: Failure = connectionDone) -> None:
        try:
            connectionLost(self, reason)
        finally:
            self._uncount()

    return lost


class _Refused(ServerProtocol):
    """
    A connection that is not wanted.
    """

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def makeConnection(self, transport: ITransport) -> None:
        """
        Not as one that the factory knows.
        """
        Protocol.makeConnection(self, transport)

    def connectionMade(self) -> None:
        note(self.transport, f"refused: {self._reason}")
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The factory never knew this one.
        """

    def _uncount(self) -> None:
        """
        Nor does it have to forget it.
        """


class ServerFactory(Factory[ServerProtocol]):
    """
    Makes server connections within limits.

    A subclass names its protocol class in C{protocol}.

    @ivar connections: the open connections.
    @ivar budget: how much they may keep in memory together.
    @ivar accepted: how many connections there were, without those that were refused.
    @ivar refused: how many connections were refused, as those over C{maxConnections} are.
    @ivar insecure: how many connections ended before a TLS handshake was done, by their clients.
    """

    noisy = False
    protocol: Callable[..., ServerProtocol]

    def __init__(
        self,
        *,
        maxConnections: int = 10_000,
        maxBuffered: int = 256 * 2**20,
        idleTimeout: float = 600.0,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param maxConnections: how many connections may be open at once; 0 for no limit. One
            more is closed as soon as it is accepted.
        @param maxBuffered: how many bytes that arrived may be kept in memory for all connections
            together; 0 for no limit. The one that goes over it is refused.
        @param idleTimeout: for how many seconds a connection may see no traffic before it is
            aborted; 0 for no limit.
        @param clock: what tells the time; the global reactor by default.
        @raise TypeError: an argument is of another type.
        @raise ValueError: an argument is out of range.
        """
        checkCount("maxConnections", maxConnections)
        checkCount("maxBuffered", maxBuffered)
        checkSeconds("idleTimeout", idleTimeout)
        checkReactor(clock, "clock")
        if clock is None:
            from twisted.internet import reactor

            clock = IReactorTime(reactor)
        self.clock = clock
        self.maxConnections = maxConnections
        self.budget = Budget(maxBuffered)
        self.idleTimeout = idleTimeout
        self.connections: set[ServerProtocol] = set()
        self.accepted = 0
        self.refused = 0
        self.insecure = 0
        self._full = False
        self._idleChecks = Ticker(clock, self._checkIdle)
        self._awaitingClose: Waiters[None] = Waiters()
        # How many connections were aborted that did not end in time.
        self._cut = 0

    def buildProtocol(self, addr: IAddress | None) -> ServerProtocol:
        """
        Make the protocol of a new connection; where there are too many, one that just closes it.
        """
        if self.maxConnections and len(self.connections) >= self.maxConnections:
            if not self._full:
                self._full = True
                _log.warn(
                    "{peer} refused: {limit} connections are open, the limit; so is each one more",
                    peer=addressText(addr) if addr else "a client",
                    limit=self.maxConnections,
                )
            return self.refuse(addr, f"{self.maxConnections} connections are open, the limit")
        protocol = self.protocol()
        protocol.factory = self
        return protocol

    def refuse(self, addr: IAddress | None, reason: str) -> ServerProtocol:
        """
        Make the protocol of a connection that is not wanted, which just closes it.

        @param reason: why, for where the connection is recorded.
        """
        self.refused += 1
        # Not None, which the factories that wrap another one (TLS, PROXY) do not expect.
        return _Refused(reason)

    def connectionOpened(self, protocol: ServerProtocol) -> None:
        """
        Called by a protocol of ours when its connection is made.
        """
        if not self.connections:
            self._idleChecks.start(self.idleTimeout / _TICKS)
        self.connections.add(protocol)
        self.accepted += 1

    def connectionClosed(self, protocol: ServerProtocol) -> None:
        """
        Called by a protocol of ours when its connection is lost.
        """
        self.connections.discard(protocol)
        self._full = False
        if not self.connections:
            self._idleChecks.stop()
            self._awaitingClose.succeed(None)

    def closeConnections(self, grace: float | None) -> Deferred[int]:
        """
        End every connection.

        @param grace: each is told, and has so many seconds before it is aborted; with C{None} it
            may take as long as it likes.
        @return: fires when all have ended, with how many were aborted.
        """
        return Deferred.fromCoroutine(self._closeConnections(grace))

    def retireConnections(self, seconds: float) -> Deferred[None]:
        """
        Let every connection end in its own time: each is told that it should, and so many seconds
        later that it must, as soon as what it is about is done.

        @return: fires when all have ended.
        """
        return Deferred.fromCoroutine(self._retireConnections(seconds))

    async def _retireConnections(self, seconds: float) -> None:
        for protocol in list(self.connections):
            protocol.serviceRetiring()
        if not self.connections:
            return
        deadline = Deadline(self.clock, lambda: self.closeConnections(None))
        deadline.start(seconds)
        try:
            await self._awaitingClose.wait()
        finally:
            deadline.stop()

    async def _closeConnections(self, grace: float | None) -> int:
        for protocol in list(self.connections):
            protocol.serviceStopping()
        if not self.connections:
            return 0
        cut = self._cut
        deadline = Deadline(self.clock, self._abortAll)
        if grace is not None:
            deadline.start(grace)
        try:
            await self._awaitingClose.wait()
        finally:
            deadline.stop()
        return self._cut - cut

    def _abortAll(self) -> None:
        self._cut += len(self.connections)
        for protocol in list(self.connections):
            protocol.graceOver()

    def _checkIdle(self) -> None:
        for protocol in list(self.connections):
            if protocol.idleTicks >= _TICKS:
                protocol.timedOut()
            else:
                protocol.idleTicks += 1
