"""
TCP connections, ports and connectors on uvloop's transports.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from twisted.internet import tcp

from netkit.base.twistedprivate import (
    AcceptedConnection,
    TCPClient,
    TCPConnector,
    logPrefix,
    portNumber,
)
from netkit.reactor.accepting import PortMixin
from netkit.reactor.stream import StreamMixin


class Server(StreamMixin, AcceptedConnection):
    """
    A connection that a port accepted.

    What it is called in the log and by C{repr} are two strings that are asked for of few
    connections: they are made when they are first read. Both name the protocol that the connection
    began with, whatever took its place since.
    """

    native = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # One that was adopted is named after more than what is known here.
        if self.server is not None:
            self._logPrefix = logPrefix(self, self.protocol)
            self._protocolName = type(self.protocol).__name__
            # The port forgets it when it stops listening.
            self._portNumber = portNumber(self.server)
        self.begin()

    @cached_property
    def logstr(self) -> str:  # type: ignore[override] # can be assigned to
        return f"{self._logPrefix},{self.sessionno},{self.hostname}"

    @cached_property
    def repstr(self) -> str:  # type: ignore[override] # the same
        return f"<{self._protocolName} #{self.sessionno} on {self._portNumber}>"


class Client(StreamMixin, TCPClient):
    """
    A connection that a connector makes: a descriptor while it connects.
    """

    def connectDone(self) -> None:
        self.takeOver(super().connectDone)


class Port(PortMixin, tcp.Port):
    """
    Makes a L{Server} of each connection.
    """

    transport: type[tcp.Server] = Server


class Connector(TCPConnector):
    """
    Makes a connection.
    """

    def makeTransport(self) -> Client:
        return Client(self.host, self.port, self.bindAddress, self, self.reactor)
