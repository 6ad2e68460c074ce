"""
Tests for L{netkit.base.progress}, on real sockets.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import ISystemHandle, ITransport
from twisted.internet.testing import MemoryReactor, StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from zope.interface import implementer

from netkit.base.progress import Progress, progress

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="other systems tell less")


@implementer(ISystemHandle)
class Transport(FileDescriptor):
    """
    A transport that has a socket, and octets that it could not send.
    """

    def __init__(self, system: socket.socket) -> None:
        super().__init__(MemoryReactor())
        self._system = system
        self.connected = 1

    def getHandle(self) -> socket.socket:
        return self._system

    def startWriting(self) -> None:
        """
        Do it when the test does.
        """

    def writeSomeData(self, data: bytes) -> int:
        """
        Take no more than three.
        """
        return min(3, len(data))


@pytest.fixture(params=["tcp", "unix"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """
    Both ends of a connection.
    """
    with ExitStack() as stack:
        if request.param == "unix":
            here, there = socket.socketpair()
        else:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            there = socket.create_connection(listening.getsockname())
            here, _ = listening.accept()
        here.setblocking(False)
        there.setblocking(False)
        yield stack.enter_context(here), stack.enter_context(there)


def ask(transport: Any, written: int = 0) -> Progress:
    """
    The progress of a connection that has a socket.
    """
    told = progress(transport, written)
    assert told is not None
    return told


def fill(system: socket.socket) -> None:
    """
    Send until the system takes no more.
    """
    try:
        while True:
            system.send(bytes(2**16))
    except BlockingIOError:
        pass


@LINUX
def test_a_peer_that_reads(pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = pair
    fill(here)
    before = ask(Transport(here))
    assert not ask(Transport(here)).shows(before)
    # TCP tells of it when there is room for a whole segment.
    for _ in range(100):
        there.recv(2**16)
        if ask(Transport(here)).shows(before):
            break
    else:
        pytest.fail("a megabyte was read, and nothing told of it")


@LINUX
def test_what_arrives_behind_what_is_not_read(pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = pair
    before = ask(Transport(here))
    there.send(b"x")
    # A UNIX socket tells nothing of it, but neither is anything kept from its reader.
    assert ask(Transport(here)).shows(before) == (here.family != socket.AF_UNIX)


def test_what_the_transport_got_rid_of(pair: tuple[socket.socket, socket.socket]) -> None:
    transport = Transport(pair[0])
    transport.write(bytes(10))
    before = ask(transport, 10)
    transport.write(bytes(5))
    assert not ask(transport, 15).shows(before)
    transport.doWrite()
    assert ask(transport, 15).shows(before)
    assert ask(transport, 15).taken == 3
    transport.getWriteBufferSize = lambda: 2  # type: ignore[attr-defined]
    assert ask(transport, 15).taken == 13


def test_below_what_wraps_it(pair: tuple[socket.socket, socket.socket]) -> None:
    wrapper = ProtocolWrapper(WrappingFactory(None), None)  # type: ignore[arg-type]
    wrapper.transport = Transport(pair[0])
    assert progress(cast(ITransport, wrapper), 0) == progress(
        cast(ITransport, Transport(pair[0])), 0
    )


def test_without_a_socket(pair: tuple[socket.socket, socket.socket]) -> None:
    assert progress(StringTransport(), 0) is None
    pair[0].close()
    assert progress(cast(ITransport, Transport(pair[0])), 0) is None
