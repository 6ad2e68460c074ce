"""
What clients and servers said to each other, as it was recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ...wire.recording import Closed, Direction, End, Event, HalfClosed, Opened, Role
from ..views import Item, Kind, Views

#: What is said, as opposed to what there is to say about it.
SAID = {
    Kind.OCTETS,
    Kind.REQUEST,
    Kind.RESPONSE,
    Kind.HANDSHAKE,
    Kind.MESSAGE,
    Kind.PING,
    Kind.CLOSE,
}


@dataclass(slots=True)
class Step:
    """
    Something that the client does.

    @ivar time: when it did.
    @ivar item: what it sent; L{None} for the end of what it sends.
    @ivar after: how much the server had said by then.
    """

    time: int
    item: Item | None
    after: int


@dataclass(slots=True)
class Conversation:
    """
    A recorded connection, as its client and its server saw it.

    @ivar steps: what the client did.
    @ivar answers: what the server said.
    @ivar said: how much that is: octets, where it is neither HTTP nor WebSocket; messages else.
    @ivar end: how it ended; L{None} where that is not recorded.
    """

    opened: Opened
    steps: list[Step] = field(default_factory=list)
    answers: list[Item] = field(default_factory=list)
    said: int = 0
    closedAt: int = 0
    end: End | None = None


def _isFromClient(opened: Opened, direction: Direction | None) -> bool:
    return (direction is Direction.RECEIVED) == (opened.role is Role.SERVER)


def weight(item: Item) -> int:
    """
    Tell how much an item is of what was said.
    """
    return item.length if item.kind is Kind.OCTETS else 1


def conversations(events: Iterable[Event]) -> list[Conversation]:
    """
    Read conversations from a recording.
    """
    views = Views(contents=False)
    found: dict[int, Conversation] = {}
    for event in events:
        for item in views.feed([event]):
            number = item.connection.connection
            if item.kind is Kind.OPENED:
                found[number] = Conversation(item.connection)
            elif item.kind in SAID:
                conversation = found[number]
                if _isFromClient(item.connection, item.direction):
                    conversation.steps.append(Step(item.time, item, conversation.said))
                else:
                    conversation.answers.append(item)
                    conversation.said += weight(item)
        known = found.get(event.connection)
        if known is None:
            continue
        if isinstance(event, HalfClosed) and _isFromClient(known.opened, event.direction):
            known.steps.append(Step(event.time, None, known.said))
        elif isinstance(event, Closed):
            known.end = event.how
            known.closedAt = event.time
    return list(found.values())
