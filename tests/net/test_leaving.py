"""
Peers that leave, seen by sockets that nobody reads; and sockets that leave, with their last words
delivered.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, TimeoutError
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock

from netkit import net
from netkit.base.deadlines import LINGER
from netkit.base.unread import PERIOD
from tests.net.conftest import Connect
from tests.net.results import now
from tests.net.test_server import Timed, client, later, until

CONTENT = os.urandom(3 * 2**20)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(clock: Clock) -> Any:
    """
    The reactor, with a clock that the test moves.
    """
    return Timed(clock)


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await later()


Server = Callable[..., Any]


@pytest_twisted.async_yield_fixture(params=["tcp", "unix"])
async def gone(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    """
    Makes a server whose callback does nothing but wait for each connection to end, and tells where
    it listens.
    """
    where = "tcp:0:interface=127.0.0.1" if request.param == "tcp" else f"unix:{tmp_path / 's'}"
    servers: list[net.Server] = []
    sockets: list[net.Socket] = []

    async def make(**options: Any) -> tuple[net.Server, str, list[net.Socket], list[Exception]]:
        reasons: list[Exception] = []

        async def connected(socket: net.Socket) -> None:
            sockets.append(socket)
            reasons.append(await socket.closed)

        server = net.createServer(connected, **options)
        servers.append(server)
        return server, client(await server.listen(where)), sockets, reasons

    yield make
    for socket in sockets:
        socket.destroy()
    for server in servers:
        await server.close()


@pytest_twisted.ensureDeferred
async def test_clients_that_end(gone: Server) -> None:
    server, address, _, reasons = await gone()
    for _ in range(9):
        socket = await net.createConnection(address)
        await socket.end()
        assert isinstance(await socket.closed, ConnectionDone)
    await until(lambda: not server.getConnections())
    assert [type(reason) for reason in reasons] == [ConnectionDone] * 9


@pytest.mark.parametrize("length", [0, 9, 2**20], ids=["silent", "a little", "more than fits"])
@pytest_twisted.ensureDeferred
async def test_clients_that_break_off(gone: Server, timed: Any, clock: Clock, length: int) -> None:
    """
    With as much as a high-water mark unread, the reactor does not tell any more.
    """
    server, address, sockets, reasons = await gone(reactor=timed)
    socket = await net.createConnection(address)
    socket.write(bytes(length)).addErrback(lambda failure: None)
    await until(lambda: sockets and (sockets[0].readableLength >= min(length, 2**16)))
    await turns()
    socket.destroy()
    await socket.closed
    while server.getConnections():
        clock.advance(PERIOD)
        await turns()
    # A UNIX socket knows no reset.
    [reason] = reasons
    assert isinstance(reason, (ConnectionLost, ConnectionDone))
    if "tcp" in address:
        assert isinstance(reason, ConnectionLost)


@pytest.mark.parametrize("length", [9, 3 * 2**15], ids=["a little", "more than fits"])
@pytest_twisted.ensureDeferred
async def test_what_a_client_left_can_still_be_read(
    gone: Server, timed: Any, clock: Clock, length: int
) -> None:
    """
    It ended, and nobody has read what it sent: the connection is over after a time, and what was
    sent is there.
    """
    server, address, sockets, reasons = await gone(reactor=timed, highWaterMark=5)
    socket = await net.createConnection(address)
    await socket.end(CONTENT[:length])
    await until(lambda: sockets and sockets[0].readableLength >= 5)
    await turns()
    assert server.getConnections() == 1
    while server.getConnections():
        clock.advance(PERIOD)
        await turns()
    assert [type(reason) for reason in reasons] == [ConnectionDone]
    assert await sockets[0].read() == CONTENT[:length]


@pytest_twisted.ensureDeferred
async def test_what_came_with_the_end_can_be_answered(connect: Connect, clock: Clock) -> None:
    """
    Who has read all of it has a turn to answer; then our half is closed, though nobody reads.
    """
    socket, peer = await connect(reactor=Timed(clock))
    peer.transport.write(b"data")
    peer.transport.loseWriteConnection()
    await until(lambda: socket.readableLength)
    await turns()
    assert await socket.read(9) == b"data"
    await socket.write(b"answer")
    clock.advance(0)
    await peer.ended
    assert bytes(peer.received) == b"answer"
    assert isinstance(await socket.closed, ConnectionDone)


@pytest_twisted.ensureDeferred
async def test_who_reads_slowly_is_not_hurried(gone: Server, timed: Any, clock: Clock) -> None:
    _, address, sockets, reasons = await gone(reactor=timed, timeout=0)
    socket = await net.createConnection(address)
    await socket.end(b"data")
    await until(lambda: sockets and sockets[0].readableLength == 4)
    for octet in (b"d", b"a", b"t"):
        clock.advance(PERIOD / 2)
        await turns()
        assert await sockets[0].read(1) == octet
    # Our half is open: what is read can be answered.
    await sockets[0].write(b"answer")
    assert await sockets[0].read() == b"a"
    assert await socket.read() == b"answer"
    await until(lambda: reasons)


@pytest_twisted.ensureDeferred
async def test_half_closed_clients_stay(gone: Server, timed: Any, clock: Clock) -> None:
    """
    With allowHalfOpen, a peer that has ended has not left.
    """
    _, address, sockets, reasons = await gone(reactor=timed, timeout=0, allowHalfOpen=True)
    for data in (b"", b"data", CONTENT):
        socket = await net.createConnection(address)
        socket.end(data).addErrback(lambda failure: None)
        await turns()
        clock.advance(9 * PERIOD)
        await turns()
        assert reasons == []
        await sockets[-1].write(b"answer")
        assert await socket.read(9) == b"answer"


@pytest_twisted.ensureDeferred
async def test_a_paused_socket_is_told_of_a_reset(connect: Connect, clock: Clock) -> None:
    socket, peer = await connect(reactor=Timed(clock))
    socket.pause()
    reading = socket.read(9)
    peer.transport.write(b"data")
    await turns()
    clock.advance(PERIOD)
    await turns()
    assert not socket.destroyed
    # With something unread, a UNIX socket has a reset as well.
    await socket.write(b"unread")
    IPushProducer(peer.transport).pauseProducing()
    peer.transport.abortConnection()
    await peer.lost
    while not socket.destroyed:
        clock.advance(PERIOD)
        await turns()
    with suppress(ConnectionLost):
        await reading


# destroySoon


@pytest_twisted.ensureDeferred
async def test_everything_is_delivered(connect: Connect, clock: Clock) -> None:
    """
    Also to a peer that takes its time, which sends meanwhile what nobody reads here. Its end is
    seen, behind all that.
    """
    socket, peer = await connect(reactor=Timed(clock))
    socket.pause()
    IPushProducer(peer.transport).pauseProducing()
    peer.transport.write(bytes(2**20))
    socket.write(CONTENT).addErrback(lambda failure: None)
    closing = socket.destroySoon()
    await turns()
    assert not closing.called
    IPushProducer(peer.transport).resumeProducing()
    await peer.ended
    assert bytes(peer.received) == CONTENT
    peer.transport.loseConnection()
    await peer.lost
    await turns(1000)
    assert isinstance(now(closing), ConnectionDone)
    assert socket.destroyed


@pytest_twisted.ensureDeferred
async def test_a_peer_that_does_not_end_is_waited_for_a_time(
    connect: Connect, clock: Clock
) -> None:
    socket, peer = await connect(reactor=Timed(clock))
    closings = [socket.destroySoon(), socket.destroySoon()]
    await peer.ended
    clock.advance(LINGER - 0.1)
    await turns()
    assert not socket.destroyed
    clock.advance(0.2)
    for closing in closings:
        assert isinstance(await closing, ConnectionDone)
    assert not clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_a_peer_that_reads_late_gets_all(connect: Connect, clock: Clock) -> None:
    """
    When the time is over the system has the rest, and goes on to deliver it.
    """
    socket, peer = await connect(reactor=Timed(clock))
    IPushProducer(peer.transport).pauseProducing()
    content = CONTENT[: 2**16]
    await socket.end(content)
    closing = socket.destroySoon()
    clock.advance(LINGER)
    await closing
    IPushProducer(peer.transport).resumeProducing()
    await peer.ended
    assert bytes(peer.received) == content


@pytest_twisted.ensureDeferred
async def test_a_peer_that_never_reads(connect: Connect, clock: Clock) -> None:
    """
    The time-out ends it.
    """
    socket, peer = await connect(reactor=Timed(clock), timeout=99)
    IPushProducer(peer.transport).pauseProducing()
    socket.write(bytes(2**24)).addErrback(lambda failure: None)
    closing = socket.destroySoon()
    for _ in range(9):
        await turns()
        clock.advance(LINGER)
    assert not closing.called
    while not closing.called:
        # What it sends does not show that it takes anything.
        peer.transport.write(b"data")
        await turns()
        clock.advance(50)
        await turns()
    assert isinstance(await closing, TimeoutError)


@pytest_twisted.ensureDeferred
async def test_what_is_asked_for_after_destroy_soon(connect: Connect) -> None:
    socket, peer = await connect()
    peer.transport.write(b"unread")
    await until(lambda: socket.readableLength)
    reading = socket.readExactly(9)
    closing = socket.destroySoon()
    for read in (reading, socket.read()):
        with pytest.raises(ConnectionAborted, match=r"destroySoon\(\) was called"):
            await read
    with pytest.raises(net.WriteAfterEndError, match=r"destroySoon\(\) has closed"):
        await socket.write(b"data")
    # It may still be cut.
    socket.destroy()
    assert isinstance(await closing, ConnectionAborted)
    assert isinstance(await socket.destroySoon(), ConnectionAborted)


@pytest_twisted.ensureDeferred
async def test_destroy_soon_after_the_peers_end(connect: Connect) -> None:
    socket, peer = await connect(allowHalfOpen=True)
    peer.transport.loseWriteConnection()
    assert await socket.read() == b""
    socket.write(b"answer")
    closing = socket.destroySoon()
    await peer.ended
    assert bytes(peer.received) == b"answer"
    assert isinstance(await closing, ConnectionDone)


@pytest_twisted.ensureDeferred
async def test_destroy_in_the_same_turn(connect: Connect) -> None:
    socket, _ = await connect()
    reading, closed = socket.read(9), socket.closed
    socket.destroy()
    assert socket.destroyed
    results: list[Deferred[Any]] = [reading, socket.read(9)]
    for failing in (*results, socket.write(b"data"), socket.end(b"data")):
        with pytest.raises(ConnectionAborted, match=r"destroy\(\) was called"):
            now(failing)
    assert not closed.called
    assert isinstance(await closed, ConnectionAborted)
    assert socket.bytesWritten == 0


@pytest_twisted.ensureDeferred
async def test_destroy_of_what_has_ended(connect: Connect) -> None:
    """
    What is dropped does not look as if it had been all.
    """
    socket, peer = await connect()
    peer.transport.write(b"data")
    peer.transport.loseConnection()
    await peer.lost
    await until(lambda: socket.readableLength)
    await turns()
    socket.destroy()
    with pytest.raises(ConnectionAborted):
        await socket.read()


@pytest_twisted.ensureDeferred
async def test_who_reads_to_a_loss_and_ends_is_told_of_it(gone: Server) -> None:
    _, where, sockets, _ = await gone()
    socket = await net.createConnection(where, allowHalfOpen=True)
    await until(lambda: sockets)

    async def readAndEnd() -> None:
        with suppress(ConnectionLost):
            async for _ in socket:
                pass
        await socket.end()

    ending = Deferred.fromCoroutine(readAndEnd())
    # With something unread, the connection is reset.
    await socket.write(b"unread")
    sockets[0].destroy()
    with pytest.raises((ConnectionLost, ConnectionDone)):
        await ending
