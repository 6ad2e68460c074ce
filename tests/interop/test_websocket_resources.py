"""
What the websocket service costs, whatever its peers do: measured on the real process.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from contextlib import suppress

import psutil
import pytest

from netkit.wire.websocket.codec import serialize_frame
from netkit.wire.websocket.codes import FIN, RSV1, Opcode
from netkit.wire.websocket.connection import Connection
from netkit.wire.websocket.deflate import PerMessageDeflate
from netkit.wire.websocket.events import Close
from tests.interop.peers import PATIENCE, Daemon

KIB, MIB = 2**10, 2**20
KEY = b"\x01\x02\x03\x04"
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture(scope="module")
def websocket(serve: Callable[..., Daemon]) -> Daemon:
    """
    The service under C{twistd}.
    """
    return serve("netkit-websocket", "--format", "none")


def opened(daemon: Daemon) -> socket.socket:
    """
    An open connection to the service.
    """
    port = daemon.address("tcp").port
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
    connection.sendall(HANDSHAKE)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += connection.recv(KIB)
    assert b"permessage-deflate" in answer
    return connection


def echoes(connection: socket.socket) -> bool:
    """
    Whether a message comes back.
    """
    client = Connection(client=True, deflate=PerMessageDeflate())
    connection.sendall(client.send_text("hello"))
    return list(client.receive_data(connection.recv(KIB))) == ["hello"]


def size(daemon: Daemon) -> int:
    """
    The memory that the service has.
    """
    return int(psutil.Process(daemon.pid).memory_info().rss)


@pytest.mark.parametrize(
    "frame",
    [
        serialize_frame(FIN | Opcode.TEXT, b"a", KEY),
        serialize_frame(FIN | Opcode.BINARY, random.Random(1).randbytes(16 * KIB), KEY),
        serialize_frame(FIN | Opcode.PING, bytes(125), KEY),
    ],
    ids=["short", "long", "ping"],
)
def test_a_peer_that_does_not_read(websocket: Daemon, frame: bytes) -> None:
    """
    It is not read from, once its answers do not get away.
    """
    with opened(websocket) as warm:
        assert echoes(warm)
    before = size(websocket)
    with opened(websocket) as connection:
        data = memoryview(frame * (MIB // len(frame)))
        connection.settimeout(2.0)
        rest, sent = data, 0
        # It is full when nothing moves for so long.
        with suppress(TimeoutError):
            while sent < 256 * MIB:
                count = connection.send(rest)
                sent += count
                rest = rest[count:] or data
        assert sent < 256 * MIB
        assert size(websocket) - before < 8 * MIB
        with opened(websocket) as other:
            assert echoes(other)


def test_a_bomb(websocket: Daemon) -> None:
    """
    A gigabyte in a megabyte is refused before it takes memory.
    """
    bomb = PerMessageDeflate().compress(bytes(2**30), True)
    with opened(websocket) as warm:
        assert echoes(warm)
    before = size(websocket)
    with opened(websocket) as connection:
        connection.sendall(serialize_frame(FIN | RSV1 | Opcode.BINARY, bomb, KEY))
        answer = b""
        while data := connection.recv(KIB):
            answer += data
    (close,) = Connection(client=True).receive_data(answer)
    assert isinstance(close, Close)
    assert close.code == 1009
    assert size(websocket) - before < 4 * MIB


def test_idle_connections(websocket: Daemon) -> None:
    """
    One costs 4 KiB at most, compression agreed on.
    """
    warm = [opened(websocket) for _ in range(100)]
    before = size(websocket)
    idle = [opened(websocket) for _ in range(800)]
    each = (size(websocket) - before) / len(idle)
    for connection in warm + idle:
        connection.close()
    print(f"{each:.0f} bytes for an idle connection")
    assert each <= 4 * KIB
