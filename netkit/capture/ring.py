"""
The last of what was recorded, in memory.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator

from zope.interface import implementer

from ..wire.recording import Closed, Direction, Event, Octets, Opened, Secured
from .recorder import ISink

#: How many octets of memory a ring has, where nothing else is said.
SIZE = 64 * 2**20


class KeptConnection:
    """
    What a ring has of a connection.

    @ivar opened: how it began, also where that is the only thing left.
    @ivar secured: what TLS it speaks, if it does.
    @ivar closed: how it ended, once it has.
    @ivar events: what is kept, in the order in which it happened.
    @ivar lengths: how many octets went each way in all.
    @ivar evicted: how many events of it are gone.
    @ivar gone: how many octets of each direction are.
    """

    __slots__ = ("closed", "events", "evicted", "gone", "lengths", "opened", "secured")

    def __init__(self, opened: Opened) -> None:
        """
        @param opened: how it began.
        """
        self.opened = opened
        self.secured: Secured | None = None
        self.closed: Closed | None = None
        self.events: deque[Event] = deque()
        self.lengths: Counter[Direction] = Counter()
        self.evicted = 0
        self.gone: Counter[Direction] = Counter()


class _Batch:
    """
    Events that came together.

    @ivar first: how many events had come before.
    @ivar following: what came after it, once something has.
    """

    __slots__ = ("events", "first", "following", "size")

    def __init__(self, events: list[Event], size: int, first: int) -> None:
        self.events = events
        self.size = size
        self.first = first
        self.following: _Batch | None = None


@implementer(ISink)
class Ring:
    """
    Keeps the last events that were recorded, within a bound on memory: the oldest ones make room.
    It never has a connection wait.

    @ivar limit: how many octets of memory there are.
    @ivar used: about how many are in use.
    @ivar taken: how many events ever came.
    @ivar octets: how many octets went over the connections.
    @ivar evicted: how many events made room.
    @ivar evictedOctets: how many octets were in them.
    @ivar evictedConnections: of how many connections nothing is left.
    @ivar connections: those of which something is kept, and those that are open, by number.
    @ivar open: how many are open.
    """

    full = False

    def __init__(self, limit: int = SIZE) -> None:
        """
        @param limit: how many octets of memory there are.
        """
        self.limit = limit
        self.used = 0
        self.taken = 0
        self.octets = 0
        self.evicted = 0
        self.evictedOctets = 0
        self.evictedConnections = 0
        self.connections: dict[int, KeptConnection] = {}
        self.open = 0
        self._oldest = self._newest = _Batch([], 0, 0)
        self._watchers: list[Callable[[], None]] = []

    def onDrain(self, call: Callable[[], None]) -> None:
        """
        Nobody ever waits for room.
        """

    def onEvents(self, call: Callable[[], None]) -> None:
        """
        Have something called whenever events have come.
        """
        self._watchers.append(call)

    def take(self, events: list[Event], size: int) -> None:
        """
        Take events.
        """
        connections = self.connections
        octets = 0
        for event in events:
            kept = connections.get(event.connection)
            if type(event) is Octets:
                if kept is not None:
                    kept.events.append(event)
                    kept.lengths[event.direction] += event.length
                octets += event.length
                continue
            if isinstance(event, Opened):
                if kept is None:
                    self.open += 1
                kept = connections[event.connection] = KeptConnection(event)
            elif kept is None:
                continue
            elif isinstance(event, Closed):
                kept.closed = event
                self.open -= 1
            elif isinstance(event, Secured):
                kept.secured = event
            kept.events.append(event)
        batch = _Batch(events, size, self.taken)
        self._newest.following = batch
        self._newest = batch
        self.taken += len(events)
        self.octets += octets
        self.used += size
        while self.used > self.limit:
            self._evict()
        for call in self._watchers:
            call()

    def clear(self) -> None:
        """
        Give up all that is kept; of connections that are open it stays known that they are.
        """
        while self._oldest.following is not None:
            self._evict()

    def cursor(self) -> Cursor:
        """
        Make what goes through the events, from the oldest one that is kept on.
        """
        return Cursor(self)

    @property
    def oldest(self) -> _Batch:
        """
        The batch, empty by now, behind which all that is kept has come.
        """
        return self._oldest

    def _evict(self) -> None:
        before, batch = self._oldest, self._oldest.following
        assert batch is not None
        # Who still looks at it goes on at the oldest, and does not keep what came in between.
        before.following = None
        self._oldest = batch
        connections = self.connections
        for event in batch.events:
            kept = connections.get(event.connection)
            if type(event) is Octets:
                self.evictedOctets += event.length
                if kept is not None:
                    kept.gone[event.direction] += event.length
            if kept is None:
                continue
            kept.events.popleft()
            kept.evicted += 1
            if not kept.events and kept.closed is not None:
                del connections[event.connection]
                self.evictedConnections += 1
        self.evicted += len(batch.events)
        self.used -= batch.size
        # Who still looks at it need not keep its octets in memory.
        batch.events = []


class Cursor:
    """
    A place among the events of a ring.

    @ivar position: how many events it has passed, or were gone before it came to them.
    @ivar skipped: how many of them were gone.
    """

    def __init__(self, ring: Ring) -> None:
        """
        @param ring: whose events they are.
        """
        self._ring = ring
        self._batch = ring.oldest
        self._index = 0
        self.position = ring.evicted
        self.skipped = 0

    @property
    def behind(self) -> int:
        """
        How many events it has not come to.
        """
        return self._ring.taken - self.position

    def read(self) -> Iterator[Event]:
        """
        Go on. Whoever stops taking events goes on behind the last one the next time.
        """
        ring = self._ring
        while True:
            if self.position < ring.evicted:
                self.skipped += ring.evicted - self.position
                self.position = ring.evicted
                self._batch, self._index = ring.oldest, 0
            events = self._batch.events
            if self._index < len(events):
                self._index += 1
                self.position += 1
                yield events[self._index - 1]
            elif self._batch.following is not None:
                self._batch, self._index = self._batch.following, 0
            else:
                return
