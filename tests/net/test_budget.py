"""
How much the sockets of a server keep in memory together.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_twisted
from twisted.logger import LogEvent

from netkit import net
from tests.net.test_server import LOCAL, Serve, client, serve, until

__all__ = ["serve"]

LIMIT = 2**20


@pytest.fixture(params=["tcp", "unix"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return LOCAL if request.param == "tcp" else f"unix:{tmp_path / 's'}"


@pytest_twisted.ensureDeferred
async def test_more_than_may_be_kept_is_received(
    serve: Serve, where: str, logged: list[LogEvent]
) -> None:
    """
    The one that goes over it is refused, and told in a line; the others live. What they give back
    others can have.
    """
    contents: list[bytes] = []

    async def connected(socket: net.Socket) -> None:
        contents.append(await socket.read())
        await socket.end(b"answer")

    server = serve(connected, allowHalfOpen=True, maxBuffered=LIMIT)
    address = client(await server.listen(where))
    for _ in range(3):
        first = await net.createConnection(address)
        await first.write(bytes(LIMIT // 2))
        second = await net.createConnection(address)
        second.write(bytes(LIMIT)).addErrback(lambda failure: None)
        await second.closed
        await first.end()
        assert await first.read() == b"answer"
        await first.closed
        await until(lambda: not server.getConnections())
    assert [len(content) for content in contents] == [LIMIT // 2] * 3
    events = [event for event in logged if "reason" in event]
    assert len(events) == 3
    for event in events:
        assert event["log_format"] == "{peer} refused: {reason}"
        assert str(LIMIT) in event["reason"]


@pytest.mark.parametrize("unread", [b"", b"data"], ids=["", "with something unread"])
@pytest_twisted.ensureDeferred
async def test_more_than_may_be_kept_is_written(serve: Serve, where: str, unread: bytes) -> None:
    sockets: list[net.Socket] = []
    server = serve(sockets.append, maxBuffered=LIMIT)
    address = client(await server.listen(where))
    peers = []
    for count in (1, 2):
        peers.append(await net.createConnection(address))
        await until(lambda: len(sockets) == count)  # noqa: B023 - awaited here
        peers[-1].pause()
    await peers[1].write(unread)
    await until(lambda: sockets[1].readableLength == len(unread))
    # The system takes some of it.
    writing = sockets[1].write(bytes(2**24))
    with pytest.raises(net.BudgetExceededError, match=str(LIMIT)):
        await writing
    assert isinstance(await sockets[1].closed, net.BudgetExceededError)
    await sockets[0].write(b"data")
    peers[0].resume()
    assert await peers[0].read(9) == b"data"


def kept(server: net.Server) -> int:
    return server._factory.budget.used


@pytest.mark.parametrize("how", ["read", "destroyed", "lost", "left"])
@pytest_twisted.ensureDeferred
async def test_all_is_given_back(serve: Serve, where: str, how: str) -> None:
    sockets: list[net.Socket] = []
    server = serve(sockets.append)
    socket = await net.createConnection(client(await server.listen(where)))
    await socket.write(b"data")
    await until(lambda: sockets and sockets[0].readableLength == 4)
    socket.pause()
    sockets[0].write(bytes(2**24)).addErrback(lambda failure: None)
    assert kept(server) >= 4
    if how == "read":
        socket.resume()
        assert await sockets[0].read(9) == b"data"
        sockets[0].end().addErrback(lambda failure: None)
        assert len(await socket.read()) == 2**24
    elif how == "destroyed":
        sockets[0].destroy()
    elif how == "lost":
        socket.destroy()
    else:
        socket.resume()
        sockets[0].destroySoon()
        assert len(await socket.read()) == 2**24
    await sockets[0].closed
    assert kept(server) == 0
