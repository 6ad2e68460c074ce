"""
The rows of the inspector's list: HTTP exchanges, WebSockets, and connections of anything else.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..capture.views import Item, Kind
from ..wire.addresses import address_text
from ..wire.recording import Closed, Direction, End, Opened, Role

#: How many rows are kept at most.
MOST_ROWS = 50_000

#: How many octets of memory the messages of all WebSockets take at most.
MOST_MESSAGES = 32 * 2**20

#: How many of the first octets of a message are kept beside the ring.
BEGINNING = 1024

# About what a message takes in memory beside those.
_MESSAGE = 600

# How many places of rows that are gone are remembered, to say how many somebody missed.
_REMEMBERED = 200_000


def seconds(nanoseconds: int) -> float:
    """
    Make the seconds of the API of nanoseconds.
    """
    return nanoseconds / 10**9


@dataclass(slots=True)
class Span:
    """
    Where an HTTP message stands in what its side of the connection sent.

    @ivar start: its first octet.
    @ivar head: how many octets its head has.
    @ivar end: the octet behind it; L{None} while it is not whole.
    """

    direction: Direction
    start: int
    head: int
    end: int | None = None


@dataclass(slots=True)
class Message:
    """
    A message of a WebSocket, or a control frame.

    @ivar beginning: its first octets.
    """

    time: int
    direction: Direction | None
    kind: Kind
    opcode: str | None
    length: int
    beginning: bytes
    code: int | None
    reason: str | None
    wrong: str


@dataclass(slots=True)
class Row:
    """
    An HTTP exchange, a WebSocket, or a connection of anything else. Times are nanoseconds since
    the epoch.

    @ivar number: how many rows were made before it.
    @ivar sequence: its place among the changes of all rows.
    @ivar again: the row that it repeats.
    @ivar differences: in what its answer differs from that of the one that it repeats.
    @ivar kept: the last messages, of which there were C{firstKept} others before.
    """

    id: str
    number: int
    opened: Opened
    started: int
    sequence: int = 0
    type: str = "tcp"
    tls: str | None = None
    ended: int | None = None
    state: str = "open"
    method: str | None = None
    target: str | None = None
    version: str | None = None
    status: int | None = None
    reason: str | None = None
    mime: str | None = None
    fromClient: int = 0
    fromServer: int = 0
    requestEnded: int | None = None
    responseStarted: int | None = None
    messages: int = 0
    closeCode: int | None = None
    closeReason: str | None = None
    how: str | None = None
    wrong: str = ""
    notes: list[tuple[int, str]] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    startGone: bool = False
    again: str | None = None
    differences: list[str] | None = None
    request: Span | None = None
    response: Span | None = None
    interim: int | None = None
    # Of a WebSocket alone: a deque of nothing takes more memory than all the rest of a row.
    kept: deque[Message] | tuple[()] = ()
    firstKept: int = 0

    @property
    def connection(self) -> int:
        """
        The connection's number.
        """
        return self.opened.connection

    @property
    def duration(self) -> float | None:
        """
        How many seconds it took.
        """
        return None if self.ended is None else seconds(self.ended - self.started)

    def mark(self, mark: str) -> None:
        """
        Say what there is to be seen at a glance.
        """
        if mark not in self.marks:
            self.marks.append(mark)

    def fail(self, wrong: str) -> None:
        """
        Say that it is not whole, or what is wrong with it.
        """
        self.wrong = self.wrong or wrong
        self.mark("error")

    def close(self, closed: Closed) -> None:
        """
        Its connection is over.
        """
        self.how = closed.how.value
        if self.state == "open":
            self.ended = closed.time
            if closed.how is not End.DONE:
                self.mark("error")
            self.end()

    def end(self) -> None:
        """
        Nothing more of it comes.
        """
        self.state = "failed" if "error" in self.marks and self.status is None else "done"
        if self.wrong:
            self.state = "failed"

    def json(self) -> dict[str, Any]:
        """
        The row as the API has it.
        """
        opened = self.opened
        timings = None
        if self.type != "tcp" and self.requestEnded is not None:
            response = self.responseStarted
            timings = {
                "send": seconds(self.requestEnded - self.started),
                "wait": None if response is None else seconds(response - self.requestEnded),
                "receive": None
                if response is None or self.ended is None or self.type == "websocket"
                else seconds(self.ended - response),
            }
        return {
            "id": self.id,
            "number": self.number,
            "sequence": self.sequence,
            "connection": opened.connection,
            "type": self.type,
            "service": opened.service,
            "role": opened.role.value,
            "peer": address_text(opened.peer),
            "host": address_text(opened.host),
            "tls": self.tls,
            "started": seconds(self.started),
            "ended": None if self.ended is None else seconds(self.ended),
            "duration": self.duration,
            "state": self.state,
            "method": self.method,
            "target": self.target,
            "version": self.version,
            "status": self.status,
            "reason": self.reason,
            "mime": self.mime,
            "requestLength": self.fromClient,
            "responseLength": self.fromServer,
            "timings": timings,
            "messages": self.messages,
            "closeCode": self.closeCode,
            "closeReason": self.closeReason,
            "how": self.how,
            "wrong": self.wrong,
            "notes": len(self.notes),
            "marks": self.marks,
            "startGone": self.startGone,
            "again": self.again,
        }


def isFromClient(opened: Opened, direction: Direction | None) -> bool | None:
    """
    Whether what goes in a direction comes from the client; L{None} where there is no direction.
    """
    if direction is None:
        return None
    return (direction is Direction.RECEIVED) == (opened.role is Role.SERVER)


class Rows:
    """
    The rows that are kept, in the order in which they were made, and in that of their changes.

    @ivar sequence: how many changes there were.
    @ivar made: how many rows were made.
    @ivar cleared: how often all were given up.
    """

    def __init__(self) -> None:
        self.sequence = 0
        self.made = 0
        self.cleared = 0
        self._rows: OrderedDict[str, Row] = OrderedDict()
        self._changed: OrderedDict[str, Row] = OrderedDict()
        self._connections: dict[int, dict[str, Row]] = {}
        # The places of those that are gone, in order; and of how many that is not known any more.
        self._gone: list[int] = []
        self._forgotten = 0
        self._withMessages: deque[Row] = deque()
        self._messages = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def newestFirst(self) -> Iterator[Row]:
        """
        The rows, the last one that was made first.
        """
        return reversed(self._rows.values())

    def get(self, id: str) -> Row | None:
        """
        Find a row.
        """
        return self._rows.get(id)

    def ofConnection(self, connection: int) -> Iterable[Row]:
        """
        The rows of a connection.
        """
        return self._connections.get(connection, {}).values()

    def make(self, opened: Opened, part: int, started: int) -> Row:
        """
        Make a row.

        @param opened: its connection.
        @param part: how many rows of that there were before.
        @param started: when it began.
        """
        self.made += 1
        row = Row(f"{opened.connection}.{part}", self.made, opened, started)
        self.change(row)
        return row

    def change(self, row: Row) -> None:
        """
        Say that a row is not what it was.
        """
        self.sequence += 1
        row.sequence = self.sequence
        if row.id in self._changed:
            self._changed.move_to_end(row.id)
            return
        self._changed[row.id] = self._rows[row.id] = row
        self._connections.setdefault(row.connection, {})[row.id] = row
        while len(self._changed) > MOST_ROWS:
            _, old = self._changed.popitem(last=False)
            del self._rows[old.id]
            rest = self._connections[old.connection]
            del rest[old.id]
            if not rest:
                del self._connections[old.connection]
            self._gone.append(old.sequence)
            if len(self._gone) > _REMEMBERED:
                half = _REMEMBERED // 2
                self._forgotten += half
                del self._gone[:half]

    def addMessage(self, row: Row, item: Item) -> None:
        """
        Add a message to those of a WebSocket.
        """
        beginning = b"".join(item.content())
        if not isinstance(row.kept, deque):
            row.kept = deque()
        row.kept.append(
            Message(
                item.time,
                item.direction,
                item.kind,
                item.about.get("opcode"),
                0 if item.data is None else len(item.data),
                beginning,
                item.about.get("code"),
                item.about.get("reason"),
                item.wrong,
            )
        )
        row.messages += 1
        self._withMessages.append(row)
        self._messages += len(beginning) + _MESSAGE
        while self._messages > MOST_MESSAGES:
            oldest = self._withMessages.popleft()
            assert isinstance(oldest.kept, deque)
            message = oldest.kept.popleft()
            oldest.firstKept += 1
            self._messages -= len(message.beginning) + _MESSAGE

    def clear(self) -> None:
        """
        Give all rows up.
        """
        self.sequence += 1
        self.cleared = self.sequence
        self._rows.clear()
        self._changed.clear()
        self._connections.clear()
        for row in self._withMessages:
            row.firstKept += len(row.kept)
            row.kept = ()
        self._withMessages.clear()
        self._messages = 0

    def since(self, sequence: int) -> list[Row]:
        """
        The rows that changed after a change, the last one first.
        """
        found = []
        for row in reversed(self._changed.values()):
            if row.sequence <= sequence:
                break
            found.append(row)
        return found

    def goneSince(self, sequence: int) -> int:
        """
        How many rows made room that had changed after a change.
        """
        at = bisect_right(self._gone, sequence)
        return len(self._gone) - at + (self._forgotten if at == 0 and sequence == 0 else 0)
