"""
Memory: who writes faster than the peer reads, or does not read, does not grow.

C{NETKIT_FULL=1} sends 1 GiB, as the promise is worded, which takes two minutes; otherwise it is as
much as shows whether anything is kept.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.narrow import present

CHILD = Path(__file__).with_name("memory_child.py")
MEBIBYTES = 1024 if os.environ.get("NETKIT_FULL") == "1" else 24
# Bytes a second.
RATE = 10_000_000
GROWTH = 16 * 2**20
PATIENCE = 300.0

Run = Callable[..., "tuple[subprocess.Popen[bytes], socket.socket]"]


@pytest.fixture(params=["tcp", "unix"])
def listener(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[socket.socket, str]]:
    if request.param == "tcp":
        with socket.create_server(("127.0.0.1", 0)) as listener:
            yield listener, f"tcp:127.0.0.1:{listener.getsockname()[1]}"
        return
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        yield listener, f"unix:{tmp_path / 's'}"


@contextmanager
def child(
    listener: tuple[socket.socket, str], verb: str, *arguments: str
) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """
    Run the program, and accept its connection.
    """
    server, endpoint = listener
    command = [sys.executable, str(CHILD), verb, endpoint, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            server.settimeout(PATIENCE)
            connection, _ = server.accept()
            with connection:
                yield process, connection
        finally:
            process.kill()


def test_a_slow_reader(listener: tuple[socket.socket, str]) -> None:
    """
    A producer that writes to a peer which reads 10 MB a second grows by less than 16 MiB.
    """
    with child(listener, "write", str(MEBIBYTES)) as (process, connection):
        begin, received = time.monotonic(), 0
        while data := connection.recv(2**18):
            received += len(data)
            # What makes the reader slow.
            time.sleep(max(0.0, begin + received / RATE - time.monotonic()))
        connection.close()
        growth = int(present(process.stdout).read())
    assert received == MEBIBYTES * 2**20
    print(f"\n{MEBIBYTES} MiB at {RATE} bytes a second: grown by {growth} bytes")
    assert growth < GROWTH


def test_a_reader_that_stops(listener: tuple[socket.socket, str]) -> None:
    """
    One that reads nothing is sent no more than the system's buffers hold, and keeps next to none.
    """
    with child(listener, "hold") as (process, connection):
        connection.setblocking(False)
        sent = 0
        # Until nothing goes any more for a while: it has stopped.
        while select.select([], [connection], [], 1)[1]:
            sent += connection.send(bytes(2**18))
        present(process.stdin).write(b"\n")
        present(process.stdin).flush()
        growth = int(present(process.stdout).readline())
    print(f"\n{sent} bytes sent: grown by {growth} bytes")
    assert growth < GROWTH
