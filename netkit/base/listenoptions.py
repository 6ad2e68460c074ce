"""
How a server's socket is bound, where an endpoint string cannot say it.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorSocket

from .listening import ListeningProxy

#: How many connections the system can be told to have wait; it has a limit of its own, such as
#: Linux's C{net.core.somaxconn}.
MOST_BACKLOG = 2**31 - 1


class ListenOptions(ListeningProxy):
    """
    Proxy of a reactor that applies backlog, IPV6_V6ONLY and SO_REUSEPORT to what listens.
    """

    def __init__(self, reactor: Any, backlog: int | None, ipv6Only: bool, reusePort: bool) -> None:
        """
        @param reactor: the real one.
        @param backlog: how many connections may wait to be accepted; what the endpoint says by
            default.
        @param ipv6Only: whether an IPv6 address is listened on without its IPv4 counterpart.
        @param reusePort: whether other sockets may listen on the same port, and get their share.
        """
        super().__init__(reactor)
        self._backlog = backlog
        self._ipv6Only = ipv6Only
        self._reusePort = reusePort

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """
        As L{IReactorTCP.listenTCP <twisted.internet.interfaces.IReactorTCP.listenTCP>}.
        """
        backlog = self._backlog or backlog
        if not self._ipv6Only and not self._reusePort:
            return IListeningPort(self.reactor.listenTCP(port, factory, backlog, interface))
        family = socket.AF_INET6 if isIPv6Address(interface) else socket.AF_INET
        with socket.socket(family) as listener:
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if self._reusePort:
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                if family == socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, self._ipv6Only)
                listener.bind((interface, port))
                listener.listen(backlog)
            except OSError as error:
                raise CannotListenError(interface, port, error) from error
            listener.setblocking(False)
            # It takes a copy of the descriptor.
            adopt = IReactorSocket(self.reactor).adoptStreamPort
            return IListeningPort(adopt(listener.fileno(), family, factory))

    def listenUNIX(
        self, address: str, factory: Any, backlog: int = 50, **options: Any
    ) -> IListeningPort:
        """
        As L{IReactorUNIX.listenUNIX <twisted.internet.interfaces.IReactorUNIX.listenUNIX>}.
        """
        backlog = self._backlog or backlog
        return IListeningPort(self.reactor.listenUNIX(address, factory, backlog, **options))
