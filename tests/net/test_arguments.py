"""
Values that are none, given to L{netkit.net}: refused where they are given, and nothing is lost of
what was there before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.task import Clock

from netkit import net
from tests.net.conftest import Connect
from tests.net.results import now

INFINITE, NAN = float("inf"), float("nan")

SOCKET_OPTIONS: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"allowHalfOpen": "no"}, TypeError),
    ({"allowHalfOpen": 1}, TypeError),
    ({"noDelay": None}, TypeError),
    ({"keepAlive": 30}, TypeError),
    ({"keepAliveInitialDelay": -1}, ValueError),
    ({"keepAliveInitialDelay": 32768}, ValueError),
    ({"keepAliveInitialDelay": None}, TypeError),
    ({"highWaterMark": -1}, ValueError),
    ({"highWaterMark": 1e6}, TypeError),
    ({"timeout": -1}, ValueError),
    ({"timeout": INFINITE}, ValueError),
    ({"timeout": NAN}, ValueError),
    ({"timeout": None}, TypeError),
    ({"timeout": "5"}, TypeError),
    ({"reactor": 5}, TypeError),
]


def named(value: object) -> str | None:
    return str(value) if isinstance(value, dict) else None


@pytest.mark.parametrize(
    ("options", "error"),
    [
        *SOCKET_OPTIONS,
        ({"maxConnections": -1}, ValueError),
        ({"maxConnections": None}, TypeError),
        ({"maxBuffered": -1}, ValueError),
        ({"dropped": "function"}, TypeError),
        ({"allow": "10.0.0.0/8"}, TypeError),
        ({"allow": 5}, TypeError),
        ({"deny": b"10.0.0.0/8"}, TypeError),
        ({"deny": None}, TypeError),
        ({"deny": [5]}, TypeError),
        ({"deny": [b"\x7f\0\0\1"]}, TypeError),
        ({"deny": ["localhost"]}, ValueError),
        ({"allow": ["10.0.0.1/8"]}, ValueError),
    ],
    ids=named,
)
def test_create_server(options: dict[str, Any], error: type[Exception]) -> None:
    [name] = options
    with pytest.raises(error, match=name):
        net.createServer(print, **options)


def test_a_callback_that_is_none() -> None:
    callback: Any = "connected"
    with pytest.raises(TypeError, match="callback is a function, not 'connected'"):
        net.createServer(callback)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        *SOCKET_OPTIONS,
        ({"connectTimeout": -1}, ValueError),
        ({"connectTimeout": INFINITE}, ValueError),
        ({"connectTimeout": None}, TypeError),
        ({"allow": "10.0.0.0/8"}, TypeError),
        ({"deny": ["localhost"]}, ValueError),
    ],
    ids=named,
)
def test_create_connection(options: dict[str, Any], error: type[Exception]) -> None:
    [name] = options
    with pytest.raises(error, match=name):
        net.createConnection("tcp:127.0.0.1:1", **options)


@pytest.mark.parametrize("endpoint", [None, 5, b"tcp:127.0.0.1:1", [], object])
def test_what_is_no_endpoint(endpoint: Any) -> None:
    with pytest.raises(ValueError, match="is not a client endpoint: write tcp:localhost:3200"):
        now(net.createConnection(endpoint))
    with pytest.raises(ValueError, match="is not a server endpoint: write tcp:3200"):
        now(net.createServer(print).listen(endpoint))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"backlog": 0}, ValueError),
        ({"backlog": -1}, ValueError),
        ({"backlog": 2**31}, ValueError),
        ({"backlog": "511"}, TypeError),
        ({"ipv6Only": 1}, TypeError),
        ({"reusePort": None}, TypeError),
    ],
    ids=named,
)
def test_listen(options: dict[str, Any], error: type[Exception]) -> None:
    [name] = options
    server = net.createServer(print)
    with pytest.raises(error, match=name):
        server.listen("tcp:0:interface=127.0.0.1", **options)
    assert server.address() is None


@pytest.mark.parametrize(
    ("grace", "error"), [(-1, ValueError), (INFINITE, ValueError), ("5", TypeError)]
)
def test_grace(grace: Any, error: type[Exception]) -> None:
    server = net.createServer(print)
    with pytest.raises(error, match="grace"):
        server.close(grace)
    with pytest.raises(error, match="grace"):
        net.ServerService(server, "tcp:0", grace=grace)


def test_a_service() -> None:
    server: Any = "tcp:0"
    with pytest.raises(TypeError, match="server is what createServer made, not 'tcp:0'"):
        net.ServerService(server, "tcp:0")
    with pytest.raises(ValueError, match="without an endpoint"):
        net.ServerService(net.createServer(print))


def test_max_connections_later() -> None:
    server = net.createServer(print, maxConnections=5)
    with pytest.raises(ValueError, match="maxConnections"):
        server.maxConnections = -1
    assert server.maxConnections == 5


SOCKET_CALLS: dict[str, tuple[Callable[[Any], object], type[Exception]]] = {
    "write(5)": (lambda socket: socket.write(5), TypeError),
    "write([1, 2, 3])": (lambda socket: socket.write([1, 2, 3]), TypeError),
    "write(text)": (lambda socket: socket.write("text"), TypeError),
    "write(None)": (lambda socket: socket.write(None), TypeError),
    "write(True)": (lambda socket: socket.write(True), TypeError),
    "end(text)": (lambda socket: socket.end("text"), TypeError),
    "end(5)": (lambda socket: socket.end(5), TypeError),
    "read(-1)": (lambda socket: socket.read(-1), ValueError),
    "read(1.5)": (lambda socket: socket.read(1.5), TypeError),
    "read(True)": (lambda socket: socket.read(True), TypeError),
    "read(limit=-1)": (lambda socket: socket.read(limit=-1), ValueError),
    "read(limit=None)": (lambda socket: socket.read(limit=None), TypeError),
    "readExactly(-1)": (lambda socket: socket.readExactly(-1), ValueError),
    "readExactly(None)": (lambda socket: socket.readExactly(None), TypeError),
    "readUntil(text)": (lambda socket: socket.readUntil("\n"), TypeError),
    "readUntil(10)": (lambda socket: socket.readUntil(10), TypeError),
    "readUntil(nothing)": (lambda socket: socket.readUntil(b""), ValueError),
    "readUntil(limit=1)": (lambda socket: socket.readUntil(b"\r\n", limit=1), ValueError),
    "destroy(text)": (lambda socket: socket.destroy("why"), TypeError),
    "destroy(class)": (lambda socket: socket.destroy(LookupError), TypeError),
    "setTimeout(-1)": (lambda socket: socket.setTimeout(-1), ValueError),
    "setTimeout(inf)": (lambda socket: socket.setTimeout(INFINITE), ValueError),
    "setTimeout(None)": (lambda socket: socket.setTimeout(None), TypeError),
    "setTimeout(1, text)": (lambda socket: socket.setTimeout(1, "callback"), TypeError),
    "setNoDelay(None)": (lambda socket: socket.setNoDelay(None), TypeError),
    "setKeepAlive(5)": (lambda socket: socket.setKeepAlive(5), TypeError),
    "setKeepAlive(True, -1)": (lambda socket: socket.setKeepAlive(True, -1), ValueError),
    "setKeepAlive(True, 1e9)": (lambda socket: socket.setKeepAlive(True, 1e9), ValueError),
}


@pytest_twisted.ensureDeferred
async def test_socket(connect: Connect) -> None:
    """
    Each is refused, and the socket is as it was: it reads, writes and ends.
    """
    socket, peer = await connect(timeout=99, reactor=None)
    peer.transport.write(b"data")
    for call, error in SOCKET_CALLS.values():
        with pytest.raises(error):
            call(socket)
    assert await socket.readExactly(4) == b"data"
    await socket.write(b"one, ")
    await socket.end(memoryview(b"two"))
    await peer.ended
    assert bytes(peer.received) == b"one, two"


def test_the_longest_times_are_taken() -> None:
    clock = Clock()
    net.createServer(print, timeout=2**31 - 1, keepAliveInitialDelay=32767, reactor=clock)
