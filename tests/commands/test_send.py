"""
Tests for C{netkit send}, each of which runs the command.
"""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from netkit import cli

from ..narrow import present

COMMAND = str(Path(sysconfig.get_path("scripts")) / "netkit")
PATIENCE = 60.0
CONTENT = os.urandom(3 * 2**20)

Answer = Callable[[socket.socket], object]


class Server:
    """
    A blocking server that answers one connection after another in a thread.
    """

    def __init__(self, listener: socket.socket, endpoint: str, answer: Answer) -> None:
        self.endpoint = endpoint
        self._listener = listener
        self._answer = answer
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, suppress(ConnectionError):
                self._answer(connection)

    def stop(self) -> None:
        # A listener that is shut down wakes who waits in accept.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)


@pytest.fixture(params=["tcp", "unix"])
def answering(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Answer], str]]:
    """
    A function that starts a server with its answer, and gives the endpoint.
    """
    servers: list[Server] = []

    def start(answer: Answer) -> str:
        if request.param == "tcp":
            listener = socket.create_server(("127.0.0.1", 0))
            endpoint = f"tcp:127.0.0.1:{listener.getsockname()[1]}"
        else:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(tmp_path / "s"))
            listener.listen()
            endpoint = f"unix:{tmp_path / 's'}"
        servers.append(Server(listener, endpoint, answer))
        return endpoint

    yield start
    for server in servers:
        server.stop()


