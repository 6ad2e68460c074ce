"""
The faults that are to strike, and when each one does.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from random import Random
from secrets import randbelow
from typing import Protocol

from twisted.logger import Logger

from .specification import Fault, Unit

_log = Logger()


class Watcher(Protocol):
    """
    What is told of changes: an open connection.
    """

    def faultAdded(self, armed: ArmedFault) -> None:
        """
        A fault was added.
        """

    def faultChanged(self, armed: ArmedFault, again: bool) -> None:
        """
        A fault was changed: it does the same otherwise.

        @param again: whether it is to be decided again whether it strikes.
        """

    def faultRemoved(self, armed: ArmedFault, close: bool) -> None:
        """
        A fault was removed.

        @param close: whether a connection that it was there for is to be closed.
        """


class ArmedFault:
    """
    A fault, and how often it was up to it.

    Chance comes from a seed, and for each fault and each connection from a source of its own: the
    same seed over the same traffic gives the same run, whatever happens beside it.

    @ivar fault: the fault.
    @ivar name: what it is called.
    @ivar struck: how often it struck.
    """

    def __init__(self, fault: Fault, name: str, seed: int) -> None:
        """
        @param fault: the fault.
        @param name: what it is called.
        @param seed: where chance comes from.
        """
        self.fault = fault
        self.name = name
        self.struck = 0
        self._seed = seed
        self._chance = Random(f"{seed} {name}")
        self._seen = 0

    def strikes(self) -> bool:
        """
        Decide about the next one of what it may strike.
        """
        fault = self.fault
        self._seen += 1
        seen = self._seen if fault.unit is Unit.CONNECTION else self._seen - fault.after
        if (
            seen <= 0
            or seen % fault.every
            or (fault.first is not None and self.struck >= fault.first)
        ):
            return False
        if not self.draw():
            return False
        self.struck += 1
        return True

    def draw(self) -> bool:
        """
        Leave it to chance.
        """
        probability = self.fault.probability
        return probability >= 1 or self._chance.random() < probability

    def chance(self, connection: int) -> Random:
        """
        What decides details on a connection.

        @param connection: the connection's number.
        """
        return Random(f"{self._seed} {self.name} {connection}")


class Faults:
    """
    All faults of a service; others can be added and removed at any time, and strike the
    connections that are open as well.

    @ivar seed: where chance comes from.
    """

    def __init__(self, *faults: Fault, seed: int | None = None) -> None:
        """
        @param faults: what there is from the start.
        @param seed: where chance comes from; drawn by default.
        """
        self.seed = randbelow(2**32) if seed is None else seed
        self._armed: dict[str, ArmedFault] = {}
        self._watchers: dict[Watcher, None] = {}
        # Whether the seed is to be told still, once there is something that it decides.
        self._untold = False
        for fault in faults:
            self.add(fault)

    def __iter__(self) -> Iterator[ArmedFault]:
        return iter(list(self._armed.values()))

    def get(self, name: str) -> ArmedFault | None:
        """
        Find a fault; L{None} where none is called so.
        """
        return self._armed.get(name)

    def __len__(self) -> int:
        return len(self._armed)

    def start(self) -> None:
        """
        Have the seed told, now or as soon as there are faults.
        """
        self._untold = True
        self._tellSeed()

    def _tellSeed(self) -> None:
        if self._untold and self._armed:
            self._untold = False
            _log.info("Faults strike by the seed {seed}", seed=self.seed)

    def add(self, fault: Fault, name: str | None = None) -> ArmedFault:
        """
        Add a fault.

        @param fault: the fault.
        @param name: what to call it; by its kind and a number by default.
        @raise KeyError: another one is called so.
        """
        if name is None:
            usual = (f"{fault.kind}-{number}" for number in count(1))
            name = next(each for each in usual if each not in self._armed)
        elif name in self._armed:
            raise KeyError(name)
        armed = self._armed[name] = ArmedFault(fault, name, self.seed)
        self._tellSeed()
        for watcher in list(self._watchers):
            watcher.faultAdded(armed)
        return armed

    def change(self, name: str, fault: Fault) -> ArmedFault:
        """
        Have a fault be another one. Of the same kind and direction, it goes on where it was: what
        it counts is not counted anew.

        @param name: what it is called.
        @raise KeyError: none is.
        """
        armed = self._armed[name]
        before = armed.fault
        if _same(before, fault):
            armed.fault = fault
            for watcher in list(self._watchers):
                watcher.faultChanged(armed, fault.probability != before.probability)
            return armed
        self.remove(name)
        return self.add(fault, name)

    def remove(self, name: str, *, close: bool = False) -> None:
        """
        Remove a fault: what it holds back goes on.

        @param name: what it is called.
        @param close: whether to close the connections that it was there for: what it took of them
            is lost.
        @raise KeyError: none is.
        """
        armed = self._armed.pop(name)
        for watcher in list(self._watchers):
            watcher.faultRemoved(armed, close)

    def clear(self) -> None:
        """
        Remove all.
        """
        for name in list(self._armed):
            self.remove(name)

    def watch(self, watcher: Watcher) -> None:
        """
        Tell somebody of changes from now on.
        """
        self._watchers[watcher] = None

    def unwatch(self, watcher: Watcher) -> None:
        """
        Tell no more.
        """
        self._watchers.pop(watcher, None)


def _same(one: Fault, other: Fault) -> bool:
    """
    Whether they strike the same connections in the same way.
    """
    return all(
        getattr(one, name) == getattr(other, name) for name in ("kind", "side", "unit", "client")
    )
