"""
A connection that goes on in another protocol (RFC 9110 sections 7.8 and 9.3.6).
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, ITransport
from twisted.python.failure import Failure


@runtime_checkable
class StoppableProtocol(Protocol):
    """
    A protocol that ends its connection in good order when the service stops.
    """

    def serviceStopping(self) -> None:
        """
        The service stops: end the connection soon.
        """


class SwitchedProtocol:
    """
    The protocol that a connection was switched to: it is told what the connection's first one is
    told, which stays the one that the reactor knows.
    """

    __slots__ = ("_transport", "protocol")

    def __init__(self, protocol: IProtocol, transport: ITransport) -> None:
        """
        Switch.

        @param protocol: what the connection goes on in.
        @param transport: the connection, or what that protocol is to take for it.
        """
        self.protocol = protocol
        self._transport = transport
        protocol.makeConnection(transport)

    @property
    def stoppable(self) -> bool:
        """
        Whether the protocol ends the connection in good order itself when the service stops.
        """
        return isinstance(self.protocol, StoppableProtocol)

    def dataReceived(self, data: bytes) -> None:
        """
        Something arrived.
        """
        self.protocol.dataReceived(data)

    def readConnectionLost(self) -> None:
        """
        The peer closed its half. To a protocol that knows no half-close, that is the end.
        """
        if IHalfCloseableProtocol.providedBy(self.protocol):
            IHalfCloseableProtocol(self.protocol).readConnectionLost()
        else:
            self._transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """
        Our half is closed.
        """
        if IHalfCloseableProtocol.providedBy(self.protocol):
            IHalfCloseableProtocol(self.protocol).writeConnectionLost()

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is lost.
        """
        self.protocol.connectionLost(reason)

    def serviceStopping(self) -> None:
        """
        The service stops. A protocol that does not know how is closed.
        """
        if isinstance(self.protocol, StoppableProtocol):
            self.protocol.serviceStopping()
        else:
            self._transport.loseConnection()
