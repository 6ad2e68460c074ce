"""
The descriptors that uvloop does not serve.
"""

from __future__ import annotations

from select import epoll
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.posixbase import PosixReactorBase

from netkit.base.twistedprivate import ContinuousPolling


class DescriptorSet(EPollReactor):
    """
    Twisted's epoll set without the reactor around it: what L{EPollReactor} does about descriptors,
    for a reactor that waits in another way.
    """

    def __init__(self, reactor: PosixReactorBase) -> None:
        """
        @param reactor: the one that this is a part of.
        """
        # EPollReactor's own would make a second reactor of this.
        self._poller = epoll()
        self._reads: set[int] = set()
        self._writes: set[int] = set()
        self._selectables: dict[int, Any] = {}
        self._continuousPolling = ContinuousPolling(reactor)
        # Which removeAll leaves alone.
        self._internalReaders = reactor._internalReaders

    def fileno(self) -> int:
        """
        Readable when any of the descriptors is ready.
        """
        descriptor: int = self._poller.fileno()
        return descriptor
