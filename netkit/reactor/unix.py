"""
UNIX connections, ports and connectors on channels.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from twisted.internet import unix
from twisted.internet.interfaces import IFileDescriptorReceiver, IProtocol

from netkit.base.twistedprivate import UNIXClient, UNIXConnector
from netkit.base.unixport import UNIXPort
from netkit.reactor.accepting import PortMixin
from netkit.reactor.stream import StreamMixin


class _DescriptorPassing(StreamMixin):
    """
    A UNIX connection: native until file descriptors are to be sent or received, which a channel
    cannot do.
    """

    def _setProtocol(self, protocol: IProtocol | None) -> None:
        self._protocol = protocol
        if IFileDescriptorReceiver.providedBy(protocol):
            self.leaveNative()

    def _deleteProtocol(self) -> None:
        del self._protocol

    # attrgetter, because this is read for each piece of data that arrives.
    protocol = property(attrgetter("_protocol"), _setProtocol, _deleteProtocol)

    def sendFileDescriptor(self, fileno: int) -> None:
        self.leaveNative()
        super().sendFileDescriptor(fileno)  # type: ignore[misc]


class Server(_DescriptorPassing, unix.Server):
    """
    A connection that a port accepted.
    """

    accepted = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.begin()


class Client(_DescriptorPassing, UNIXClient):
    """
    A connection that a connector makes: a descriptor while it connects.
    """

    def connectDone(self) -> None:
        self.takeOver(super().connectDone)


class Port(PortMixin, UNIXPort):
    """
    Makes a L{Server} of each connection.
    """

    transport: type[unix.Server] = Server


class Connector(UNIXConnector):
    """
    Makes a connection.
    """

    def makeTransport(self) -> Client:
        return Client(self.address, self, self.reactor, self.checkPID)
