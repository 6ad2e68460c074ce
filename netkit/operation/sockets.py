"""
The sockets that a process listens on, and that it hands on to others which serve in its place.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from ..base.listening import ListeningProxy, UNIXReactor


class Sockets(ListeningProxy):
    """
    Proxy of a reactor that keeps account of what listens, and takes sockets that listen already in
    the place of new ones.
    """

    def __init__(self, reactor: Any, inherited: Sequence[tuple[str, int]] = ()) -> None:
        """
        @param reactor: the real one.
        @param inherited: the sockets that listen already: what each is for, as
            L{descriptors} tells it, and its descriptor.
        """
        super().__init__(UNIXReactor(reactor))
        self._inherited = list(inherited)
        self._ports: list[tuple[str, Any]] = []
        self._held = False

    def hold(self) -> None:
        """
        Accept nothing from here on: the sockets go on to listen, for others to accept.
        """
        self._held = True
        for _, port in self._listening():
            port.stopReading()

    def descriptors(self) -> list[tuple[str, int]]:
        """
        Tell what each socket is for, and its descriptor.
        """
        return [(key, port.fileno()) for key, port in self._listening()]

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """
        As L{IReactorTCP.listenTCP <twisted.internet.interfaces.IReactorTCP.listenTCP>}.
        """
        return self._listen(
            f"tcp {interface} {port}",
            factory,
            lambda: self.reactor.listenTCP(port, factory, backlog, interface),
        )

    def listenUNIX(
        self, address: str | bytes, factory: IProtocolFactory, backlog: int = 50, **options: Any
    ) -> IListeningPort:
        """
        As L{IReactorUNIX.listenUNIX <twisted.internet.interfaces.IReactorUNIX.listenUNIX>}.
        """
        return self._listen(
            f"unix {os.fsdecode(address)}",
            factory,
            lambda: self.reactor.listenUNIX(address, factory, backlog, **options),
        )

    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory
    ) -> IListeningPort:
        """
        As L{IReactorSocket.adoptStreamPort
        <twisted.internet.interfaces.IReactorSocket.adoptStreamPort>}.
        """
        return self._listen(
            f"adopted {fileDescriptor}",
            factory,
            lambda: self.reactor.adoptStreamPort(fileDescriptor, addressFamily, factory),
        )

    def _listen(
        self, key: str, factory: IProtocolFactory, listen: Callable[[], IListeningPort]
    ) -> IListeningPort:
        for found in self._inherited:
            if found[0] == key:
                self._inherited.remove(found)
                port: Any = self._adopted(found[1], factory)
                break
        else:
            port = listen()
        self._ports.append((key, port))
        if self._held:
            port.stopReading()
        return IListeningPort(port)

    def _adopted(self, descriptor: int, factory: IProtocolFactory) -> Any:
        # The port takes a copy of the descriptor.
        with socket.socket(fileno=descriptor) as inherited:
            port: Any = self.reactor.adoptStreamPort(descriptor, inherited.family, factory)
            _acceptOneByOne(port)
            return port

    def _listening(self) -> list[tuple[str, Any]]:
        self._ports = [each for each in self._ports if getattr(each[1], "connected", False)]
        return self._ports


def _acceptOneByOne(port: Any) -> None:
    """
    Have a port accept one connection in each turn of the reactor: the first of those who share its
    socket would have all that come together, and serve them alone for as long as they last.
    """
    if hasattr(port, "accepts"):
        port.accepts = 1
        return
    accept = port.doRead

    def acceptOne() -> None:
        # Twisted goes by how many there were the last time, up to hundreds.
        port.numberAccepts = 1
        accept()

    port.doRead = acceptOne
