"""
What views make of events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import chain
from typing import Any

from ...wire.recording import Direction, Opened
from .spool import Data


class Kind(StrEnum):
    """
    What an item is.
    """

    #: A connection was made, and is over.
    OPENED = "opened"
    CLOSED = "closed"
    #: A piece as it came.
    OCTETS = "octets"
    #: All that one side sent.
    CONTENT = "content"
    #: HTTP messages.
    REQUEST = "request"
    RESPONSE = "response"
    #: HTTP messages that made a WebSocket of the connection, or were to.
    HANDSHAKE = "handshake"
    #: WebSocket messages and control frames.
    MESSAGE = "message"
    PING = "ping"
    PONG = "pong"
    CLOSE = "close"
    #: What the service has to say.
    NOTE = "note"


class Item:
    """
    Something to look at.

    @ivar connection: the connection that it happened on.
    @ivar time: when it began, in nanoseconds since the epoch.
    @ivar ended: when it was whole.
    @ivar direction: which way it went; L{None} where it went none.
    @ivar head: the octets of an HTTP message's head, as they were on the wire.
    @ivar data: its octets; of an HTTP message its content, without the framing of chunks; of a
        WebSocket's message what is left when it is unmasked and inflated. L{None} where it can
        have none.
    @ivar framed: the content with the framing of its chunks and with trailers, as it was on the
        wire, where that is not what C{data} is.
    @ivar wrong: why it is not whole, or what is wrong with it; empty where nothing is.
    @ivar offset: of an HTTP message, at which octet of what its side sent it begins.
    @ivar understood: of an HTTP message that is wrong, how many of its octets were understood.
    """

    __slots__ = (
        "_about",
        "connection",
        "data",
        "direction",
        "ended",
        "framed",
        "head",
        "kind",
        "offset",
        "time",
        "understood",
        "wrong",
    )

    def __init__(
        self,
        connection: Opened,
        time: int,
        ended: int,
        kind: Kind,
        direction: Direction | None = None,
        data: Data | None = None,
        head: bytes = b"",
        framed: Data | None = None,
        about: dict[str, Any] | Callable[[], dict[str, Any]] | None = None,
        wrong: str = "",
        offset: int = 0,
    ) -> None:
        """
        @param about: what else there is to know, or what makes that of it; nothing by default.
        """
        self.connection = connection
        self.time = time
        self.ended = ended
        self.kind = kind
        self.direction = direction
        self.data = data
        self.head = head
        self.framed = framed
        self.wrong = wrong
        self.offset = offset
        self.understood = 0
        self._about = about

    @property
    def about(self) -> dict[str, Any]:
        """
        What else there is to know, by name.
        """
        about = self._about
        if not isinstance(about, dict):
            # Of most messages nobody asks that.
            about = self._about = {} if about is None else about()
        return about

    @property
    def length(self) -> int:
        """
        How many octets it has.
        """
        body = self.data if self.framed is None else self.framed
        return len(self.head) + (0 if body is None else len(body))

    @property
    def lost(self) -> int:
        """
        How many octets there was no room to keep for.
        """
        return sum(each.lost for each in (self.data, self.framed) if each is not None)

    def octets(self) -> Iterator[bytes]:
        """
        All its octets, an HTTP message's as they were on the wire, in pieces.
        """
        head = (self.head,) if self.head else ()
        body = self.data if self.framed is None else self.framed
        return iter(head) if body is None else chain(head, body.pieces())

    def content(self) -> Iterator[bytes]:
        """
        Its octets without an HTTP message's head and framing, in pieces.
        """
        if self.data is not None:
            yield from self.data.pieces()

    def close(self) -> None:
        """
        Give the octets up.
        """
        if self.data is not None:
            self.data.close()
        if self.framed is not None:
            self.framed.close()
