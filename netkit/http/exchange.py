"""
What became of a request, for whoever counts or logs them.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress

from ..wire.http import RequestHead


class Exchange:
    """
    A request and the response to it, when that is over.

    @ivar head: the head of the request; C{None} where what came was none.
    @ivar status: the status of the response; 499 where the client left before, as nginx has it.
    @ivar octets: how many octets of content were sent.
    @ivar seconds: how long it took, from the head of the request to the last octet of the response
        being written.
    @ivar peer: the client's address.
    @ivar transport: the transport of the connection.
    """

    __slots__ = ("head", "octets", "peer", "seconds", "status", "transport")

    def __init__(
        self,
        head: RequestHead | None,
        status: int,
        octets: int,
        seconds: float,
        peer: IAddress,
        transport: Any,
    ) -> None:
        self.head = head
        self.status = status
        self.octets = octets
        self.seconds = seconds
        self.peer = peer
        self.transport = transport
