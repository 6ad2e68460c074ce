"""
A connection that is HTTP no more.
"""

from __future__ import annotations

from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, ITCPTransport
from twisted.python.failure import Failure

from ..server import ServerProtocol


class HandedOver:
    """
    Passes on to another protocol what a connection's own one is told.
    """

    def __init__(self, protocol: IProtocol, transport: ITCPTransport) -> None:
        """
        @param protocol: what the connection was handed over to.
        @param transport: the connection.
        """
        self._protocol = protocol
        self._transport = transport
        protocol.makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Something arrived.
        """
        self._protocol.dataReceived(data)

    def readConnectionLost(self) -> None:
        """
        The peer closed its half.
        """
        if IHalfCloseableProtocol.providedBy(self._protocol):
            IHalfCloseableProtocol(self._protocol).readConnectionLost()
        else:
            self._transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """
        Our half is closed.
        """
        if IHalfCloseableProtocol.providedBy(self._protocol):
            IHalfCloseableProtocol(self._protocol).writeConnectionLost()

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is lost.
        """
        self._protocol.connectionLost(reason)

    def serviceStopping(self) -> None:
        """
        The service stops.
        """
        if isinstance(self._protocol, ServerProtocol):
            self._protocol.serviceStopping()
        else:
            self._transport.loseConnection()
