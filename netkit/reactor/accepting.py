"""
Ports, and sockets that accept.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EINVAL
from socket import (
    SOCK_NONBLOCK,
    socket,
)
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.tcp import Port
from twisted.logger import Logger
from twisted.python.failure import Failure

from netkit.base.twistedprivate import addressOf

_log = Logger()


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
        # What is accepted is to know that it does not block; whoever has it sees to that.
        self._kind = self.family, self.type | SOCK_NONBLOCK, self.proto

    def accept(self) -> tuple[socket, Any]:
        """
        As any socket's that does not block.
        """
        descriptor, address = self._accept()  # type: ignore[attr-defined]
        return socket(*self._kind, descriptor), address


class PortMixin(Port):
    """
    Accepts connections, each in a context of its own. uvloop itself watches the socket.

    @ivar accepts: how many in one turn, at most: the others of the reactor have theirs.
    """

    accepts = 100
    reactor: Any
    factory: Any
    # How many to accept when it is ready: as many as there were, and twice as many when all of
    # them were there, for to be told that there is no other one takes as long as to accept one.
    _expected = 1
    _reading = False

    def startListening(self) -> None:
        super().startListening()
        self.socket = Accepting(fileno=self.socket.detach())
        # Python notes that in the object.
        self.socket.setblocking(False)
        self.fileno = self.socket.fileno  # type: ignore[method-assign]

    def connectionLost(self, reason: Failure) -> None:
        self.stopReading()
        self.reactor.turn.natives.discard(self)
        super().connectionLost(reason)

    def isReading(self) -> bool:
        """
        Whether it accepts connections.
        """
        return self._reading

    def isWriting(self) -> bool:
        """
        Never.
        """
        return False

    def startWriting(self) -> None:
        """
        There is nothing to write.
        """

    def startReading(self) -> None:
        if not self._reading:
            self._reading = True
            turn = self.reactor.turn
            turn.natives.add(self)
            # uvloop would run it in a copy of this context.
            turn.loop.add_reader(self.fileno(), turn.context.run, self.doRead)

    def stopReading(self) -> None:
        if self._reading:
            self._reading = False
            self.reactor.turn.loop.remove_reader(self.fileno())

    def doRead(self) -> None:
        """
        Accept those that wait, so many at most.
        """
        turn = self.reactor.turn
        # What is logged here is about this port.
        turn.current = self
        try:
            self._acceptAll(self.socket.accept, turn.connect)
        finally:
            turn.current = None

    def _acceptAll(self, accept: Callable[[], Any], connect: Callable[..., Any]) -> None:
        limit = min(self._expected, self.accepts)
        for accepted in range(limit):
            try:
                connection = accept()
            except BlockingIOError:
                self._expected = accepted or 1
                return
            except OSError as error:
                if error.errno == EINVAL:
                    # Who has the socket as well has shut it down: the parent of a worker.
                    self.connectionLost(Failure(CONNECTION_LOST))
                    return
                # Twisted's own meets it again, and knows what to do. If it does not, there is one
                # connection for this context.
                self.numberAccepts = 1
                connect(super().doRead)
                return
            connect(self._accepted, *connection)
            if not self._reading:
                return
        self._expected = min(2 * limit, self.accepts)

    def peerOf(self, address: Any) -> tuple[IAddress, Any]:
        """
        Make the address of who was accepted.

        @param address: as C{accept} has it.
        @return: it, and what it was made of.
        """
        return addressOf(self, address), address

    def _accepted(self, socket: socket, address: Any) -> None:
        try:
            peer, address = self.peerOf(address)
            protocol = self.factory.buildProtocol(peer)
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
