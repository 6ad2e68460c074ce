"""
A reader of the printed stream that stalls.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from tests.interop.peers import PATIENCE, Program, daemonCommand

SERVICES = ("echo", "print-respond", "http", "websocket")

# More than a pipe and a socket take.
CONTENT = b"x" * 2**20
REQUEST = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(CONTENT) + CONTENT


class Netkit:
    """
    All services on sockets of their own, which print to a FIFO.

    @ivar reading: the descriptor by which that is read.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        fifo = folder / "printed"
        os.mkfifo(fifo)
        self.reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        listen = [option for name in SERVICES for option in (f"--{name}", f"unix:{name}.sock")]
        arguments = ["netkit", *listen, "--output", "printed", *options]
        self.program = Program(daemonCommand(*arguments), cwd=folder)
        self.program.waitForLines(re.compile(r" listens on "), len(SERVICES))

    def connect(self, service: str) -> socket.socket:
        return connected(self._folder, service)

    def echoes(self) -> None:
        with self.connect("echo") as connection:
            connection.sendall(b"hello")
            assert connection.recv(99) == b"hello"


@pytest.fixture
def netkit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Netkit]:
    netkit = Netkit(tmp_path_factory.mktemp("n"), "--grace", "0.5", "--format", "text")
    yield netkit
    os.close(netkit.reading)


def test_others_are_served_and_nothing_is_lost(netkit: Netkit) -> None:
    waiting = netkit.connect("http")
    waiting.sendall(REQUEST)
    stalled = netkit.connect("print-respond")
    stalled.sendall(CONTENT)
    stalled.shutdown(socket.SHUT_WR)
    # Whatever it is that has come by now: others are served.
    netkit.echoes()
    expected = len(REQUEST) + len(CONTENT) + len(b"hello")
    read: list[bytes] = []

    def readAll() -> None:
        os.set_blocking(netkit.reading, True)
        while sum(map(len, read)) < expected:
            read.append(os.read(netkit.reading, 2**16))

    thread = Thread(target=readAll)
    thread.start()
    with waiting, stalled:
        assert waiting.recv(99).startswith(b"HTTP/1.1 200 ")
        assert stalled.recv(99) == b"response data"
    thread.join(PATIENCE)
    assert len(b"".join(read)) == expected
    assert netkit.program.stop() in (0, -signal.SIGTERM)
    assert "lost" not in netkit.program.output


def test_it_does_not_hold_up_a_stop(netkit: Netkit) -> None:
    with netkit.connect("http") as waiting:
        waiting.sendall(REQUEST)
        # Once it is through the echo service, so is the request.
        netkit.echoes()
        assert netkit.program.stop() in (0, -signal.SIGTERM)
    assert re.search(
        r"did not take what was to be printed in time: \d+ octets are lost", netkit.program.output
    )
    assert "Traceback" not in netkit.program.output


@pytest.mark.parametrize("kind", ["pipe", "terminal"])
def test_standard_output_that_nobody_reads(
    kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """
    What services print and what twistd logs go there: neither holds up others, nor the end.
    """
    folder = tmp_path_factory.mktemp("n")
    reading, writing = os.pipe() if kind == "pipe" else pty.openpty()
    listen = [option for name in SERVICES for option in (f"--{name}", f"unix:{name}.sock")]
    command = daemonCommand("netkit", *listen, "--grace", "0.5", "--format", "text")
    process = subprocess.Popen(
        command, cwd=folder, stdin=writing, stdout=writing, stderr=writing, start_new_session=True
    )
    os.close(writing)
    said = b""
    while said.count(b" listens on ") < len(SERVICES):
        said += os.read(reading, 2**16)
    with connected(folder, "print-respond") as stalled:
        stalled.sendall(CONTENT)
        stalled.shutdown(socket.SHUT_WR)
        # As many lines as nobody reads.
        for _ in range(1000):
            with connected(folder, "http") as refused:
                refused.sendall(b"x\r\n\r\n")
                assert refused.recv(99).startswith(b"HTTP/1.1 400 ")
        with connected(folder, "echo") as connection:
            connection.sendall(b"hello")
            assert connection.recv(99) == b"hello"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) in (0, -signal.SIGTERM)
    os.close(reading)


def connected(folder: Path, service: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE)
    connection.connect(str(folder / f"{service}.sock"))
    return connection
