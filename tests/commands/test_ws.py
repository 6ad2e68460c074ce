"""
Tests for C{netkit ws}, each of which runs the command against a server that netkit did not make.
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve, unix_serve

COMMAND = str(Path(sysconfig.get_path("scripts")) / "netkit")
PATIENCE = 60.0

# No end but the server's.
LONG = "--wait=60"

Handler = Callable[[ServerConnection], None]
Start = Callable[..., str]


@pytest.fixture
def start() -> Iterator[Start]:
    """
    A function that starts a server, and gives its URL.
    """
    servers: list[tuple[Server, Thread]] = []

    def starting(handler: Handler, path: Path | None = None, **options: Any) -> str:
        if path is None:
            server = serve(handler, "127.0.0.1", 0, **options)
        else:
            server = unix_serve(handler, str(path), **options)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        servers.append((server, thread))
        return "ws://x/" if path else f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"

    yield starting
    for server, thread in servers:
        server.shutdown()
        thread.join(PATIENCE)


def run(*arguments: str, data: bytes = b"") -> tuple[int, bytes, str]:
    """
    Run the command: its exit status, output and errors.
    """
    done = subprocess.run(
        [COMMAND, "ws", *arguments],
        input=data,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr.decode()


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


def echoing(count: int) -> Handler:
    """
    Makes a handler that sends so many messages back, then closes.
    """

    def some(connection: ServerConnection) -> None:
        for _ in range(count):
            connection.send(connection.recv())

    return some


def test_lines_are_messages(start: Start) -> None:
    lines = "héllo\n\nlast".encode()
    assert run(LONG, start(echoing(3)), data=lines) == (0, lines + b"\n", "")
    assert run(LONG, start(echoing(1)), data=b"with CR\r\n") == (0, b"with CR\n", "")


def test_the_end_of_the_input_closes(start: Start) -> None:
    ended: list[ConnectionClosed] = []

    def listen(connection: ServerConnection) -> None:
        try:
            connection.recv()
        except ConnectionClosed as closed:
            ended.append(closed)

    assert run("--wait=0", start(listen)) == (0, b"", "")
    assert ended[0].rcvd is not None
    assert ended[0].rcvd.code == 1000


def test_binary_messages_are_hexadecimal(start: Start) -> None:
    assert run("--binary", LONG, start(echoing(2)), data=b"00 ff\nab\n") == (0, b"00ff\nab\n", "")


def test_a_lot(start: Start) -> None:
    lines = b"".join(b"%d\n" % number for number in range(20_000)) + b"x" * 900_000 + b"\n"
    status, output, errors = run(LONG, start(echoing(20_001)), data=lines)
    assert (status, errors) == (0, "")
    assert output == lines


def test_over_a_unix_socket(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "s"
    url = start(echoing(1), path)
    assert run(LONG, "--over", f"unix:{path}", url, data=b"x\n") == (0, b"x\n", "")


def test_what_is_asked_for(start: Start) -> None:
    def tell(connection: ServerConnection) -> None:
        assert connection.request is not None
        connection.send(f"{connection.subprotocol} {connection.request.headers['X-Y']}")
        connection.ping(b"\xab")
        connection.recv()

    url = start(tell, subprotocols=["b"])
    status, output, errors = run(
        *("-v", "-s", "a", "-s", "b", "-H", "X-Y: z", LONG), url, data=b"done\n"
    )
    assert (status, output) == (0, b"b z\n")
    assert errors.splitlines() == [
        "connected, speaking b",
        "ping ab",
        "closed by the peer with code 1000",
    ]


def test_pieces_are_printed_as_they_come(start: Start) -> None:
    def fragments(connection: ServerConnection) -> None:
        connection.send(iter(["one ", "two ", "three"]))
        connection.send(iter([b"\x01", b"\x02"]))

    assert run(start(fragments), "--wait", "5") == (0, b"one two three\n0102\n", "")


def test_the_server_closes_in_bad_order(start: Start) -> None:
    def close(connection: ServerConnection) -> None:
        connection.send("first")
        connection.close(4001, "no more")

    status, output, errors = run(start(close), "--wait", "30")
    assert (status, output) == (1, b"first\n")
    assert errors == "netkit ws: closed by the peer with code 4001: no more\n"


def test_the_server_vanishes(start: Start) -> None:
    def vanish(connection: ServerConnection) -> None:
        connection.socket.close()

    status, output, errors = run(start(vanish), "--wait", "30")
    assert (status, output) == (1, b"")
    assert errors.startswith("netkit ws: Connection was closed")


@pytest.mark.parametrize(
    ("arguments", "data", "status", "problem"),
    [
        (["ws://127.0.0.1:1/"], b"", 1, "refused"),
        (["example.com"], b"", 2, "'example.com' is not a URL"),
        (["-H", "x", "ws://x/"], b"", 2, "'x' is not a header field"),
        (["--wait", "-1", "ws://x/"], b"", 2, "not a number of seconds"),
        (["--wait", "soon", "ws://x/"], b"", 2, "not a number of seconds"),
        (["-s", "a b", "ws://x/"], b"", 2, "'a b' is no name of a subprotocol"),
        (["--over", "nosuch:1", "ws://x/"], b"", 2, "nosuch"),
        (["--proxy", "x", "ws://x/"], b"", 2, "URL of a proxy"),
        (["URL"], b"\xff\n", 2, "line 1 of standard input is not UTF-8"),
        (["-b", "URL"], b"00\nzz\n", 2, "line 2 of standard input is not hexadecimal"),
    ],
)
def test_mistakes(
    start: Start, arguments: list[str], data: bytes, status: int, problem: str
) -> None:
    if "URL" in arguments:
        arguments[-1] = start(echo)
    found, _, errors = run(*arguments, data=data)
    assert found == status
    assert problem in errors
    assert errors.count("\n") == 1


def test_refused(start: Start) -> None:
    def refuse(connection: ServerConnection, request: Any) -> Any:
        return connection.respond(403, "no")

    url = start(echo, process_request=refuse)
    assert run(url) == (1, b"", "netkit ws: the server answers 403 Forbidden\n")


def test_nobody_reads_the_output(start: Start) -> None:
    def flood(connection: ServerConnection) -> None:
        try:
            while True:
                connection.send("x" * 1000)
        except ConnectionClosed:
            pass

    reader, writer = os.pipe()
    with subprocess.Popen(
        [COMMAND, "ws", "--wait", "60", start(flood)],
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(writer)
        assert os.read(reader, 10) == b"x" * 10
        os.close(reader)
        assert process.wait(PATIENCE) == 141
        assert process.stderr is not None
        assert process.stderr.read() == b""
