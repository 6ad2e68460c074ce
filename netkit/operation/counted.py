"""
Connections whose octets are counted: a factory and a protocol that wrap those of a service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IReactorTime, ITransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from ..base.wrapping import Passage, TransparentFactory, TransparentProtocol
from .figures import Figures


class CountedConnection:
    """
    A connection that is over, for the access log.

    @ivar head: C{None}: there was no request that anybody here knows of.
    @ivar service: the name of the service.
    @ivar status: 200 where both sides were done, 499 where the client was lost, 500 where we gave
        it up.
    @ivar octets: how many octets were sent.
    @ivar octetsReceived: how many arrived.
    @ivar seconds: how long it took.
    @ivar ended: when it was over, by the factory's clock.
    @ivar transport: its transport, for the addresses.
    """

    __slots__ = ("ended", "octets", "octetsReceived", "seconds", "service", "status", "transport")

    head = None

    def __init__(
        self,
        service: str,
        status: int,
        *,
        octets: int,
        octetsReceived: int,
        seconds: float,
        ended: float,
        transport: Any,
    ) -> None:
        self.service = service
        self.status = status
        self.octets = octets
        self.octetsReceived = octetsReceived
        self.seconds = seconds
        self.ended = ended
        self.transport = transport


class _Counter(Passage):
    """
    Counts octets on their way through a connection.

    @ivar received: how many octets arrived.
    @ivar sent: how many were written.
    """

    __slots__ = ("received", "sent")

    def __init__(self, protocol: IProtocol) -> None:
        super().__init__(protocol)
        self.received = self.sent = 0

    def dataReceived(self, data: bytes) -> None:
        self.received += len(data)
        self.protocol.dataReceived(data)

    def write(self, data: bytes) -> None:
        self.sent += len(data)
        self.transport.write(data)


class CountedProtocol(TransparentProtocol):
    """
    A connection whose octets are counted.
    """

    factory: CountedFactory

    def __init__(self, factory: CountedFactory, wrappedProtocol: IProtocol) -> None:
        """
        @param factory: what made this.
        @param wrappedProtocol: the service's protocol.
        """
        super().__init__(factory, wrappedProtocol)
        self._began = 0.0
        self._counter = _Counter(wrappedProtocol)
        self.lead(self._counter)

    @property
    def octetsReceived(self) -> int:
        """
        How many octets arrived.
        """
        return self._counter.received

    @property
    def octetsSent(self) -> int:
        """
        How many were written.
        """
        return self._counter.sent

    def makeConnection(self, transport: ITransport) -> None:
        self._began = self.factory.clock.seconds()
        super().makeConnection(transport)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        pieces = list(data)
        self._counter.sent += sum(map(len, pieces))
        self.transport.writeSequence(pieces)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.factory.ended(self, reason, self._began)


class CountedFactory(TransparentFactory[CountedProtocol]):
    """
    Counts the octets of another factory's connections.
    """

    protocol = CountedProtocol

    def __init__(
        self,
        wrappedFactory: IProtocolFactory,
        service: str,
        clock: IReactorTime,
        done: Callable[[CountedConnection], object] | None = None,
    ) -> None:
        """
        @param wrappedFactory: makes the protocols.
        @param service: the name of what uses the connections.
        @param clock: what tells the time.
        @param done: called with each connection that is over.
        """
        super().__init__(wrappedFactory)
        self.clock = clock
        self._service = service
        self._done = done
        # Of the connections that are over.
        self._received = self._sent = 0

    def ended(self, protocol: CountedProtocol, reason: Failure, began: float) -> None:
        """
        A connection is over.

        @param reason: why it was lost.
        @param began: when it was made.
        """
        self._received += protocol.octetsReceived
        self._sent += protocol.octetsSent
        if self._done is None:
            return
        if reason.check(ConnectionDone):
            status = 200
        else:
            status = 500 if reason.check(ConnectionAborted) else 499
        now = self.clock.seconds()
        self._done(
            CountedConnection(
                self._service,
                status,
                octets=protocol.octetsSent,
                octetsReceived=protocol.octetsReceived,
                # A clock may be set back.
                seconds=max(0.0, now - began),
                ended=now,
                transport=protocol,
            )
        )

    def figures(self) -> Figures:
        """
        Tell how many octets went over all connections, those that are open among them.
        """
        open = list(self.protocols)
        received = self._received + sum(each.octetsReceived for each in open)
        sent = self._sent + sum(each.octetsSent for each in open)
        return {
            ("octets", self._service, "received"): received,
            ("octets", self._service, "sent"): sent,
        }
