"""
The request that asks a server for a WebSocket.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IAddress

from ..wire.http.head import RequestHead
from ..wire.websocket.handshake import Offer

if TYPE_CHECKING:
    from twisted.web.http_headers import Headers


class WebSocketRequest:
    """
    A request for a WebSocket. Where L{twisted.web.server.Request} has the same, it has the same
    name.

    @ivar uri: the request target: path and query.
    @ivar path: the path.
    @ivar fields: the header fields, in their order and as they were sent.
    @ivar subprotocols: what the client offers, in its order of preference.
    """

    method = b"GET"

    def __init__(self, head: RequestHead, offer: Offer, peer: IAddress) -> None:
        self.uri = head.target
        self.path = head.target.partition(b"?")[0]
        self.fields = head.fields.pairs
        self.subprotocols = offer.subprotocols
        self._peer = peer

    def getClientAddress(self) -> IAddress:
        """
        The client's address.
        """
        return self._peer

    def getHeader(self, name: bytes | str) -> bytes | None:
        """
        The value of the last header field of a name.

        @param name: the name, in any case.
        """
        wanted = (name.encode() if isinstance(name, str) else name).lower()
        found = [value for key, value in self.fields if key.lower() == wanted]
        return found[-1] if found else None

    @cached_property
    def requestHeaders(self) -> Headers:
        """
        The header fields.
        """
        from twisted.web.http_headers import Headers

        headers = Headers()
        for name, value in self.fields:
            headers.addRawHeader(name, value)
        return headers