def readAll(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as stream:
        return stream.read()


def respond(connection: socket.socket) -> None:
    """
    Answer with the length of what came until the half-close.
    """
    connection.sendall(b"%d bytes" % len(readAll(connection)))


def echo(connection: socket.socket) -> None:
    while data := connection.recv(2**16):
        connection.sendall(data)


def send(*arguments: str | bytes, **options: Any) -> subprocess.CompletedProcess[bytes]:
    options = {"input": b"", "timeout": PATIENCE, "capture_output": True, **options}
    if "stdin" in options:
        del options["input"]
    done: subprocess.CompletedProcess[bytes] = subprocess.run(
        [COMMAND, "send", *arguments], check=False, **options
    )
    return done


def outcome(done: subprocess.CompletedProcess[bytes]) -> tuple[int, bytes, bytes]:
    return done.returncode, done.stdout, done.stderr


def failed(done: subprocess.CompletedProcess[bytes], status: int, *texts: str) -> None:
    """
    It ended with this status and one line that says all this.
    """
    message = done.stderr.decode()
    assert done.returncode == status, message
    assert message.count("\n") == 1, message
    assert message.startswith("netkit send: ")
    for text in texts:
        assert text in message


def test_data(answering: Callable[[Answer], str]) -> None:
    endpoint = answering(echo)
    assert outcome(send(endpoint, "request")) == (0, b"request", b"")
    # The bytes of the argument, whatever they are; standard input is not read.
    assert outcome(send(endpoint, b"\xff\xe9", stdin=None)) == (0, b"\xff\xe9", b"")
    assert outcome(send(endpoint, "", input=b"unread")) == (0, b"", b"")


def test_a_pipe(answering: Callable[[Answer], str]) -> None:
    assert outcome(send(answering(echo), input=CONTENT)) == (0, CONTENT, b"")


def test_files(answering: Callable[[Answer], str], tmp_path: Path) -> None:
    """
    Standard input and output are files.
    """
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(CONTENT)
    with source.open("rb") as stdin, target.open("wb") as stdout:
        done = send(
            answering(echo),
            stdin=stdin,
            capture_output=False,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert target.read_bytes() == CONTENT


def test_no_input(answering: Callable[[Answer], str]) -> None:
    assert send(answering(respond), stdin=subprocess.DEVNULL).stdout == b"0 bytes"


def test_a_terminal(answering: Callable[[Answer], str]) -> None:
    """
    A line typed is sent, what comes back is shown, and the end of the input (Ctrl-D) ends it.
    """
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [COMMAND, "send", answering(echo)], stdin=terminal, stdout=subprocess.PIPE
    ) as process:
        os.close(terminal)
        os.write(controller, b"line\n")
        assert present(process.stdout).readline() == b"line\n"
        os.write(controller, b"\x04")
        assert process.wait(PATIENCE) == 0
    os.close(controller)


def test_a_terminal_when_the_peer_ends(answering: Callable[[Answer], str]) -> None:
    """
    Nothing more has to be typed.
    """
    controller, terminal = pty.openpty()
    done = send(answering(lambda connection: connection.sendall(b"bye")), stdin=terminal)
    assert outcome(done) == (0, b"bye", b"")
    os.close(terminal)
    os.close(controller)


def test_a_reply_controls_no_terminal(answering: Callable[[Answer], str]) -> None:
    """
    Not if its characters come in pieces, either; a pipe gets the octets.
    """
    pieces = [b"a\x1b[2J\xc2", b"\x9b31m\xe2\x80", b"\xaeb\x07\r", b"\nc\xff\r"]

    def answer(connection: socket.socket) -> None:
        readAll(connection)
        for piece in pieces:
            connection.sendall(piece)

    endpoint = answering(answer)
    assert send(endpoint, "x").stdout == b"".join(pieces)
    controller, terminal = pty.openpty()
    done = send(endpoint, "x", capture_output=False, stdout=terminal, stderr=subprocess.PIPE)
    os.close(terminal)
    assert (done.returncode, done.stderr) == (0, b"")
    assert os.read(controller, 1000) == rb"a\x1b[2J\x9b31m\u202eb\x07" + b"\r\n" + rb"c\xff\x0d"
    os.close(controller)


def test_a_peer_that_ends_first_gets_the_rest(answering: Callable[[Answer], str]) -> None:
    received: list[bytes] = []

    def endFirst(connection: socket.socket) -> None:
        connection.shutdown(socket.SHUT_WR)
        received.append(readAll(connection))

    assert outcome(send(answering(endFirst), input=CONTENT)) == (0, b"", b"")
    assert received == [CONTENT]


def test_the_reply_comes_as_it_arrives(answering: Callable[[Answer], str]) -> None:
    with subprocess.Popen(
        [COMMAND, "send", answering(echo)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        for line in (b"one\n", b"two\n"):
            present(process.stdin).write(line)
            present(process.stdin).flush()
            assert present(process.stdout).readline() == line
        present(process.stdin).close()
        assert process.wait(PATIENCE) == 0


def test_refused(answering: Callable[[Answer], str]) -> None:
    failed(send("tcp:127.0.0.1:1", "x"), 1, "refused", "tcp:127.0.0.1:1")
    failed(send("unix:/no/such", "x"), 1, "unix:/no/such: No such file or directory")


def test_a_reset(answering: Callable[[Answer], str]) -> None:
    """
    What came before is printed.
    """

    def reset(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(b"part")
        # With something unread, closing is a reset on a UNIX socket as well.
        connection.recv(1, socket.MSG_PEEK | socket.MSG_WAITALL)
        while connection.recv(1, socket.MSG_PEEK) and connection.recv(3) != b"end":
            pass
        linger = (1).to_bytes(4, sys.byteorder) + bytes(4)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    endpoint = answering(reset)
    with subprocess.Popen(
        [COMMAND, "send", endpoint],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        present(process.stdin).write(b"x")
        present(process.stdin).flush()
        assert present(process.stdout).read(4) == b"part"
        present(process.stdin).write(b"endrest")
        present(process.stdin).flush()
        message = present(process.stderr).read()
    assert process.returncode == 1
    assert message.count(b"\n") == 1
    assert endpoint.encode() in message
    assert b"lost in a non-clean fashion" in message


@pytest.mark.parametrize("endpoint", ["9872", "nosuch:1", "tcp:localhost:http"])
def test_a_bad_endpoint(endpoint: str) -> None:
    failed(send(endpoint, "x"), 2, f"'{endpoint}' is not a client endpoint")


def test_nothing_moves(answering: Callable[[Answer], str]) -> None:
    endpoint = answering(lambda connection: connection.recv(1) and readAll(connection))
    with subprocess.Popen(
        [COMMAND, "send", "--timeout", "0.3", endpoint],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        message = present(process.stderr).read()
    assert process.returncode == 1
    assert message.count(b"\n") == 1
    assert f"{endpoint}: nothing moved for 0.3 seconds".encode() in message


def test_a_full_disk(answering: Callable[[Answer], str]) -> None:
    with open("/dev/full", "wb") as full:
        done = send(
            answering(echo), "x", capture_output=False, stdout=full, stderr=subprocess.PIPE
        )
    failed(done, 1, "standard output: No space left on device")


def test_a_reader_that_has_gone(answering: Callable[[Answer], str]) -> None:
    """
    The command ends without a word, as any filter does.
    """
    reader, writer = os.pipe()
    os.close(reader)
    done = send(answering(echo), "x", capture_output=False, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_missing_stream(answering: Callable[[Answer], str], missing: int) -> None:
    """
    A stream that the process was started without is not taken for a connection.
    """
    arguments = [] if missing == 0 else ["x"]
    # closefrom is done after the descriptors are set up, so only a shell leaves one out.
    command = f'exec "$0" "$@" {missing}>&-'
    done = subprocess.run(
        ["sh", "-c", command, COMMAND, "send", answering(echo), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    if missing == 2:
        assert outcome(done) == (0, b"x", b"")
    else:
        name = ("standard input", "standard output")[missing]
        failed(done, 1, f"{name}: Bad file descriptor")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal(answering: Callable[[Answer], str], number: signal.Signals) -> None:
    """
    It ends the command without a word, and the status tells which it was.
    """
    with subprocess.Popen(
        [COMMAND, "send", answering(echo)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        present(process.stdin).write(b"up")
        present(process.stdin).flush()
        assert present(process.stdout).read(2) == b"up"
        process.send_signal(number)
        assert process.wait(PATIENCE) == 128 + number
        assert present(process.stderr).read() == b""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "netkit: the following arguments are required: COMMAND; see netkit --help\n"),
        (["send"], "netkit send: the following arguments are required: ENDPOINT"),
        (["send", "--timeout", "0", "x"], "'0' is not a number of seconds above 0"),
        (["send", "--timeout", "soon", "x"], "'soon' is not a number of seconds above 0"),
        (["send", "--timeout", "inf", "x"], "'inf' is not a number of seconds above 0"),
    ],
)
def test_wrong_arguments(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    for argument, text in (("--help", "send"), ("--version", "netkit ")):
        with pytest.raises(SystemExit) as caught:
            cli.main([argument])
        assert caught.value.code == 0
        assert text in capsys.readouterr().out


def test_an_early_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "import_module", interrupt)
    assert cli.main(["send", "x"]) == 130
