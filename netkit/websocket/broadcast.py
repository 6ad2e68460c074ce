"""
One message to many connections.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..wire.websocket.broadcast import PreparedMessage
from .connection import WebSocketConnection
from .protocol import WebSocketTransport


def broadcast(
    message: str | bytes | bytearray | memoryview,
    transports: Iterable[WebSocketTransport],
    *,
    dropSlow: bool = False,
) -> int:
    """
    Send a message to many connections. It is encoded and compressed once, or once for each size
    of window that was agreed on. Nothing waits for a peer that is slow to take it.

    @param message: a text message, or a binary one.
    @param transports: the connections, as their applications were given them.
    @param dropSlow: whether to leave out the connections whose peers have not taken what was sent
        before, so that no more of it piles up here for them.
    @raise TypeError: the message is neither text nor octets, or one of the transports is none of
        ours.
    @return: to how many it was sent: not to those that are closing, or left out.
    """
    prepared = PreparedMessage(message)
    count = 0
    for transport in transports:
        if not isinstance(transport, WebSocketConnection):
            raise TypeError(f"{transport!r} is no connection of ours")
        if transport.sendPrepared(prepared, dropSlow):
            count += 1
    return count
