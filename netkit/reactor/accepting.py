"""
Ports, and sockets that know what they are.

A socket makes an enum of its family, and of its type, whenever it is asked; and it is asked five
times for each connection: by itself when one is accepted, and by uvloop when it gets that one.
"""

from __future__ import annotations

from socket import (
    AF_INET6,
    NI_NUMERICHOST,
    NI_NUMERICSERV,
    SOCK_STREAM,
    AddressFamily,
    getnameinfo,
    socket,
)
from typing import Any

from twisted.internet.tcp import Port
from twisted.logger import Logger

from netkit.base.twistedprivate import addressOf

_log = Logger()


class Accepted(socket):
    """
    The socket of a connection that was accepted.
    """

    __slots__ = ("family",)

    type = SOCK_STREAM

    def __init__(self, family: AddressFamily, *args: Any, **kwargs: Any) -> None:
        """
        As any socket's.
        """
        super().__init__(family, *args, **kwargs)
        self.family = family  # type: ignore[misc]


class Accepting(socket):
    """
    The socket of a port.
    """

    __slots__ = ("_kind",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """
        As any socket's.
        """
        super().__init__(*args, **kwargs)
        self._kind = self.family, self.type, self.proto

    def accept(self) -> tuple[Accepted, Any]:
        """
        As any socket's that does not block.
        """
        descriptor, address = self._accept()  # type: ignore[attr-defined]
        return Accepted(*self._kind, descriptor), address


class PortMixin(Port):
    """
    Accepts connections, each in a context of its own.

    @ivar accepts: how many in one turn, at most: the others of the reactor have theirs.
    """

    accepts = 100
    reactor: Any
    factory: Any

    def startListening(self) -> None:
        super().startListening()
        self.socket = Accepting(fileno=self.socket.detach())
        # Python notes that in the object.
        self.socket.setblocking(False)
        self.fileno = self.socket.fileno  # type: ignore[method-assign]

    def doRead(self) -> None:
        """
        Accept those that wait, so many at most.
        """
        accept, connect = self.socket.accept, self.reactor.turn.connect
        for _ in range(self.accepts):
            try:
                accepted = accept()
            except BlockingIOError:
                return
            except OSError:
                # Twisted's own meets it again, and knows what to do.
                connect(super().doRead)
                return
            connect(self._accepted, *accepted)

    def _accepted(self, socket: socket, address: Any) -> None:
        try:
            if self.addressFamily == AF_INET6:
                host, _ = getnameinfo(address, NI_NUMERICHOST | NI_NUMERICSERV)
                # Now it names its scope.
                address = (host, *address[1:])
            protocol = self.factory.buildProtocol(addressOf(self, address))
            if protocol is None:
                socket.close()
                return
            number = self.sessionno
            self.sessionno = number + 1
            protocol.makeConnection(
                self.transport(socket, protocol, address, self, number, self.reactor)
            )
        except BaseException:
            _log.failure("{port}: cannot serve a connection", port=self)
