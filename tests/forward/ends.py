"""
Both ends of a relayed connection, without a network.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint, ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from netkit.base.notes import INoted
from netkit.forward import RelayFactory, RelayProtocol


@implementer(INoted)
class Connection(StringTransport):
    """
    One end's transport, and what was asked of it. It has a peer, which takes so many octets before
    the producer is to pause.
    """

    room = 2**16
    halfClosing = aborting = False
    protocol: Any = None

    def __init__(self) -> None:
        super().__init__()
        # As far as anybody asks.
        alsoProvides(self, ITCPTransport)
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def write(self, data: bytes) -> None:
        super().write(data)
        if len(self.value()) > self.room and self.producer is not None:
            self.producer.pauseProducing()

    def flush(self) -> bytes:
        """
        The peer takes what was written.
        """
        data: bytes = self.value()
        self.clear()
        if self.producer is not None:
            self.producer.resumeProducing()
        return data

    def loseWriteConnection(self) -> None:
        assert self.producer is None
        self.halfClosing = True

    def abortConnection(self) -> None:
        self.aborting = True

    # What the peer does.

    def send(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def halfClose(self) -> None:
        self.protocol.readConnectionLost()

    def halfClosed(self) -> None:
        """
        What was written has arrived, and our half is closed.
        """
        self.protocol.writeConnectionLost()

    def close(self) -> None:
        self.lose(ConnectionDone())

    def reset(self) -> None:
        self.lose(ConnectionLost())

    def lose(self, error: Exception) -> None:
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        self.protocol.connectionLost(Failure(error))


@implementer(IStreamClientEndpoint)
class Upstream:
    """
    An endpoint that the test connects.

    @ivar attempts: the attempts to connect.
    @ivar cancelled: how many of them were given up.
    """

    def __init__(self) -> None:
        self.attempts: list[tuple[IProtocolFactory, Deferred[Any]]] = []
        self.cancelled = 0

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        deferred: Deferred[Any] = Deferred(self._cancel)
        self.attempts.append((protocolFactory, deferred))
        return deferred

    def _cancel(self, deferred: Deferred[Any]) -> None:
        self.cancelled += 1

    def succeed(self) -> Connection:
        """
        Make the connection that was asked for last.
        """
        factory, deferred = self.attempts[-1]
        protocol: Any = factory.buildProtocol(None)  # type: ignore[arg-type] # as Twisted calls it
        connection = Connection()
        connection.protocol = protocol
        protocol.makeConnection(connection)
        if not deferred.called:
            # Nobody gave it up meanwhile.
            deferred.callback(protocol)
        return connection

    def fail(self, error: Exception) -> None:
        """
        Fail to.
        """
        self.attempts[-1][1].errback(Failure(error))


class Relayed:
    """
    A factory with an upstream, and a client that has connected.
    """

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.upstream = Upstream()
        self.factory = RelayFactory(self.upstream, clock=self.clock, **options)
        self.client = self.accept()

    def accept(self) -> Connection:
        """
        Have a client connect.
        """
        protocol = self.factory.buildProtocol(None)
        assert isinstance(protocol, RelayProtocol)
        connection = Connection()
        connection.protocol = protocol
        protocol.makeConnection(connection)
        return connection
