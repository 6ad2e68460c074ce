"""
UNIX connections, ports and connectors on uvloop's transports.
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
    A UNIX connection: native until file descriptors are to be sent or received, which uvloop
    cannot do. From then on it is in the reactor's descriptor set, and Twisted's own reading and
    writing does the work; uvloop's transport just keeps the socket.
    """

    def _setProtocol(self, protocol: IProtocol | None) -> None:
        self._protocol = protocol
        if IFileDescriptorReceiver.providedBy(protocol):
            self._leaveNative()

    def _deleteProtocol(self) -> None:
        del self._protocol

    # attrgetter, because this is read for each piece of data that arrives.
    protocol = property(attrgetter("_protocol"), _setProtocol, _deleteProtocol)

    def sendFileDescriptor(self, fileno: int) -> None:
        self._leaveNative()
        super().sendFileDescriptor(fileno)  # type: ignore[misc]

    def startWriting(self) -> None:
        if self._native or not self.isWriting():
            super().startWriting()

    def _leaveNative(self) -> None:
        if not self._native:
            return
        reading, writing = self.isReading(), self.isWriting()
        self.stopReading()
        self._queueWrites()
        self._native = self._scheduled = False
        if hasattr(self, "_turn"):
            self._turn.streams.discard(self)
        if reading:
            self.startReading()
        if writing:
            self.startWriting()

    def doRead(self) -> Any:
        return self._context.run(super().doRead)

    def doWrite(self) -> Any:
        return self._context.run(super().doWrite)

    def _drained(self) -> None:
        if self._native:
            super()._drained()
        elif not self.disconnected:
            # What uvloop had is sent: now what was queued meanwhile.
            self.startWriting()


class Server(_DescriptorPassing, unix.Server):
    """
    A connection that a port accepted.
    """

    _native = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._begin()


class Client(_DescriptorPassing, UNIXClient):
    """
    A connection that a connector makes: a descriptor while it connects.
    """

    def connectDone(self) -> None:
        self.reactor._turn.connect(self._connected)

    def _connected(self) -> None:
        self._native = True
        self._begin()
        super().connectDone()


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
