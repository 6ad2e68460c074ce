"""
TCP connections, ports and connectors on channels.
"""

from __future__ import annotations

from socket import (
    AF_INET,
    IPPROTO_TCP,
    NI_NUMERICHOST,
    NI_NUMERICSERV,
    TCP_NODELAY,
    getnameinfo,
    socket,
)
from typing import Any

from twisted.internet import tcp
from twisted.internet.interfaces import IAddress, IProtocol

from netkit.base.twistedprivate import (
    AcceptedConnection,
    TCPClient,
    TCPConnector,
    ipv4Address,
)
from netkit.reactor.accepting import PortMixin
from netkit.reactor.stream import StreamMixin


class Server(StreamMixin, AcceptedConnection):
    """
    A connection that a port accepted, or that was adopted.
    """

    accepted = True

    def __init__(
        self,
        sock: socket,
        protocol: IProtocol,
        client: Any,
        server: Port | None,
        sessionno: int,
        reactor: Any,
    ) -> None:
        """
        As Twisted's own.
        """
        if server is None:
            super().__init__(sock, protocol, client, server, sessionno, reactor)
            del self.fileno
            self.setTcpNoDelay(True)
        else:
            self.initStream(native=True, reading=True)
            self.initAccepted(sock, protocol, client, server, sessionno, reactor)
            if not server.isNoDelayInherited:
                self.setTcpNoDelay(True)
        self.begin()


class Client(StreamMixin, TCPClient):
    """
    A connection that a connector makes: a descriptor while it connects.
    """

    def connectDone(self) -> None:
        self.setTcpNoDelay(True)
        self.takeOver(super().connectDone)


class Port(PortMixin, tcp.Port):
    """
    Makes a L{Server} of each connection.
    """

    transport: type[tcp.Server] = Server

    # Whether what it accepts has TCP_NODELAY from its socket. The first write of a turn leaves at
    # once, and the next one must not wait until the peer says that it has the first.
    isNoDelayInherited = False

    def createInternetSocket(self) -> socket:
        made: socket = super().createInternetSocket()
        # Whoever connects has it only where it was set before.
        made.setsockopt(IPPROTO_TCP, TCP_NODELAY, True)
        self.isNoDelayInherited = True
        return made

    def peerOf(self, address: Any) -> tuple[IAddress, Any]:
        if self.addressFamily == AF_INET:
            return ipv4Address(*address), address
        host, _ = getnameinfo(address, NI_NUMERICHOST | NI_NUMERICSERV)
        # Now it names its scope.
        return super().peerOf((host, *address[1:]))


class Connector(TCPConnector):
    """
    Makes a connection.
    """

    def makeTransport(self) -> Client:
        return Client(self.host, self.port, self.bindAddress, self, self.reactor)
