"""
What takes the events of all recorded connections, and hands them on in batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from time import time_ns

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import Attribute, Interface

from ..wire.recording import Direction, Event, Octets

#: How long an event of which nobody waits to see something waits for others to be handed on with,
#: in seconds.
DELAY = 0.05

# How many octets of memory wait for that at most.
_BATCH = 2**19

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


class Recorder:
    """
    Takes the events of all recorded connections of a program.

    @ivar full: whether the recorded connections are to wait, for a sink does not keep up.
    @ivar events: how many events were handed on.
    @ivar octetsKept: how many octets were, as far as they are kept.
    """

    def __init__(
        self,
        sinks: Sequence[ISink],
        clock: IReactorTime | None = None,
        *,
        numbers: Iterator[int] | None = None,
        snaplen: int = 0,
        delay: float = DELAY,
    ) -> None:
        """
        @param sinks: what the events are for.
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
        self._clock = clock
        self._snaplen = snaplen
        self._delay = delay
        self._batch: list[Event] = []
        self._size = 0
        # Beyond how many octets of memory there is something to do: to begin with, that is at once.
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
        length = len(data)
        if self._snaplen:
            data = data[: self._snaplen]
        # Without the call in Python that a named tuple's class makes.
        self._batch.append(_new(Octets, (connection, time_ns(), direction, data, length)))
        self._size = size = self._size + len(data) + EVENT
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
        else:
            self._most = _BATCH
            self._call = self._clock.callLater(self._delay, self.flush)

    def flush(self) -> None:
        """
        Hand on what has come.
        """
        self._most = 0
        if self._call is not None:
            if self._call.active():
                self._call.cancel()
            self._call = None
        if not self._batch:
            return
        batch, self._batch = self._batch, []
        size, self._size = self._size, 0
        self.events += len(batch)
        self.octetsKept += size - len(batch) * EVENT
        for sink in self._sinks:
            sink.take(batch, size)
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
