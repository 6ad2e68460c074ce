"""
Reactors that listen in a particular way. An endpoint is given one in place of the real reactor,
which does all the rest: so it works with whatever endpoint an endpoint string names.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.posixbase import PosixReactorBase
from twisted.protocols.tls import TLSMemoryBIOFactory

from .unixport import UNIXPort

if TYPE_CHECKING:
    from .proxied import ProxiedFactory

#: How many connections may wait to be accepted where nothing else is said, as in Node. With
#: Twisted's 50 the system passes over many of the clients that come at the same time; those try
#: again after one second, and then after three.
BACKLOG = 511

_TWISTED_BACKLOG = 50


class ReactorProxy:
    """
    Does what the real reactor does, and provides what it provides.

    @ivar reactor: the real reactor.
    """

    def __init__(self, reactor: Any) -> None:
        """
        @param reactor: the real reactor.
        """
        self.reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self.reactor, name)


class ListeningProxy(ReactorProxy):
    """
    Listens in a way of its own on TCP, which a subclass has: on TLS too, which is spoken above.
    """

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """
        As L{IReactorTCP.listenTCP <twisted.internet.interfaces.IReactorTCP.listenTCP>}.
        """
        raise NotImplementedError

    def listenSSL(
        self,
        port: int,
        factory: IProtocolFactory,
        contextFactory: Any,
        backlog: int = 50,
        interface: str = "",
    ) -> IListeningPort:
        """
        As L{IReactorSSL.listenSSL <twisted.internet.interfaces.IReactorSSL.listenSSL>}.
        """
        encrypted = TLSMemoryBIOFactory(contextFactory, False, factory)
        return self.listenTCP(port, encrypted, backlog, interface)


class UNIXReactor(ReactorProxy):
    """
    Makes a L{UNIXPort} of each UNIX socket, where the real reactor makes Twisted's own.
    """

    def listenUNIX(
        self,
        address: str | bytes,
        factory: IProtocolFactory,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = False,
    ) -> IListeningPort:
        """
        As L{IReactorUNIX.listenUNIX <twisted.internet.interfaces.IReactorUNIX.listenUNIX>}.
        """
        if not self._isTwisteds("listenUNIX"):
            return IListeningPort(
                self.reactor.listenUNIX(address, factory, backlog, mode=mode, wantPID=wantPID)
            )
        port = UNIXPort(address, factory, backlog, mode, self.reactor, wantPID)
        port.startListening()
        return IListeningPort(port)

    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory
    ) -> IListeningPort:
        """
        As L{IReactorSocket.adoptStreamPort
        <twisted.internet.interfaces.IReactorSocket.adoptStreamPort>}.
        """
        if addressFamily != socket.AF_UNIX or not self._isTwisteds("adoptStreamPort"):
            return IListeningPort(
                self.reactor.adoptStreamPort(fileDescriptor, addressFamily, factory)
            )
        port = UNIXPort.adopt(fileDescriptor, factory, self.reactor)
        port.startListening()
        return IListeningPort(port)

    def _isTwisteds(self, method: str) -> bool:
        own = getattr(type(self.reactor), method, None)
        return own is getattr(PosixReactorBase, method)


class BacklogReactor(ListeningProxy):
    """
    Has L{BACKLOG} connections wait to be accepted where Twisted's endpoints would have as many as
    they do by default.
    """

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """
        As L{IReactorTCP.listenTCP <twisted.internet.interfaces.IReactorTCP.listenTCP>}.
        """
        backlog = _chosenBacklog(backlog)
        return IListeningPort(self.reactor.listenTCP(port, factory, backlog, interface))

    def listenUNIX(
        self, address: str | bytes, factory: IProtocolFactory, backlog: int = 50, **options: Any
    ) -> IListeningPort:
        """
        As L{IReactorUNIX.listenUNIX <twisted.internet.interfaces.IReactorUNIX.listenUNIX>}.
        """
        backlog = _chosenBacklog(backlog)
        return IListeningPort(self.reactor.listenUNIX(address, factory, backlog, **options))


def _chosenBacklog(backlog: int) -> int:
    return BACKLOG if backlog == _TWISTED_BACKLOG else backlog


class SteadyReactor(ListeningProxy):
    """
    Listens on the same port again, where the system is to choose one: for a single endpoint.
    """

    _chosen: int | None = None

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """
        As L{IReactorTCP.listenTCP <twisted.internet.interfaces.IReactorTCP.listenTCP>}.
        """
        asked = port or self._chosen or 0
        listening = IListeningPort(self.reactor.listenTCP(asked, factory, backlog, interface))
        if not asked:
            self._chosen = getattr(listening.getHost(), "port", None)
        return listening


class ProxiedReactor(ListeningProxy):
    """
    Expects a PROXY header in front of everything else on each connection, of TLS as well.
    """

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """
        As L{IReactorTCP.listenTCP <twisted.internet.interfaces.IReactorTCP.listenTCP>}.
        """
        proxied = self._proxied(factory)
        return IListeningPort(self.reactor.listenTCP(port, proxied, backlog, interface))

    def listenUNIX(
        self, address: str | bytes, factory: IProtocolFactory, backlog: int = 50, **options: Any
    ) -> IListeningPort:
        """
        As L{IReactorUNIX.listenUNIX <twisted.internet.interfaces.IReactorUNIX.listenUNIX>}.
        """
        proxied = self._proxied(factory)
        return IListeningPort(self.reactor.listenUNIX(address, proxied, backlog, **options))

    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory
    ) -> IListeningPort:
        """
        As L{IReactorSocket.adoptStreamPort
        <twisted.internet.interfaces.IReactorSocket.adoptStreamPort>}.
        """
        proxied = self._proxied(factory)
        return IListeningPort(self.reactor.adoptStreamPort(fileDescriptor, addressFamily, proxied))

    def _proxied(self, factory: IProtocolFactory) -> ProxiedFactory:
        # Imported by who expects the header alone, since every start of a service imports this.
        from .proxied import ProxiedFactory

        return ProxiedFactory(factory, clock=self.reactor)
