"""
Tests for C{netkit ws}, each of which runs the command against a server that netkit did not make.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import sysconfig
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve, unix_serve
from websockets.utils import accept_key

from netkit.commands import ws
from tests.websocket import helpers as websocket

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


def run(
    *arguments: str, data: bytes = b"", environment: dict[str, str] | None = None
) -> tuple[int, bytes, str]:
    """
    Run the command: its exit status, output and errors.
    """
    done = subprocess.run(
        [COMMAND, "ws", *arguments],
        input=data,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, **(environment or {})},
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


def test_given_header_fields_take_the_place_of_ours(start: Start) -> None:
    def tell(connection: ServerConnection) -> None:
        assert connection.request is not None
        for name in ("Host", "Connection", "Sec-WebSocket-Version", "Authorization"):
            connection.send(", ".join(connection.request.headers.get_all(name)))

    url = start(tell).replace("//", "//user:password@")
    given = ["Host: final.example", "connection: close", "Authorization: Bearer x"]
    fields = [argument for field in given for argument in ("-H", field)]
    status, output, errors = run(LONG, *fields, url)
    assert (status, output) == (0, b"final.example\nUpgrade\n13\nBearer x\n")
    assert errors == "the header field connection is left out: it is a part of the handshake\n"


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


# What would clear a terminal, colour it, reorder a line, ring.
EVIL = "a\x1b[2J\x9b31m\u202eb\ntwo\x07"


class Terminal:
    """
    A terminal as all three of the command's streams, and the person in front of it.
    """

    def __init__(self, *arguments: str, term: str = "xterm", stdin: int | None = None) -> None:
        self._person, terminal = pty.openpty()
        self._process = subprocess.Popen(
            [COMMAND, "ws", *arguments],
            stdin=terminal if stdin is None else stdin,
            stdout=terminal,
            stderr=terminal,
            env={**os.environ, "TERM": term},
        )
        os.close(terminal)
        self._read = b""

    def type(self, line: bytes) -> None:
        os.write(self._person, line)

    def awaitText(self, text: bytes) -> None:
        """
        Wait until this is shown, and forget what was shown before.
        """
        while text not in self._read:
            self._read += os.read(self._person, 2**16)
        self._read = self._read.partition(text)[2]

    def end(self) -> tuple[int, bytes]:
        """
        Wait for the end of the command: its status, and what was shown in the end.
        """
        status = self._process.wait(PATIENCE)
        # A terminal that nobody else has open any more is an error to read from.
        with suppress(OSError):
            while data := os.read(self._person, 2**16):
                self._read += data
        os.close(self._person)
        return status, self._read


def test_on_a_terminal_sent_and_received_are_told_apart(start: Start) -> None:
    def answer(connection: ServerConnection) -> None:
        assert connection.recv() == "hello"
        connection.send(EVIL)
        connection.close(4001, "no\x1b[31m more")

    terminal = Terminal("-v", start(answer))
    terminal.awaitText(b"> ")
    terminal.awaitText(b"* connected")
    terminal.type(b"hello\n")
    # The first is the terminal's echo.
    terminal.awaitText(b"hello")
    terminal.awaitText(rb"< a\x1b[2J\x9b31m\u202eb")
    terminal.awaitText(rb"  two\x07")
    status, shown = terminal.end()
    assert status == 1
    assert rb"* closed by the peer with code 4001: no\x1b[31m more" in shown
    assert rb"netkit ws: closed by the peer with code 4001: no\x1b[31m more" in shown


def test_on_a_terminal_a_long_message_fills_rows(start: Start) -> None:
    def answer(connection: ServerConnection) -> None:
        connection.send(iter(["x" * 50, "y" * 50]))
        connection.recv()

    terminal = Terminal(start(answer), term="dumb")
    terminal.awaitText(b"< " + b"x" * 50 + b"y" * 27 + b"\r\n  " + b"y" * 23 + b"\r\n")
    terminal.type(b"\x04")
    assert terminal.end() == (0, b"")


def test_on_a_terminal_that_nothing_is_typed_in(start: Start) -> None:
    terminal = Terminal(start(lambda its: its.send(EVIL)), stdin=subprocess.DEVNULL)
    assert terminal.end() == (0, b"a\\x1b[2J\\x9b31m\\u202eb\r\ntwo\\x07\r\n")


def test_a_pipe_gets_the_exact_octets(start: Start) -> None:
    assert run(start(lambda its: its.send(EVIL)), LONG) == (0, EVIL.encode() + b"\n", "")


def test_what_a_peer_says_controls_no_terminal(start: Start) -> None:
    """
    In a close reason and in the reason phrase of a response.
    """
    url = start(lambda its: its.close(4001, EVIL[:-1]))
    assert run(url, LONG) == (
        1,
        b"",
        "netkit ws: closed by the peer with code 4001: a\\x1b[2J\\x9b31m\\u202eb two\n",
    )

    def refuse(connection: ServerConnection, request: Any) -> Any:
        response = connection.respond(403, "no")
        response.reason_phrase = "no\x9b2J"
        return response

    _, _, errors = run(start(echo, process_request=refuse))
    assert "\x9b" not in errors


def mute(listener: socket.socket, received: list[bytes]) -> None:
    """
    Open a WebSocket, and say nothing more.
    """
    with listener, listener.accept()[0] as connection, connection.makefile("rb") as stream:
        request = b"".join(iter(stream.readline, b"\r\n"))
        key = re.search(rb"(?i)sec-websocket-key: (\S+)", request)
        assert key is not None
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept_key(key[1].decode()).encode()
        )
        with suppress(ConnectionError):
            received.append(stream.read())


@pytest.fixture
def silent() -> Iterator[str]:
    """
    The URL of a server that does not answer a Close frame.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    thread = Thread(target=mute, args=(listener, []))
    thread.start()
    yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"
    thread.join(PATIENCE)


