"""
What takes the events of all recorded connections, and hands them on in batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from time import time_ns
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import Attribute, Interface

from ..wire.recording import Direction, Event, Octets, PlainOctets

#: How long an event of which nobody waits to see something waits for others to be handed on with,
#: in seconds.
DELAY = 0.05

# How many octets of memory wait for that at most.
_BATCH = 2**20

_new = tuple.__new__

#: About how many octets of memory an event takes beside its own.
EVENT = 200


class ISink(Interface):
    """
    What recorded events are for: a file, a view.
    """

    full: bool = Attribute("whether the recorded connections are to wait")

    def onDrain(call: Callable[[], None]) -> None:
        """
        Have something called whenever C{full} is no longer true.
        """

    def take(events: list[Event], size: int) -> None:
        """
        Take events.

        @param events: one at least, in the order in which they happened; not to be changed.
        @param size: about how much memory they take, in octets.
        """


class Sink(Protocol):
    """
    What type checkers take for an L{ISink}: whatever has the same names. Without a plugin
    (mypy-zope) they know nothing of who implements an interface.
    """

    @property
    def full(self) -> bool: ...
    def onDrain(self, call: Callable[[], None], /) -> None: ...
    def take(self, events: list[Event], size: int, /) -> None: ...


class IPlainSink(ISink):
    """
    A sink of which many events wait: it takes octets as plain tuples.
    """

    def take(events: list[Any], size: int) -> None:
        """
        Take events.

        @param events: as L{ISink} has it, with C{PlainOctets} for L{Octets}.
        @param size: as L{ISink} has it.
        """


class Recorder:
    """
    Takes the events of all recorded connections of a program.

    @ivar full: whether the recorded connections are to wait, for a sink does not keep up.
    @ivar events: how many events were handed on.
    @ivar octetsKept: how many octets were, as far as they are kept.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        clock: IReactorTime | None = None,
        *,
        numbers: Iterator[int] | None = None,
        snaplen: int = 0,
        delay: float = DELAY,
    ) -> None:
        """
        @param sinks: what the events are for, each an L{ISink}.
        @param clock: what tells when to hand them on; the global reactor by default.
        @param numbers: those of the connections, where others have numbers of the same.
        @param snaplen: how many octets of each piece are kept; 0 for all.
        @param delay: for how many seconds an event may wait for others to be handed on with.
        """
        if clock is None:
            from twisted.internet import reactor

            clock = IReactorTime(reactor)
        self.numbers = numbers or count(1)
        self.full = False
        self.events = 0
        self.octetsKept = 0
        self._sinks = sinks
        self._plainSinks = [IPlainSink(sink) for sink in sinks if IPlainSink.providedBy(sink)]
        self._otherSinks = [sink for sink in sinks if not IPlainSink.providedBy(sink)]
        self._clock = clock
        self._snaplen = snaplen
        self._delay = delay
        self._batch: list[Event | PlainOctets] = []
        self._size = 0
        # Beyond how many octets of memory there is something to do: in the beginning, at once.
        self._most = 0
        self._call: IDelayedCall | None = None
        self._waiting: dict[Callable[[], None], None] = {}
        for sink in sinks:
            sink.onDrain(self._drained)

    def octets(self, connection: int, direction: Direction, data: bytes) -> bool:
        """
        Octets arrived or were sent.

        @param connection: the connection's number.
        @return: whether the connection is to wait.
        """
        kept = length = len(data)
        if self._snaplen:
            data = data[: self._snaplen]
            kept = len(data)
        self._batch.append((connection, time_ns(), direction, data, length))
        self._size = size = self._size + kept + EVENT
        if size > self._most:
            self._begunOrFull()
        return self.full

    def event(self, event: Event) -> None:
        """
        Something else happened.
        """
        self._batch.append(event)
        self._size += EVENT
        if self._size > self._most:
            self._begunOrFull()

    def _begunOrFull(self) -> None:
        if self._size > _BATCH:
            self.flush()
            return
        self._most = _BATCH
        if self._call is None:
            self._call = self._clock.callLater(self._delay, self._due)

    def _due(self) -> None:
        self._call = None
        self.flush()

    def flush(self) -> None:
        """
        Hand on what has come.
        """
        self._most = 0
        if not self._batch:
            return
        batch, self._batch = self._batch, []
        size, self._size = self._size, 0
        self.events += len(batch)
        self.octetsKept += size - len(batch) * EVENT
        for plain in self._plainSinks:
            plain.take(batch, size)
        if self._otherSinks:
            events = [asEvent(each) for each in batch]
            for sink in self._otherSinks:
                sink.take(events, size)
        self.full = any(sink.full for sink in self._sinks)

    def onDrain(self, call: Callable[[], None]) -> None:
        """
        Have something called when C{full} is no longer true.
        """
        self._waiting[call] = None

    def forget(self, call: Callable[[], None]) -> None:
        """
        Have it not called.
        """
        self._waiting.pop(call, None)

    def _drained(self) -> None:
        self.full = any(sink.full for sink in self._sinks)
        if self.full:
            return
        waiting, self._waiting = self._waiting, {}
        for call in waiting:
            call()


def asEvent(recorded: Event | PlainOctets) -> Event:
    """
    Make of what L{IPlainSink} takes what L{ISink} does.
    """
    # Without the call in Python that a named tuple's class makes.
    return _new(Octets, recorded) if isinstance(recorded, tuple) else recorded
