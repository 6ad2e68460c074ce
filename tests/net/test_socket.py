"""
Tests for L{netkit.net.socket}.
"""

from __future__ import annotations

import os
import socket as system
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    TimeoutError,
)
from twisted.internet.interfaces import IPushProducer, IReactorTime, ISystemHandle
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent
from twisted.python.failure import Failure

from netkit import net
from netkit.net.protocol import SocketOptions, SocketProtocol
from tests.narrow import present
from tests.net.conftest import Connect, Peer
from tests.net.results import now


class Fake:
    """
    A socket on a transport in memory.
    """

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.transport = StringTransport()
        self.sockets: list[net.Socket] = []
        self.protocol = SocketProtocol(
            SocketOptions(**options), IReactorTime(self.clock), self.sockets.append, print
        )
        self.protocol.makeConnection(self.transport)
        (self.socket,) = self.sockets

    @property
    def reading(self) -> bool:
        return self.transport.producerState == "producing"


@pytest_twisted.ensureDeferred
async def test_a_conversation(connect: Connect) -> None:
    socket, peer = await connect()
    assert not socket.destroyed
    await socket.write(b"request\n")
    assert await peer.receive(8) == b"request\n"
    peer.transport.write(b"one\ntwo!!rest")
    assert await socket.readUntil(b"\n") == b"one\n"
    assert await socket.readExactly(5) == b"two!!"
    assert await socket.read(2) == b"re"
    await socket.end(b"end")
    await peer.ended
    assert bytes(peer.received) == b"request\nend"
    peer.transport.write(b"!")
    peer.transport.loseConnection()
    assert await socket.read() == b"st!"
    assert await socket.read() == b""
    assert isinstance(await socket.closed, ConnectionDone)
    assert isinstance(await peer.lost, ConnectionDone)
    assert (socket.bytesRead, socket.bytesWritten) == (14, 11)
    assert socket.destroyed
    assert repr(socket).endswith(" closed>")


@pytest_twisted.ensureDeferred
async def test_iterating(connect: Connect) -> None:
    socket, peer = await connect()
    data = os.urandom(2**20)
    peer.transport.write(data)
    peer.transport.loseConnection()
    received = bytearray()
    async for piece in socket:
        received += piece
    assert received == data


@pytest_twisted.ensureDeferred
async def test_callbacks_do_as_well(connect: Connect) -> None:
    """
    Nothing has to be awaited.
    """
    socket, peer = await connect()
    socket.write(b"one")
    socket.end(b"two")
    await peer.ended
    assert bytes(peer.received) == b"onetwo"
    got: list[bytes] = []
    socket.read().addCallback(got.append)
    peer.transport.loseConnection()
    await socket.closed
    assert got == [b""]


@pytest_twisted.ensureDeferred
async def test_our_half_follows_the_peers(connect: Connect) -> None:
    """
    Without allowHalfOpen, once a read has met the peer's end; what was written before is sent.
    """
    socket, peer = await connect()
    peer.transport.write(b"data")
    peer.transport.loseWriteConnection()
    assert await socket.read(9) == b"data"
    await socket.write(b"still open")
    assert await socket.read(9) == b""
    with pytest.raises(net.WriteAfterEndError, match="pass allowHalfOpen=True"):
        await socket.write(b"too late")
    await peer.ended
    assert bytes(peer.received) == b"still open"
    assert isinstance(await socket.closed, ConnectionDone)


@pytest_twisted.ensureDeferred
async def test_allow_half_open(connect: Connect) -> None:
    socket, peer = await connect(allowHalfOpen=True)
    peer.transport.write(b"request")
    peer.transport.loseWriteConnection()
    assert await socket.read() == b"request"
    await socket.write(b"resp")
    await socket.end(b"onse")
    await peer.ended
    assert bytes(peer.received) == b"response"
    assert isinstance(await socket.closed, ConnectionDone)


@pytest_twisted.ensureDeferred
async def test_write_after_end(connect: Connect) -> None:
    socket, _ = await connect()
    await socket.end()
    await socket.end()
    with pytest.raises(net.WriteAfterEndError, match=r"end\(\) has closed"):
        await socket.write(b"data")
    with pytest.raises(net.WriteAfterEndError):
        await socket.end(b"data")


@pytest_twisted.ensureDeferred
async def test_a_reset(connect: Connect) -> None:
    """
    It is met by who reads, by who writes, and in C{closed}; it names the endpoint.
    """
    socket, peer = await connect()
    reading, closed = socket.readExactly(9), [socket.closed, socket.closed]
    writing = socket.write(b"x" * 2**24)
    IPushProducer(peer.transport).pauseProducing()
    peer.transport.write(b"data")
    while not socket.bytesRead:
        await later()
    peer.transport.abortConnection()
    for waiting in (reading, writing):
        with pytest.raises(ConnectionLost, match="ClientEndpoint"):
            await waiting
    for closing in [*closed, socket.closed]:
        assert isinstance(await closing, ConnectionLost)
    assert await socket.read(9) == b"data"
    with pytest.raises(ConnectionLost):
        await socket.read(9)


