"""
UNIX connections, ports and connectors on channels.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import unix
from twisted.internet.interfaces import IFileDescriptorReceiver, IProtocol

from netkit.base.twistedprivate import UNIXClient, UNIXConnector
from netkit.base.unixport import UNIXPort
from netkit.reactor.accepting import PortMixin
from netkit.reactor.stream import StreamMixin

_protocol: Any = StreamMixin.protocol


class _DescriptorPassing(StreamMixin):
    """
    A UNIX connection: native until file descriptors are to be sent or received, which a channel
    cannot do.
    """

    def _setProtocol(self, protocol: IProtocol | None) -> None:
        _protocol.__set__(self, protocol)
        if IFileDescriptorReceiver.providedBy(protocol):
            self.leaveNative()

    # To read it takes no code of Python's.
    protocol = property(_protocol.__get__, _setProtocol, _protocol.__delete__)

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
