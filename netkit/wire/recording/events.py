"""
The events of which a recording consists.

Each event names its connection by a number that is unique within the recording, and has the time
as nanoseconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, NamedTuple

from ..addresses import Address


class Role(StrEnum):
    """
    Which end of its connections the recorded program is.
    """

    SERVER = "server"
    CLIENT = "client"


class Direction(StrEnum):
    """
    Where octets went, as the recorded program sees it.
    """

    RECEIVED = "received"
    SENT = "sent"


class End(StrEnum):
    """
    How a connection ended.
    """

    #: Both sides said that they were done.
    DONE = "done"
    #: The peer reset it, or was lost.
    RESET = "reset"
    #: The recorded program gave it up.
    ABORTED = "aborted"
    #: The recorded program gave it up because nothing came for too long.
    TIMED_OUT = "timed out"


@dataclass(frozen=True, slots=True)
class Opened:
    """
    A connection was made.

    @ivar service: the name of the service, or of what else uses the connection.
    @ivar peer: the other end's address.
    @ivar host: our end's address.
    @ivar continued: whether the connection was open before: in an earlier file, most likely.
    """

    connection: int
    time: int
    role: Role
    service: str
    peer: Address
    host: Address
    continued: bool = False


@dataclass(frozen=True, slots=True)
class Secured:
    """
    The TLS handshake was completed.

    @ivar version: such as C{TLSv1.3}.
    @ivar alpn: the protocol agreed on (RFC 7301), empty for none.
    @ivar sni: the server name that the client asked for (RFC 6066 section 3), empty for none.
    """

    connection: int
    time: int
    version: str
    alpn: str = ""
    sni: str = ""


class Octets(NamedTuple):
    """
    Octets arrived or were sent.

    @ivar data: the octets, or the first of them where the recording keeps only so many.
    @ivar length: how many there were.
    """

    connection: int
    time: int
    direction: Direction
    data: bytes
    length: int


@dataclass(frozen=True, slots=True)
class HalfClosed:
    """
    One side said that it sends no more; C{RECEIVED} where that was the peer.
    """

    connection: int
    time: int
    direction: Direction


@dataclass(frozen=True, slots=True)
class Closed:
    """
    The connection is over.
    """

    connection: int
    time: int
    how: End
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """
    Something that a service or a protocol has to say about the connection at this point.
    """

    connection: int
    time: int
    text: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """
    Octets of a connection that passed and were not recorded, for lack of room.

    @ivar received: how many octets of what arrived.
    @ivar sent: how many octets of what was sent.
    """

    connection: int
    time: int
    received: int
    sent: int


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """
    Whole connections passed of which nothing is recorded, for lack of room: of no connection.

    @ivar connections: how many.
    @ivar received: how many octets arrived on them.
    @ivar sent: how many octets were sent.
    """

    connection: ClassVar[int] = 0

    time: int
    connections: int
    received: int
    sent: int


#: What happens to a recorded connection.
Event = Opened | Secured | Octets | HalfClosed | Closed | Note | Dropped | Unrecorded

#: L{Octets} as a plain tuple, which takes a fraction of the time to make: there is one for each
#: piece that is received or sent.
PlainOctets = tuple[int, int, Direction, bytes, int]
