"""
The echo service of RFC 862: everything received is sent back, byte for byte.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from .server import ServerFactory, ServerProtocol


class EchoProtocol(ServerProtocol):
    """
    Sends back what it receives. A peer that half-closes gets the rest of it, and then our half is
    closed; a peer that does not read is not read from.
    """

    factory: EchoFactory

    def connectionMade(self) -> None:
        # The connection is the producer of what is written to it: Twisted stops reading while
        # the peer does not take what was read before.
        self.transport.registerProducer(self.transport, True)

    def dataReceived(self, data: bytes) -> None:
        self.idleTicks = 0
        self.transport.write(data)

    def readConnectionLost(self) -> None:
        # While a producer is registered, loseConnection would wait for its end for ever.
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def serviceStopping(self) -> None:
        self.readConnectionLost()


class EchoFactory(ServerFactory):
    """
    Makes echo connections, within the limits of L{ServerFactory}.
    """

    protocol = EchoProtocol

    def __init__(
        self,
        *,
        maxConnections: int = 10_000,
        maxBuffered: int = 256 * 2**20,
        idleTimeout: float = 600.0,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param maxConnections: as in L{ServerFactory}.
        @param maxBuffered: as in L{ServerFactory}.
        @param idleTimeout: as in L{ServerFactory}.
        @param clock: as in L{ServerFactory}.
        """
        super().__init__(
            maxConnections=maxConnections,
            maxBuffered=maxBuffered,
            idleTimeout=idleTimeout,
            clock=clock,
        )
