"""
What is passed by with a look, in Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ....wire.recording import Direction

# So many octets a request has that passes: longer ones are seldom.
_SHORT = 2**13


class Lane:
    """
    Where a connection's octets pass, for as long as its client sends nothing but GETs.

    @ivar open: whether any pass.
    @ivar waiting: how many requests have passed, and their answers have not.
    @ivar octets: how many octets the client sent that have passed.
    @ivar answer: the head of an answer that passes, and how many octets the answer has with its
        content; C{None} where none does.
    """

    __slots__ = (
        "_isLoneGet",
        "_most",
        "_received",
        "_taken",
        "answer",
        "octets",
        "open",
        "waiting",
    )

    def __init__(
        self,
        received: Direction,
        isLoneGet: Callable[[bytes], bool],
        taken: list[bytes],
        most: int,
        /,
    ) -> None:
        """
        @param received: where octets go that the client sends.
        @param isLoneGet: tells whether octets are a GET and nothing else.
        @param taken: where the requests are put that pass.
        @param most: how many requests may wait to be answered.
        """
        self._received = received
        self._isLoneGet = isLoneGet
        self._taken = taken
        self._most = most
        self.open = True
        self.waiting = 0
        self.octets = 0
        self.answer: tuple[bytes, int] | None = None


def passes(lanes: dict[int, Lane], event: Any, /) -> bool:
    """
    Have an event pass, if it can.

    @param lanes: those that there are, by the numbers of the connections.
    @param event: anything that is recorded: only L{PlainOctets} pass.
    @return: whether it did; if not, it is to be looked at.
    """
    if not isinstance(event, tuple):
        return False
    connection, _, direction, data, length = event
    lane = lanes.get(connection)
    if lane is None or not lane.open or len(data) != length:
        return False
    if direction is lane._received:
        if length >= _SHORT or lane.waiting >= lane._most or not lane._isLoneGet(data):
            return False
        lane._taken.append(data)
        lane.waiting += 1
        lane.octets += length
        return True
    if not lane.waiting or lane.answer is None:
        return False
    head, whole = lane.answer
    if length != whole or not data.startswith(head):
        return False
    lane.waiting -= 1
    return True
