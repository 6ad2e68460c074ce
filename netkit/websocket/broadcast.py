"""
One message to many connections.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..wire.websocket.broadcast import PreparedMessage
from ..wire.websocket.lifecycle import NotConnected
from .awaitable import WebSocket
from .connection import WebSocketConnection
from .protocol import WebSocketTransport

# What can be sent a message that is prepared.
_OURS = (WebSocketConnection, WebSocket)


def broadcast(
    message: str | bytes | bytearray | memoryview,
    transports: Iterable[WebSocketTransport | WebSocket],
    *,
    dropSlow: bool = False,
) -> int:
    """
    Send a message to many connections. It is encoded and compressed once, or once for each size
    of window that was agreed on. Nothing waits for a peer that is slow to take it.

    @param message: a text message, or a binary one.
    @param transports: the connections, as their applications were given them. One of somebody
        else's that has their methods is sent the message by those.
    @param dropSlow: whether to leave out the connections whose peers have not taken what was sent
        before, so that no more of it piles up here for them.
    @raise TypeError: the message is neither text nor octets, or one of the transports has no
        C{sendTextMessage}.
    @return: to how many it was sent: not to those that are closing, or left out.
    """
    prepared = PreparedMessage(message)
    count = 0
    for transport in transports:
        if isinstance(transport, _OURS):
            count += transport.sendPrepared(prepared, dropSlow)
        elif not callable(getattr(transport, "sendTextMessage", None)):
            raise TypeError(f"{transport!r} is no WebSocket: it has no sendTextMessage")
        elif not (dropSlow and transport.bufferedAmount):
            count += _send(message, transport)
    return count


def _send(message: str | bytes | bytearray | memoryview, transport: Any) -> bool:
    try:
        if isinstance(message, str):
            transport.sendTextMessage(message)
        else:
            transport.sendBytesMessage(message)
    except NotConnected:
        return False
    return True
