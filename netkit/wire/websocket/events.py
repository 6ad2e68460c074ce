"""
What a WebSocket connection received.

A whole text message is a C{str}, a whole binary message C{bytes} or C{bytearray}: they need no
wrapping to be told apart. The rest is here.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from .codes import CloseCode


class Piece(NamedTuple):
    """
    A part of a message, as it arrived; in place of whole messages for those who ask for it.

    @ivar data: C{str} for a part of a text message, C{bytes} of a binary one.
    @ivar finished: whether the message ends with it.
    """

    data: str | bytes | bytearray
    finished: bool


class Ping(NamedTuple):
    """
    A Ping frame (RFC 6455 section 5.5.2), to be answered with a Pong of the same payload.
    """

    payload: bytes


class Pong(NamedTuple):
    """
    A Pong frame (RFC 6455 section 5.5.3).
    """

    payload: bytes


class Close(NamedTuple):
    """
    A Close frame (RFC 6455 section 5.5.1): the last thing that its sender sends.

    @ivar code: why; 1005 when the frame carried none.
    @ivar reason: why, in words for whoever debugs it.
    """

    code: int = CloseCode.NO_STATUS_RECEIVED
    reason: str = ""


Event: TypeAlias = str | bytes | bytearray | Piece | Ping | Pong | Close
