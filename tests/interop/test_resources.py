"""
What the services cost, and what they leave behind: measured on the real process.
"""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Callable

import psutil
import pytest

from tests.interop.peers import PATIENCE, Address, Daemon

MIB = 2**20


def dial(address: Address) -> socket.socket:
    """
    Connect to a service.
    """
    if address.port is None:
        connection = socket.socket(socket.AF_UNIX)
        # With a time-out set, a full backlog would be an error rather than a wait.
        connection.connect(str(address.path))
        connection.settimeout(PATIENCE)
        return connection
    return socket.create_connection(("127.0.0.1", address.port), PATIENCE)


def readToEnd(connection: socket.socket) -> bytes:
    content = bytearray()
    while piece := connection.recv(2**16):
        content += piece
    return bytes(content)


def echoOnce(connection: socket.socket) -> None:
    connection.sendall(b"hello")
    connection.shutdown(socket.SHUT_WR)
    assert readToEnd(connection) == b"hello"


def respondOnce(connection: socket.socket) -> None:
    connection.sendall(b"hello")
    connection.shutdown(socket.SHUT_WR)
    assert readToEnd(connection) == b"response data"


def requestOnce(connection: socket.socket) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert readToEnd(connection).endswith(b"\r\n\r\nresponse data")


def messageOnce(connection: socket.socket) -> None:
    key = base64.b64encode(bytes(16))
    connection.sendall(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n"
    )
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(2**16)
    # A text message, and a close frame of code 1000, both under a masking key of zeros.
    connection.sendall(b"\x81\x85\0\0\0\0hello" + b"\x88\x82\0\0\0\0\x03\xe8")
    assert readToEnd(connection) == b"\x81\x05hello" + b"\x88\x02\x03\xe8"


def leaveHalfWay(connection: socket.socket) -> None:
    """
    What no service expects: a line that means nothing to it, and a reset.
    """
    connection.sendall(b"half of ")
    # Closing with SO_LINGER at 0 seconds resets a TCP connection.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def sendUntilCutOff(connection: socket.socket) -> None:
    piece = bytes(MIB)
    while True:
        connection.sendall(piece)


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("netkit-echo", echoOnce),
        ("netkit-print-respond", respondOnce),
        ("netkit-http", requestOnce),
        ("netkit-websocket", messageOnce),
        ("netkit-print-respond", leaveHalfWay),
    ],
)
def test_connections_leave_nothing_behind(
    name: str, use: Callable[[socket.socket], None], serve: Callable[..., Daemon]
) -> None:
    daemon = serve(name, "--format=none", "--idle-timeout=15")
    process = psutil.Process(daemon.pid)

    def connections(count: int) -> None:
        for number in range(count):
            with dial(daemon.addresses[number % 2]) as connection:
                use(connection)
            if use is leaveHalfWay and number % 20 == 0:
                # Those who do not wait for an answer would fill the backlog, and past a full one
                # a client has to try again, a second later.
                with dial(daemon.addresses[number % 2]) as connection:
                    respondOnce(connection)

    # What is made once and kept, by Python and Twisted, is made now.
    connections(1500)
    descriptors, memory = process.num_fds(), process.memory_info().rss
    connections(3000)
    assert process.num_fds() - descriptors < 300
    # A connection that has ended for its client may have a last step to go in the service. And
    # where many packets are on their way, the kernel drops one now and then; a reset is not sent
    # again, and its connection is left to the idle timeout.
    deadline = time.monotonic() + PATIENCE
    while process.num_fds() > descriptors and time.monotonic() < deadline:
        time.sleep(0.01)
    left = process.num_fds() - descriptors
    grown = process.memory_info().rss - memory
    print(f"{name}, {use.__name__}: {left:+} descriptors, {grown:+} bytes")
    assert left <= 0
    # 350 bytes a connection: less than any of the objects that one is made of, but the smallest.
    assert grown <= MIB


def test_echo_to_a_peer_that_does_not_read(serve: Callable[..., Daemon], transport: str) -> None:
    daemon = serve("netkit-echo")
    process = psutil.Process(daemon.pid)
    piece = bytes(MIB)
    with dial(daemon.address(transport)) as connection:
        with dial(daemon.address(transport)) as first:
            echoOnce(first)
        before = process.memory_info().rss
        sent = 0
        # It is full when nothing moved for so long.
        connection.settimeout(2.0)
        try:
            while sent < 256 * MIB:
                sent += connection.send(piece)
        except TimeoutError:
            pass
        grown = process.memory_info().rss - before
        print(f"{sent} of {256 * MIB} bytes taken, {grown:+} bytes")
        assert sent < 256 * MIB
        assert grown < 8 * MIB


def test_content_over_the_limit_costs_no_memory(
    serve: Callable[..., Daemon], transport: str
) -> None:
    daemon = serve("netkit-print-respond", "--max-content=1000000", "--format=none")
    process = psutil.Process(daemon.pid)
    with dial(daemon.address(transport)) as connection:
        with dial(daemon.address(transport)) as first:
            respondOnce(first)
        before = process.memory_info().rss
        with pytest.raises(OSError, match=r"reset|[Bb]roken pipe"):
            sendUntilCutOff(connection)
        grown = process.memory_info().rss - before
        print(f"{grown:+} bytes")
        assert grown < 8 * MIB
