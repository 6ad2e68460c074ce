"""
What goes wrong on purpose with the connections of a service.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IProtocolFactory, IReactorTime

from ..faults import Faults, FaultyFactory
from ..inspector.faulting import FaultControl
from .options import CommonOptions


class Faulting:
    """
    The faults of a service.

    @ivar faults: which there are.
    """

    def __init__(self, options: CommonOptions, *, changing: bool) -> None:
        """
        @param options: the parsed options.
        @param changing: whether they can be changed while connections are open.
        """
        self.faults = Faults(*options["fault"], seed=options["fault-seed"])
        self._changing = changing

    def control(self, told: Callable[[str], float]) -> FaultControl:
        """
        Make what the inspector changes them by.

        @param told: tells how often a fault of a name struck elsewhere.
        """
        return FaultControl(self.faults, told)

    def struck(self, factory: IProtocolFactory, clock: IReactorTime) -> IProtocolFactory:
        """
        Have them strike connections.

        @param factory: makes the protocols.
        """
        return FaultyFactory(factory, self.faults, clock, changing=self._changing)