def test_a_peer_that_does_not_answer_the_close(silent: str) -> None:
    assert run("--wait=0", silent) == (
        1,
        b"",
        "netkit ws: the peer did not answer our Close frame in 5 seconds\n",
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes(start: Start, number: signal.Signals) -> None:
    ended: list[ConnectionClosed] = []

    def listen(connection: ServerConnection) -> None:
        connection.send("ready")
        try:
            connection.recv()
        except ConnectionClosed as closed:
            ended.append(closed)

    with subprocess.Popen(
        [COMMAND, "ws", start(listen)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(PATIENCE) == 128 + number
        assert process.stderr.read() == b""
    assert ended[0].rcvd is not None
    assert ended[0].rcvd.code == 1001


@pytest.mark.parametrize("signals", [1, 2])
def test_a_signal_ends_it_whatever_the_peer_does(silent: str, signals: int) -> None:
    with subprocess.Popen(
        [COMMAND, "ws", "-v", silent], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"connected\n"
        for _ in range(signals):
            process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130


@pytest.fixture
def proxy() -> Iterator[str]:
    """
    The address of a proxy that lets nobody through.
    """
    listener = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                b"".join(iter(stream.readline, b"\r\n"))
                connection.sendall(b"HTTP/1.1 407 No\x9b2J\r\nContent-Length: 0\r\n\r\n")

    thread = Thread(target=refuse)
    thread.start()
    yield "{}:{}".format(*listener.getsockname())
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(PATIENCE)


@pytest.mark.parametrize(
    ("url", "variable", "scheme"),
    [
        ("ws://127.0.0.1:1/", "HTTP_PROXY", "http://"),
        ("ws://127.0.0.1:1/", "http_proxy", ""),
        ("wss://127.0.0.1:1/", "HTTPS_PROXY", "http://"),
        ("wss://127.0.0.1:1/", "ALL_PROXY", "http://"),
    ],
)
def test_a_proxy_of_the_environment(proxy: str, url: str, variable: str, scheme: str) -> None:
    environment = {variable: scheme + proxy}
    status, _, errors = run(url, environment=environment)
    assert status == 1
    assert f"{url} through {proxy}: " in errors
    assert r"407 No\x9b2J" in errors
    # Not where the environment says so, nor against what is said.
    for arguments, others in [([], {"NO_PROXY": "127.0.0.1"}), (["--proxy", ""], {})]:
        _, _, errors = run(*arguments, url, environment=environment | others)
        assert "refused" in errors
        assert "407" not in errors


def test_the_environments_proxy_is_none(start: Start) -> None:
    environment = {"HTTP_PROXY": "ftp://x"}
    status, _, errors = run(start(echo), environment=environment)
    assert (status, errors.count("\n")) == (2, 1)
    assert "'ftp://x' is not the URL of a proxy" in errors


def test_lines_that_come_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Between the Close frames and the connection's end they are left out: it says how it ended.
    """
    connection = websocket.Server().open()
    connection.app.transport.loseConnection()

    async def readInput(reactor: object, take: Callable[[bytes], object]) -> None:
        take(b"too late\n")
        raise AssertionError("more was read")

    monkeypatch.setattr(ws, "readInput", readInput)
    conversation: Any = SimpleNamespace(transport=connection.app.transport)
    sending = Deferred.fromCoroutine(ws._send(None, conversation, Namespace(binary=False)))
    assert sending.called
    results: list[object] = []
    sending.addBoth(results.append)
    assert results == [None]
