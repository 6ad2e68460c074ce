"""
Many sockets at once, each half closed at a moment of its own: no byte is lost, none is added.
"""

from __future__ import annotations

import os
import random
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ConnectionDone

from netkit import net
from tests.narrow import present, tcpAddress

# On a UNIX socket the same code runs.
SOCKETS = {"tcp": 1000, "unix": 200}
# Bytes that each of the two sides sends; C{NETKIT_FULL=1} makes it the MiB of the promise.
LENGTH = 2**20 if os.environ.get("NETKIT_FULL") == "1" else 2**18

# Every socket sends a stretch of this.
POOL = random.Random(1).randbytes(3 * LENGTH)


@pytest.fixture
def manyFiles() -> Iterator[None]:
    """
    Leave to open as many files as two ends of each connection need.
    """
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * max(SOCKETS.values()) + 200
    if most != resource.RLIM_INFINITY and most < needed:
        pytest.skip(f"this process may open {most} files, and {needed} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before, needed), most))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


class Side:
    """
    One end of a connection: sends its stretch, and checks what it receives against the other's.

    It begins to send when so many bytes have come: at once, in the middle, or after the peer's
    end. It half-closes when all is sent.
    """

    def __init__(self, socket: net.Socket, seed: int, client: bool) -> None:
        self._socket = socket
        self._random = random.Random(f"{seed} {client}")
        offsets = random.Random(seed)
        ours, theirs = (offsets.randrange(2 * LENGTH) for _ in range(2))
        if not client:
            ours, theirs = theirs, ours
        self._ours, self._theirs = ours, theirs
        # One side of the two begins at once, or both would wait for each other.
        waits = offsets.random() < 0.5
        begin = self._random.choice([0, self._random.randrange(LENGTH), LENGTH])
        self._begin = begin if waits == client else 0

    async def run(self) -> None:
        sending: Deferred[None] | None = None
        received = 0
        if not self._begin:
            sending = Deferred.fromCoroutine(self._send())
        while piece := await self._socket.read(self._random.randrange(1, 2**17)):
            position = self._theirs + received
            assert piece == POOL[position : position + len(piece)], f"other bytes at {received}"
            received += len(piece)
            if sending is None and received >= self._begin:
                sending = Deferred.fromCoroutine(self._send())
        assert received == LENGTH
        await present(sending)
        assert isinstance(await self._socket.closed, ConnectionDone)

    async def _send(self) -> None:
        sent = 0
        while sent < LENGTH:
            size = min(self._random.randrange(1, 2**17), LENGTH - sent)
            position = self._ours + sent
            piece = POOL[position : position + size]
            sent += size
            if sent == LENGTH and self._random.random() < 0.5:
                await self._socket.end(piece)
                return
            await self._socket.write(piece)
        await self._socket.end()


@pytest.mark.usefixtures("manyFiles")
@pytest.mark.parametrize("transport", ["tcp", "unix"])
@pytest_twisted.ensureDeferred
async def test_no_byte_is_lost(transport: str, tmp_path: Path) -> None:
    seed = int(os.environ.get("NETKIT_SEED", random.randrange(2**32)))
    print(f"\nNETKIT_SEED={seed}")
    count = SOCKETS[transport]

    async def connected(socket: net.Socket) -> None:
        number = int.from_bytes(await socket.readExactly(4))
        await Side(socket, seed + number, client=False).run()
        served.append(number)

    served: list[int] = []
    server = net.createServer(connected, allowHalfOpen=True)
    description = "tcp:0:interface=127.0.0.1" if transport == "tcp" else f"unix:{tmp_path / 's'}"
    address = await server.listen(description, backlog=count)
    client = f"unix:{tmp_path / 's'}"
    if transport == "tcp":
        client = f"tcp:127.0.0.1:{tcpAddress(address).port}"

    async def talk(number: int) -> None:
        socket = await net.createConnection(client, allowHalfOpen=True)
        await socket.write(number.to_bytes(4))
        await Side(socket, seed + number, client=True).run()

    sides = [Deferred.fromCoroutine(talk(number)) for number in range(count)]
    await gatherResults(sides, consumeErrors=True)
    await server.close()
    assert sorted(served) == list(range(count))
