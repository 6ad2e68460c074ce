"""
Sockets that know what they are.

A socket makes an enum of its family, and of its type, whenever it is asked; and it is asked five
times for each connection: by itself when one is accepted, and by uvloop when it gets that one.
"""

from __future__ import annotations

from socket import SOCK_STREAM, AddressFamily, socket
from typing import Any

from twisted.internet.tcp import Port


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
    Accepts connections as Twisted's own does: all that wait, in one turn.
    """

    def startListening(self) -> None:
        super().startListening()
        self.socket = Accepting(fileno=self.socket.detach())
        # Python notes that in the object.
        self.socket.setblocking(False)
        self.fileno = self.socket.fileno  # type: ignore[method-assign]