@pytest_twisted.ensureDeferred
async def test_destroy(connect: Connect) -> None:
    socket, peer = await connect()
    reading, writing = socket.read(), socket.write(b"x" * 2**24)
    socket.destroy()
    socket.destroy()
    for waiting in (reading, writing):
        with pytest.raises(ConnectionAborted, match=r"destroy\(\) was called"):
            await waiting
    assert isinstance(await socket.closed, ConnectionAborted)
    # A UNIX socket knows no reset.
    await (peer.ended if isinstance(socket.remoteAddress, UNIXAddress) else resetOf(peer))
    with pytest.raises(ConnectionAborted):
        await socket.end()
    # All of these have nothing to do any more.
    socket.destroy()
    socket.setTimeout(1)
    socket.setNoDelay()
    socket.setKeepAlive()
    socket.pause()
    socket.resume()


@pytest_twisted.ensureDeferred
async def test_destroy_for_a_reason(connect: Connect) -> None:
    socket, peer = await connect()
    peer.transport.write(b"unread")
    while not socket.bytesRead:
        await later()
    socket.destroy(LookupError("why"))
    assert isinstance(await socket.closed, LookupError)
    with pytest.raises(LookupError):
        await socket.read(9)


@pytest_twisted.ensureDeferred
async def test_addresses_and_credentials(connect: Connect) -> None:
    socket, peer = await connect()
    assert socket.remoteAddress == peer.transport.getHost()
    if isinstance(socket.remoteAddress, UNIXAddress):
        credentials = socket.peerCredentials
        assert credentials == (os.getpid(), os.geteuid(), os.getegid())
        assert credentials.uid == os.geteuid()
    else:
        assert isinstance(socket.localAddress, IPv4Address)
        assert socket.localAddress == peer.transport.getPeer()
        assert socket.peerCredentials is None
    await socket.end()
    peer.transport.loseConnection()
    await socket.closed
    # They outlive the connection.
    assert socket.remoteAddress == socket.remoteAddress
    assert (socket.peerCredentials is None) == isinstance(socket.remoteAddress, IPv4Address)


@pytest_twisted.ensureDeferred
async def test_options(connect: Connect) -> None:
    """
    On TCP they are the system's; on a UNIX socket they are nothing.
    """
    socket, _ = await connect(noDelay=True, keepAlive=True, keepAliveInitialDelay=77.0)
    handle = ISystemHandle(socket.transport).getHandle()
    assert isinstance(handle, system.socket)
    if isinstance(socket.remoteAddress, UNIXAddress):
        socket.setNoDelay(False)
        socket.setKeepAlive(False)
        assert not handle.getsockopt(system.SOL_SOCKET, system.SO_KEEPALIVE)
        return
    assert handle.getsockopt(system.IPPROTO_TCP, system.TCP_NODELAY)
    assert handle.getsockopt(system.SOL_SOCKET, system.SO_KEEPALIVE)
    assert handle.getsockopt(system.IPPROTO_TCP, system.TCP_KEEPIDLE) == 77
    socket.setNoDelay(False)
    socket.setKeepAlive(False)
    assert not handle.getsockopt(system.IPPROTO_TCP, system.TCP_NODELAY)
    assert not handle.getsockopt(system.SOL_SOCKET, system.SO_KEEPALIVE)


@pytest_twisted.ensureDeferred
async def test_small_writes_are_gathered_unless_told_otherwise(connect: Connect) -> None:
    """
    On every reactor: uvloop's would have TCP_NODELAY on.
    """
    socket, _ = await connect()
    if isinstance(socket.remoteAddress, UNIXAddress):
        return
    handle = ISystemHandle(socket.transport).getHandle()
    assert isinstance(handle, system.socket)
    assert not handle.getsockopt(system.IPPROTO_TCP, system.TCP_NODELAY)
    socket.setNoDelay()
    assert handle.getsockopt(system.IPPROTO_TCP, system.TCP_NODELAY)


@pytest_twisted.ensureDeferred
async def test_pause(connect: Connect) -> None:
    socket, peer = await connect()
    socket.pause()
    reading = socket.read(9)
    peer.transport.write(b"data")
    peer.transport.loseConnection()
    await peer.lost
    assert not reading.called
    socket.resume()
    assert await reading == b"data"


