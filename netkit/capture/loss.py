"""
What is left out of a recording, until there is room to say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from operator import itemgetter

from ..wire.recording import (
    Closed,
    Direction,
    Dropped,
    Event,
    Note,
    Opened,
    PlainOctets,
    Unrecorded,
)

_RECEIVED = Direction.RECEIVED


@dataclass(slots=True)
class _Part:
    """
    What is left out of a connection.

    @ivar events: what is not octets, each with its place among all that is kept.
    """

    events: list[tuple[int, Event]] = field(default_factory=list)
    received: int = 0
    sent: int = 0


class Loss:
    """
    Counts the octets that are not recorded, of each connection, and keeps all else: how
    connections began and ended, notes. Of connections that both began and ended meanwhile it
    forgets the earliest where there are too many: they are counted.

    @ivar octets: how many octets are left out.
    @ivar kept: how many events are kept.
    @ivar forgotten: how many connections are.
    """

    def __init__(self, most: int = 10_000) -> None:
        """
        @param most: how many events are kept, beside those of connections that were open before
            or are open still.
        """
        self.octets = 0
        self.kept = 0
        self.forgotten = 0
        self._most = most
        self._parts: dict[int, _Part] = {}
        # Those of whole connections, in the order in which they ended.
        self._whole: dict[int, None] = {}
        self._places = count()
        self._received = 0
        self._sent = 0

    def __bool__(self) -> bool:
        return bool(self._parts or self.forgotten)

    def add(self, events: Sequence[Event | PlainOctets]) -> int:
        """
        Leave events out.

        @return: of how many octets they are.
        """
        before = self.octets
        for event in events:
            if isinstance(event, tuple):
                number, _, direction, _, length = event
                part = self._part(number)
                if direction is _RECEIVED:
                    part.received += length
                else:
                    part.sent += length
                self.octets += length
            elif isinstance(event, Dropped):
                part = self._part(event.connection)
                part.received += event.received
                part.sent += event.sent
                self.octets += event.received + event.sent
            elif isinstance(event, Unrecorded):
                self._forget(event.connections, event.received, event.sent)
                self.octets += event.received + event.sent
            else:
                self._keep(event)
        return self.octets - before

    def events(self, time: int) -> list[Event]:
        """
        Make the events that say what is left out, and take the place of those that are.

        @param time: when they are recorded after all.
        """
        placed: list[tuple[int, Event]] = []
        for number, part in self._parts.items():
            kept = part.events
            last = kept[-1] if kept else None
            end = last if last is not None and isinstance(last[1], Closed) else None
            placed += kept if end is None else kept[:-1]
            if part.received or part.sent:
                place, at = next(self._places), time
                if end is not None:
                    place, at = end[0], end[1].time
                placed.append((place, Dropped(number, at, part.received, part.sent)))
            if end is not None:
                placed.append(end)
        # By their places alone, in which an end comes behind what is said before it.
        made = [event for _, event in sorted(placed, key=itemgetter(0))]
        if self.forgotten:
            made.append(Unrecorded(time, self.forgotten, self._received, self._sent))
        return made

    def _part(self, number: int) -> _Part:
        part = self._parts.get(number)
        if part is None:
            part = self._parts[number] = _Part()
        return part

    def _keep(self, event: Event) -> None:
        if isinstance(event, Note) and self.kept >= self._most:
            return
        number = event.connection
        part = self._part(number)
        part.events.append((next(self._places), event))
        self.kept += 1
        if isinstance(event, Closed) and isinstance(part.events[0][1], Opened):
            self._whole[number] = None
        while self.kept > self._most and self._whole:
            earliest = next(iter(self._whole))
            del self._whole[earliest]
            gone = self._parts.pop(earliest)
            self.kept -= len(gone.events)
            self._forget(1, gone.received, gone.sent)

    def _forget(self, connections: int, received: int, sent: int) -> None:
        self.forgotten += connections
        self._received += received
        self._sent += sent
