"""
TCP connections, ports and connectors on uvloop's transports.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import tcp

from netkit.reactor.accepting import PortMixin
from netkit.reactor.stream import StreamMixin


class Server(StreamMixin, tcp.Server):
    """
    A connection that a port accepted.
    """

    _native = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._goNative()


class Client(StreamMixin, tcp.Client):
    """
    A connection that a connector makes: a descriptor while it connects.
    """

    def _connectDone(self) -> None:
        self._goNative()
        super()._connectDone()


class Port(PortMixin, tcp.Port):
    """
    Makes a L{Server} of each connection.
    """

    transport: type[tcp.Server] = Server


class Connector(tcp.Connector):
    """
    Makes a connection.
    """

    def _makeTransport(self) -> Client:
        return Client(self.host, self.port, self.bindAddress, self, self.reactor)