def test_who_does_not_read_is_not_sent_more() -> None:
    fake = Fake(highWaterMark=10)
    fake.protocol.dataReceived(b"012345678")
    assert fake.reading
    fake.protocol.dataReceived(b"9")
    assert not fake.reading
    # Who reads with less to be had gets more.
    assert now(fake.socket.read(1)) == b"0"
    assert fake.reading
    fake.protocol.dataReceived(b"x" * 20)
    reading = fake.socket.readExactly(99)
    assert fake.reading
    fake.protocol.dataReceived(b"x" * 80)
    assert now(reading)[:9] == b"123456789"
    assert not fake.reading
    assert now(fake.socket.read(9))
    fake.protocol.dataReceived(b"x" * 20)
    assert not fake.reading
    fake.socket.pause()
    now(fake.socket.read(99))
    assert not fake.reading
    fake.socket.resume()
    assert fake.reading


def test_nothing_is_read_after_the_end() -> None:
    fake = Fake(highWaterMark=1)
    fake.protocol.dataReceived(b"data")
    fake.protocol.readConnectionLost()
    assert now(fake.socket.read(9)) == b"data"
    assert not fake.reading


def test_an_empty_delimiter() -> None:
    with pytest.raises(ValueError, match="ends nothing"):
        now(Fake().socket.readUntil(b""))


def test_limits_are_on() -> None:
    fake = Fake()
    fake.protocol.dataReceived(b"x" * (64 * 2**20 + 1))
    with pytest.raises(net.LimitExceededError):
        now(fake.socket.read())
    with pytest.raises(net.LimitExceededError):
        now(fake.socket.readUntil(b"\n"))
    fake.protocol.readConnectionLost()
    assert len(now(fake.socket.read(limit=2**30))) == 64 * 2**20 + 1


def test_a_timeout() -> None:
    fake = Fake(timeout=10.0)
    reading = fake.socket.read(9)
    for step in (
        lambda: fake.protocol.dataReceived(b"data"),
        lambda: fake.socket.write(b"data"),
        lambda: present(fake.transport.producer).resumeProducing(),
    ):
        step()
        fake.clock.advance(9.9)
        assert not fake.transport.disconnected
    fake.clock.advance(0.2)
    assert fake.transport.disconnected
    fake.protocol.connectionLost(Failure(ConnectionAborted()))
    assert now(reading) == b"data"
    with pytest.raises(TimeoutError, match=r"192\.168\.1\.1:54321: nothing moved for 10 seconds"):
        now(fake.socket.read(9))
    assert isinstance(now(fake.socket.closed), TimeoutError)
    assert not fake.clock.getDelayedCalls()


def test_a_timeout_that_is_only_told() -> None:
    fake = Fake()
    told: list[net.Socket] = []
    fake.socket.setTimeout(5, told.append)
    fake.socket.setTimeout(10, told.append)
    fake.clock.advance(9)
    assert told == []
    fake.clock.advance(1)
    assert told == [fake.socket]
    assert not fake.transport.disconnected
    # Nothing was idle anew, until something has moved.
    fake.clock.advance(99)
    assert told == [fake.socket]
    for count in (2, 3):
        if count == 2:
            fake.protocol.dataReceived(b"data")
        else:
            fake.socket.write(b"data")
        fake.clock.advance(9)
        assert len(told) < count
        fake.clock.advance(1)
        assert told == [fake.socket] * count
    fake.socket.setTimeout(5, told.append)
    fake.socket.setTimeout(0)
    assert not fake.clock.getDelayedCalls()


@pytest.mark.parametrize("coroutine", [False, True])
def test_a_timeout_callback_that_fails(coroutine: bool, logged: list[LogEvent]) -> None:
    def function(socket: net.Socket) -> None:
        raise LookupError("a bug")

    async def asynchronous(socket: net.Socket) -> None:
        raise LookupError("a bug")

    fake = Fake()
    fake.socket.setTimeout(5, asynchronous if coroutine else function)
    fake.clock.advance(5)
    (event,) = [event for event in logged if "log_failure" in event]
    logged.remove(event)
    assert event["log_failure"].check(LookupError)
    assert not fake.transport.disconnected


def test_closed_for_many() -> None:
    """
    Each gets the reason, and who cancels does not take it from the others.
    """
    fake = Fake()
    first, second = fake.socket.closed, fake.socket.closed
    first.addErrback(lambda failure: None)
    first.cancel()
    fake.transport.loseConnection()
    fake.protocol.connectionLost()
    assert isinstance(now(second), ConnectionDone)
    assert isinstance(now(fake.socket.closed), ConnectionDone)


async def resetOf(peer: Peer) -> None:
    assert isinstance(await peer.lost, ConnectionLost)


def later() -> Deferred[None]:
    """
    Fires when the reactor has looked at its connections.
    """
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    return deferLater(reactor, 0)
