"""
The websocket service, and clients that nobody here wrote; over TCP, UNIX sockets and TLS.
"""

from __future__ import annotations

import json
import random
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect, unix_connect
from websockets.typing import Subprotocol

from tests.interop.peers import HERE, PATIENCE, Address, Daemon, eventually, requireNpm, run

pytestmark = pytest.mark.parametrize("transport", ["tcp", "unix", "tls"])

MEBIBYTE = random.Random(6455).randbytes(2**20)


@pytest.fixture(scope="module")
def printed(folder: Path) -> Path:
    """
    The file that the service prints to.
    """
    return folder / "printed"


@pytest.fixture(scope="module")
def websocket(serve: Callable[..., Daemon], printed: Path, tlsEndpoint: str) -> Daemon:
    """
    The service under C{twistd}.
    """
    return serve(
        *("netkit-websocket", "--path", "/chat", "--subprotocol", "one", "--subprotocol", "two"),
        *("--format", "json", "--output", str(printed), "-l", tlsEndpoint),
    )


def client(address: Address, path: str = "/chat", **options: Any) -> ClientConnection:
    """
    Connect Python's websockets.
    """
    settings: dict[str, Any] = {
        "open_timeout": PATIENCE,
        "close_timeout": PATIENCE,
        "max_size": None,
        **options,
    }
    url = address.origin("ws") + path
    connection: ClientConnection
    if address.path is not None:
        connection = unix_connect(address.path, url, **settings)
    else:
        trusting = None
        if address.certificate:
            trusting = ssl.create_default_context(cafile=address.certificate)
            # It reads in a thread of its own. With TLS 1.3, that may be taking the session tickets
            # while the request is written, and Python lets both use one connection at a time: the
            # request then waits for something to read, once in a thousand connections.
            trusting.maximum_version = ssl.TLSVersion.TLSv1_2
        connection = connect(url, proxy=None, ssl=trusting, **settings)
    return connection


@pytest.mark.parametrize("compression", ["deflate", None])
def test_websockets_messages(websocket: Daemon, transport: str, compression: str | None) -> None:
    """
    Text, binary, empty, long and fragmented messages come back as they were sent.
    """
    with client(websocket.address(transport), compression=compression) as connection:
        for message in ("", "hello", "zwölf € 🚀", b"", b"\x00\xff", MEBIBYTE, "x" * 70_000):
            connection.send(message)
            assert connection.recv(PATIENCE) == message
        connection.send(["one ", "message ", "", "in parts"])
        assert connection.recv(PATIENCE) == "one message in parts"
        connection.send([MEBIBYTE[:100], MEBIBYTE[100:70_000], MEBIBYTE[70_000:]])
        assert connection.recv(PATIENCE) == MEBIBYTE


def test_websockets_deflate(websocket: Daemon, transport: str) -> None:
    """
    Compression is agreed to, as RFC 7692 has it.
    """
    with client(websocket.address(transport)) as connection:
        assert connection.response is not None
        agreed = connection.response.headers["Sec-WebSocket-Extensions"]
        assert agreed.startswith("permessage-deflate")
    with client(websocket.address(transport), compression=None) as connection:
        assert connection.response is not None
        assert "Sec-WebSocket-Extensions" not in connection.response.headers


def test_websockets_ping(websocket: Daemon, transport: str) -> None:
    with client(websocket.address(transport)) as connection:
        assert connection.ping("are you there?").wait(PATIENCE)


def test_websockets_close(websocket: Daemon, transport: str) -> None:
    """
    The closing handshake is finished with the code that we were sent.
    """
    with client(websocket.address(transport)) as connection:
        connection.close(4711, "enough")
    assert connection.protocol.close_rcvd is not None
    assert connection.protocol.close_rcvd.code == 4711


def test_websockets_subprotocol(websocket: Daemon, transport: str) -> None:
    address = websocket.address(transport)
    with client(address, subprotocols=[Subprotocol("none"), Subprotocol("two")]) as connection:
        assert connection.subprotocol == "two"
    with client(address, subprotocols=None) as connection:
        assert connection.subprotocol is None


def test_websockets_other_path(websocket: Daemon, transport: str) -> None:
    address = websocket.address(transport)
    with pytest.raises(InvalidStatus) as caught, client(address, "/other"):
        pytest.fail("connected")
    assert caught.value.response.status_code == 404


def test_prints_messages(websocket: Daemon, transport: str, printed: Path) -> None:
    start = printed.stat().st_size
    with client(websocket.address(transport)) as connection:
        for message in ("hello", b"\xff"):
            connection.send(message)
            connection.recv(PATIENCE)

    def entries() -> list[tuple[str, str]]:
        lines = printed.read_bytes()[start:].splitlines(keepends=True)
        whole = [json.loads(line) for line in lines if line.endswith(b"\n")]
        return [(entry["service"], entry["data"]) for entry in whole]

    assert eventually(entries, lambda found: len(found) >= 2) == [
        ("websocket", "hello"),
        ("websocket", "/w=="),
    ]


@pytest.mark.parametrize("compression", [True, False])
def test_ws(websocket: Daemon, transport: str, compression: bool) -> None:
    """
    npm's ws has everything echoed, is answered a ping, and closes with its own code.
    """
    node = requireNpm("ws")
    address = websocket.address(transport)
    # ws writes a UNIX socket's URL as ws+unix:PATH:URL-PATH.
    origin = f"ws+unix:{address.path}:" if address.path else address.origin("ws")
    ca = address.certificate and Path(address.certificate).read_text()
    settings = {"url": f"{origin}/chat", "perMessageDeflate": compression, "ca": ca}
    done = run([node, str(HERE / "websocket.mjs"), json.dumps(settings)])
    assert (done.status, done.errors.decode()) == (0, "")
    assert json.loads(done.output) == {
        "subprotocol": "two",
        "extensions": "permessage-deflate" if compression else "",
        "echoed": 6,
        "pong": "are you there?",
        "close": 4711,
    }


def test_a_client_that_vanishes_leaves_the_service_well(websocket: Daemon, transport: str) -> None:
    with client(websocket.address(transport)) as connection:
        connection.send("hello")
        assert connection.recv(PATIENCE) == "hello"
        connection.socket.shutdown(socket.SHUT_RDWR)
    with client(websocket.address(transport)) as other:
        other.send("and on")
        assert other.recv(PATIENCE) == "and on"
