"""
What became of a WebSocket, for whoever counts or logs them.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress

from ..wire.http.head import RequestHead


class Conversation:
    """
    A connection that was, or was to be, a WebSocket, when that is over.

    @ivar head: the head of the opening handshake; C{None} where what came was none.
    @ivar status: the status it was answered with: 101, or that of a refusal.
    @ivar code: the close code, 1006 where the connection was lost without one; C{None} after a
        refusal.
    @ivar messagesReceived: how many messages arrived.
    @ivar messagesSent: how many were sent.
    @ivar octets: how many octets of content a refusal had; 0 otherwise.
    @ivar seconds: how long the WebSocket was open.
    @ivar peer: the client's address.
    @ivar transport: the transport of the connection.
    """

    __slots__ = (
        *("code", "head", "messagesReceived", "messagesSent", "octets", "peer", "seconds"),
        *("status", "transport"),
    )

    def __init__(
        self,
        head: RequestHead | None,
        status: int,
        transport: Any,
        *,
        code: int | None = None,
        messagesReceived: int = 0,
        messagesSent: int = 0,
        octets: int = 0,
        seconds: float = 0.0,
    ) -> None:
        self.head = head
        self.status = status
        self.peer: IAddress = transport.getPeer()
        self.transport = transport
        self.code = code
        self.messagesReceived = messagesReceived
        self.messagesSent = messagesSent
        self.octets = octets
        self.seconds = seconds
