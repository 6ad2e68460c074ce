"""
What C{native.c} beside this does, where it was not built.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Protocol

#: How many octets of content one packet holds at most: an IPv4 packet has up to 65,535.
MAX_CONTENT = 65535 - 40

#: After how many octets of one direction the other acknowledges them: long before numbers wrap.
ACKNOWLEDGED_AFTER = 2**20

# Not 0: a packet that carries a note has a number of two before the next one.
_FIRST_NUMBER = 1000

# Content of so many octets is not copied to be in one piece with what is around it.
_MUCH = 2**12


class Sender:
    """
    One direction of a connection, as far as it goes on with each packet.

    @ivar next: the sequence number of the next octet.
    @ivar unacknowledged: how many octets, at least, the other direction has not acknowledged.
    """

    def __init__(self, interface: int, direction: int, addresses: bytes, /) -> None:
        """
        @param interface: the number of the packets' interface.
        @param direction: the value of the option that tells their direction.
        @param addresses: the sender's IP address and the receiver's, then their ports, as they are
            in a packet.
        """
        self.next = _FIRST_NUMBER
        self.unacknowledged = 0


class _Flow(Protocol):
    """
    A sender that makes packets.
    """

    unacknowledged: int

    def content(
        self, time: int, data: bytes, length: int
    ) -> tuple[bytes, bytes, bytes, bytes]: ...


def contents(
    events: list[Any],
    at: int,
    connections: Mapping[int, tuple[_Flow, _Flow]],
    received: object,
    made: list[Any],
    /,
) -> int:
    """
    Make the packets of octets, up to what is not so plain: of a connection that is not known, more
    than a packet holds or than goes without an acknowledgment, or no octets at all.

    @param events: C{PlainOctets}, and other events.
    @param at: the first of them to look at.
    @param connections: by its number each one's packets: of what is received, and of what is sent.
    @param received: the direction of what is received.
    @param made: what is to be appended to the file, in pieces; there are more of them afterwards.
    @return: which of the events is the first that is left, or how many there are.
    """
    pieces: list[bytes] = []
    for event in islice(events, at, None):
        if not isinstance(event, tuple):
            break
        number, time, direction, data, length = event
        connection = connections.get(number)
        if connection is None or length > MAX_CONTENT:
            break
        flow = connection[direction is not received]
        if flow.unacknowledged + length > ACKNOWLEDGED_AFTER:
            break
        if length < _MUCH:
            pieces += flow.content(time, data, length)
        else:
            if pieces:
                made.append(b"".join(pieces))
                pieces = []
            made += flow.content(time, data, length)
        at += 1
    if pieces:
        made.append(b"".join(pieces))
    return at
