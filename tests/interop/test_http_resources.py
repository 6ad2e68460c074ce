"""
What the http service costs when its clients ask much of it: measured on the real process.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psutil
import pytest

from tests.interop.http_peers import opened
from tests.interop.peers import PATIENCE, Daemon

MIB = 2**20
GIB = 2**30

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def http(serve: Callable[..., Daemon]) -> Daemon:
    """
    The service under C{twistd}.
    """
    return serve(
        *("netkit-http", "--routes", "--format=none", "--max-content=0"),
        *("--head-timeout=4", "--idle-timeout=60"),
    )


@pytest.fixture
def client(http: Daemon, transport: str) -> Iterator[socket.socket]:
    """
    A connection, on which one request was answered.
    """
    with opened(http.address(transport)) as connection:
        connection.sendall(GET % b"")
        assert received(connection) == b"response data"
        yield connection


def received(connection: socket.socket) -> bytes:
    """
    Receive one response, whose content has to be short, and return that.
    """
    octets = b""
    while b"\r\n\r\n" not in octets:
        octets += connection.recv(MIB)
    head, content = octets.split(b"\r\n\r\n", 1)
    length = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
    while len(content) < length:
        content += connection.recv(MIB)
    return content


def grown(process: psutil.Process, before: int) -> int:
    """
    How many bytes a process grew by.
    """
    growth: int = process.memory_info().rss - before
    print(f"{growth:+} bytes")
    return growth


@pytest.mark.parametrize("chunked", [False, True])
def test_a_gibibyte_up(http: Daemon, client: socket.socket, chunked: bool) -> None:
    process = psutil.Process(http.pid)
    before = process.memory_info().rss
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % GIB
    client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % framing)
    piece = bytes(MIB)
    if chunked:
        piece = b"100000\r\n%b\r\n" % piece
    for _ in range(1024):
        client.sendall(piece)
    if chunked:
        client.sendall(b"0\r\n\r\n")
    assert received(client) == b"response data"
    assert grown(process, before) < 8 * MIB


def test_a_gibibyte_down(http: Daemon, client: socket.socket) -> None:
    process = psutil.Process(http.pid)
    before = process.memory_info().rss
    client.sendall(GET % b"bytes/%d" % GIB)
    buffer = bytearray(MIB)
    size = 0
    while size < GIB:
        size += client.recv_into(buffer)
    assert grown(process, before) < 8 * MIB


def test_a_hundred_thousand_requests_of_a_client_that_does_not_read(
    http: Daemon, client: socket.socket
) -> None:
    process = psutil.Process(http.pid)
    before = process.memory_info().rss
    octets = memoryview(GET % b"" * 100_000)
    # It is full when nothing moved for so long.
    client.settimeout(1.0)
    sent = 0
    try:
        while sent < len(octets):
            sent += client.send(octets[sent:])
    except TimeoutError:
        pass
    print(f"{sent} of {len(octets)} bytes taken")
    assert grown(process, before) < 8 * MIB
    # It still gets every answer when it reads.
    client.settimeout(PATIENCE)
    whole = sent // len(GET % b"")
    client.shutdown(socket.SHUT_WR)
    answers = 0
    rest = b""
    while data := client.recv(MIB):
        rest += data
        answers += rest.count(b"HTTP/1.1 200 ")
        rest = rest[-12:] if not rest.endswith(b"HTTP/1.1 200 ") else b""
    assert answers == whole


def test_slowloris(http: Daemon) -> None:
    """
    Two thousand connections that send a byte a second do not stop others from being served, and
    end when the time for a head is over.
    """
    process = psutil.Process(http.pid)
    address = http.address("tcp")
    with ExitStack() as stack:
        # On TCP those that the backlog has no room for would try again a second later.
        slow = [stack.enter_context(opened(http.address("unix"))) for _ in range(2000)]
        start = time.monotonic()
        octets = GET % b"" * 10
        served = 0
        for second in range(3):
            for connection in slow:
                connection.send(octets[second : second + 1])
            while time.monotonic() < start + second + 1:
                with opened(address) as other:
                    other.sendall(GET % b"")
                    assert received(other) == b"response data"
                served += 1
        for connection in slow:
            answer = b""
            while data := connection.recv(MIB):
                answer += data
            assert answer.startswith(b"HTTP/1.1 408 ")
        print(f"{served} others served, {time.monotonic() - start:.1f} seconds in all")
        assert served > 3
    deadline = time.monotonic() + PATIENCE
    while process.num_fds() > 100 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.num_fds() < 100
