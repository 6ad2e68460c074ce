"""
The descriptors that uvloop does not serve.
"""

from __future__ import annotations

from select import epoll

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.posixbase import PosixReactorBase

from netkit.base.twistedprivate import initDescriptors


class DescriptorSet(EPollReactor):
    """
    Twisted's epoll set without the reactor around it: what L{EPollReactor} does about descriptors,
    for a reactor that waits in another way.
    """

    def __init__(self, reactor: PosixReactorBase) -> None:
        """
        @param reactor: the one that this is a part of.
        """
        self._epoll = epoll()
        # EPollReactor's own would make a second reactor of this.
        initDescriptors(self, reactor, self._epoll)

    def fileno(self) -> int:
        """
        Readable when any of the descriptors is ready.
        """
        return self._epoll.fileno()
