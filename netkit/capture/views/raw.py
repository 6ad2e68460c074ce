"""
The pieces of a connection as they came, and all that one side sent.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...wire.recording import Closed, Direction, End, Event, HalfClosed, Octets, Opened
from .item import Item, Kind
from .spool import Spool


def cut(event: Octets) -> str:
    """
    What is to be said of a piece of which the recording has not all octets.
    """
    kept = len(event.data)
    return f"{kept} of {event.length} octets were recorded" if kept < event.length else ""


class RawView:
    """
    An item for each piece.
    """

    def __init__(self, opened: Opened, spool: Spool) -> None:
        """
        @param opened: the connection.
        @param spool: where octets wait.
        """
        self._opened = opened
        self._spool = spool

    def feed(self, event: Event) -> Iterator[Item]:
        """
        Take the next event of the connection.
        """
        if isinstance(event, Octets):
            data = self._spool.data()
            data.write(event.data)
            yield Item(
                self._opened,
                event.time,
                event.time,
                Kind.OCTETS,
                event.direction,
                data,
                wrong=cut(event),
            )


class ContentView:
    """
    An item for all that one side sent until it said that it was done.
    """

    def __init__(self, opened: Opened, spool: Spool) -> None:
        """
        @param opened: the connection.
        @param spool: where octets wait.
        """
        self._opened = opened
        self._spool = spool
        self._contents: dict[Direction, Item] = {}
        # What is wrong with all that comes now.
        self._late = ""

    def feed(self, event: Event) -> Iterator[Item]:
        """
        Take the next event of the connection.
        """
        if isinstance(event, Octets):
            content = self._content(event.direction, event.time)
            assert content.data is not None
            content.data.write(event.data)
            content.wrong = content.wrong or cut(event)
        elif isinstance(event, HalfClosed):
            if event.direction is Direction.RECEIVED:
                # To have said nothing is something to see as well.
                self._content(event.direction, event.time)
            else:
                # Whoever has answered does not wait for more.
                yield from self._end(Direction.RECEIVED, event.time)
                self._late = "it came after the answer"
            yield from self._end(event.direction, event.time)
        elif isinstance(event, Closed):
            for direction in list(self._contents):
                wrong = "" if event.how is End.DONE else f"cut short: {event.reason or event.how}"
                yield from self._end(direction, event.time, wrong)

    def _content(self, direction: Direction, time: int) -> Item:
        content = self._contents.get(direction)
        if content is None:
            content = self._contents[direction] = Item(
                self._opened,
                time,
                time,
                Kind.CONTENT,
                direction,
                self._spool.data(),
                wrong=self._late,
            )
        return content

    def _end(self, direction: Direction, time: int, wrong: str = "") -> Iterator[Item]:
        content = self._contents.pop(direction, None)
        if content is not None:
            content.ended = time
            content.wrong = content.wrong or wrong
            yield content
