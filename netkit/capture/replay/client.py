"""
What a client said, to be said again.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...wire.http import Fields
from ...wire.http.fields import encode_fields
from ...wire.websocket.connection import Connection
from ...wire.websocket.deflate import DeflateSettings
from ...wire.websocket.extensions import Extension, parse_extensions
from ...wire.websocket.handshake import ClientHandshake
from ..views import Item, Kind
from .fields import byName, pairs

# Fields of a handshake that are made anew.
_OWN = {"host", "upgrade", "connection"}


class Client:
    """
    Makes octets of what a client said: those that were recorded, but for a WebSocket, which has a
    handshake and masks of its own.
    """

    def __init__(self) -> None:
        self._handshake: ClientHandshake | None = None
        self._webSocket: Connection | None = None

    def octets(self, item: Item) -> Iterator[bytes]:
        """
        Make the octets of what the client said, in pieces.
        """
        if item.kind is Kind.HANDSHAKE:
            self._handshake = _handshake(item)
            yield self._handshake.request
        elif self._webSocket is None:
            yield from item.octets()
        else:
            yield self._frames(self._webSocket, item)

    def agree(self, item: Item) -> None:
        """
        Read the response that accepts the handshake.

        @raise WebSocketProtocolError: it does not.
        """
        if self._handshake is None:
            return
        octets = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in pairs(item)]
        agreed = self._handshake.read_response(Fields(encode_fields(octets) + b"\r\n"))
        self._webSocket = Connection(client=True, max_message_size=0, max_fragments=0)
        self._webSocket.open(deflate=agreed.deflate)

    def pong(self, payload: bytes) -> bytes:
        """
        Make the octets that answer a ping of a WebSocket.
        """
        return b"" if self._webSocket is None else self._webSocket.answer_ping(payload)

    def _frames(self, webSocket: Connection, item: Item) -> bytes:
        data = b"".join(item.content())
        if item.kind is Kind.MESSAGE:
            if item.about["opcode"] == "text":
                return webSocket.send_text(data.decode())
            return webSocket.send_bytes(data)
        if item.kind is Kind.PING:
            return webSocket.send_ping(data)
        if item.kind is Kind.CLOSE:
            return webSocket.send_close(item.about["code"], item.about["reason"])
        return b""


def _handshake(item: Item) -> ClientHandshake:
    """
    The same request with a key of its own.
    """
    own = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in pairs(item)
        if name.lower() not in _OWN and not name.lower().startswith("sec-websocket-")
    ]
    values = byName(item)
    names = ", ".join(values.get("sec-websocket-protocol", []))
    offered = [v.encode("latin-1") for v in values.get("sec-websocket-extensions", [])]
    return ClientHandshake(
        (values.get("host") or ["localhost"])[0].encode("latin-1"),
        item.about["target"].encode("latin-1"),
        subprotocols=[name.strip() for name in names.split(",") if name.strip()],
        settings=_offered(offered),
        fields=own,
    )


def _offered(values: list[bytes]) -> DeflateSettings | None:
    try:
        offers: list[Extension] = parse_extensions(values)
    except ValueError:
        return None
    for offer in offers:
        if offer.name == "permessage-deflate":
            parameters = dict(offer.parameters)
            bits = parameters.get("server_max_window_bits") or "15"
            return DeflateSettings(
                window_bits=int(bits),
                context_takeover="server_no_context_takeover" not in parameters,
            )
    return None
