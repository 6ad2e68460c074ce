"""
Tests for L{netkit.websocket.broadcast} and L{netkit.wire.websocket.broadcast}.
"""

from __future__ import annotations

from array import array
from typing import Any
from unittest.mock import patch

import pytest

from netkit.websocket import NotConnected, State, broadcast
from netkit.wire.errors import LocalProtocolError
from netkit.wire.websocket import broadcast as wire
from netkit.wire.websocket.broadcast import PreparedMessage
from netkit.wire.websocket.codec import serialize_frame
from netkit.wire.websocket.connection import Connection
from netkit.wire.websocket.deflate import PerMessageDeflate

from ..narrow import present
from .helpers import Server


def test_to_all_that_are_open() -> None:
    servers = [Server().open() for _ in range(4)]
    transports = [server.app.transport for server in servers]
    transports[1].loseConnection()
    servers[1].sent()
    present(servers[2].transport.producer).pauseProducing()
    assert broadcast("news", transports) == 3
    assert broadcast(b"more", transports, dropSlow=True) == 2
    assert [server.sent() for server in servers] == [
        ["news", b"more"],
        [],
        ["news"],
        ["news", b"more"],
    ]


def pair(bits: int | None) -> tuple[Connection, Connection]:
    """
    A server's and a client's side.
    """

    def deflate() -> PerMessageDeflate | None:
        return None if bits is None else PerMessageDeflate(out_window_bits=bits)

    return Connection(client=False, deflate=deflate()), Connection(client=True, deflate=deflate())


def test_serialised_and_compressed_once() -> None:
    pairs = [pair(bits) for bits in (None, None, 12, 12, 15)]
    text = "a longer text that repeats, repeats and repeats itself " * 10
    with patch.object(wire, "serialize_frame", wraps=serialize_frame) as serialized:
        for _ in range(2):
            prepared = PreparedMessage(text)
            for server, client in pairs:
                # What each compressor knew from its own messages does not get in the way.
                own = server.send_text(text[:100])
                octets = own + server.send_prepared(prepared) + server.send_text(text[50:])
                assert list(client.receive_data(octets)) == [text[:100], text, text[50:]]
        assert serialized.call_count == 2 * 3


def test_from_clients_each_masked_by_a_key_of_its_own() -> None:
    prepared = PreparedMessage(b"data")
    frames = set()
    for _ in range(3):
        server, client = pair(12)
        frame = client.send_prepared(prepared)
        frames.add(frame)
        assert list(server.receive_data(frame)) == [b"data"]
    assert len(frames) == 3


def test_misuse() -> None:
    server, _ = pair(None)
    server.send_piece("x", False)
    with pytest.raises(LocalProtocolError, match="in pieces"):
        server.send_prepared(PreparedMessage("x"))
    with pytest.raises(LocalProtocolError, match="surrogate"):
        PreparedMessage("\ud800")


@pytest.mark.parametrize("message", [1, True, [1, 2, 3], None, array("B", b"data")])
def test_what_is_no_message(message: Any) -> None:
    server, _ = pair(None)
    with pytest.raises(TypeError, match="a message is text or octets, not"):
        broadcast(message, [])
    with pytest.raises(TypeError, match="a message is text or octets, not"):
        server.send_piece(message, False)
    # The message has not begun.
    server.send_prepared(PreparedMessage(memoryview(b"data")))


def test_what_is_no_connection() -> None:
    transports: Any = ["a transport"]
    with pytest.raises(TypeError, match="'a transport' is no WebSocket: it has no "):
        broadcast("data", transports)


class Foreign:
    """
    A connection of somebody else's, with the methods of ours.
    """

    bufferedAmount = 0

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.sendBytesMessage = self.sent.append

    def sendTextMessage(self, text: str) -> None:
        """
        Refuse what is not to be sent.
        """
        raise NotConnected("after the Close frame", State.CLOSING)


def test_whatever_has_the_interface() -> None:
    foreign: Any = Foreign()
    assert broadcast(b"data", [foreign]) == 1
    assert broadcast("text", [foreign]) == 0
    foreign.bufferedAmount = 1
    assert broadcast(b"more", [foreign], dropSlow=True) == 0
    assert foreign.sent == [b"data"]
