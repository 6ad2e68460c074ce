"""
What became of a WebSocket, for whoever counts or logs them.
"""

from __future__ import annotations

from typing import Any

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
    @ivar ended: when it was over, by the clock of the factory.
    @ivar transport: the transport of the connection.
    """

    __slots__ = (
        "code",
        "ended",
        "head",
        "messagesReceived",
        "messagesSent",
        "octets",
        "seconds",
        "status",
        "transport",
    )

    def __init__(
        self,
        head: RequestHead | None,
        status: int,
        transport: Any,
        *,
        ended: float,
        code: int | None = None,
        messagesReceived: int = 0,
        messagesSent: int = 0,
        octets: int = 0,
        seconds: float = 0.0,
    ) -> None:
        self.head = head
        self.status = status
        self.transport = transport
        self.ended = ended
        self.code = code
        self.messagesReceived = messagesReceived
        self.messagesSent = messagesSent
        self.octets = octets
        self.seconds = seconds
