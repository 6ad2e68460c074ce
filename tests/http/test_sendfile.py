"""
Tests for files that the system sends: L{netkit.base.sendfile}, as L{netkit.http.files} uses it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from socket import socket
from threading import Event
from typing import Any, cast

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory, ISystemHandle
from twisted.internet.task import Clock, deferLater
from twisted.protocols.policies import WrappingFactory

from netkit.http import Exchange, HTTPFactory, Request, Response, fileResponse
from netkit.http.exchange import Observe
from netkit.operation.figures import Requests
from tests.conftest import Listen

from ..clients import Client, connect
from .connected import get

# More than the buffers of a connection take.
SIZE = 2**23
BIG = os.urandom(SIZE // 8) * 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """
    A large file, and beside it a small one.
    """
    (tmp_path / "small").write_bytes(b"small")
    path = tmp_path / "big"
    path.write_bytes(BIG)
    return path


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """
    How many octets the system sent each time that it was asked to.
    """
    numbers: list[int] = []
    real = os.sendfile

    def sendfile(out: int, file: int, offset: int, count: int) -> int:
        numbers.append(0)
        numbers[-1] = octets = real(out, file, offset, count)
        return octets

    monkeypatch.setattr(os, "sendfile", sendfile)
    return numbers


class Files(HTTPFactory):
    """
    Answers with the files of a folder.

    @ivar exchanges: what was told of them.
    @ivar done: the next one.
    """

    def __init__(
        self, folder: Path, clock: Clock | None = None, observe: Observe | None = None
    ) -> None:
        tell = self._tell if observe is None else None
        super().__init__(
            self._answer, exchangeDone=tell, observe=observe, clock=clock, idleTimeout=4.0
        )
        self.exchanges: list[Exchange] = []
        self.done: Deferred[Exchange] = Deferred()
        self.made: Callable[[], None] = lambda: None
        self._folder = folder

    async def _answer(self, request: Request) -> Response:
        response = await fileResponse(request, request.path.decode()[1:], root=self._folder)
        self.made()
        return response

    def _tell(self, *values: Any) -> None:
        exchange = Exchange(*values)
        self.exchanges.append(exchange)
        done, self.done = self.done, Deferred()
        done.callback(exchange)


def content(client: Client) -> bytes:
    """
    All that came behind the first head.
    """
    return bytes(client.received).partition(b"\r\n\r\n")[2]


def socketOf(factory: HTTPFactory) -> str:
    """
    What the system calls the socket of the only connection.
    """
    [connection] = factory.connections
    handle = cast(socket, ISystemHandle(connection.transport).getHandle())
    return os.readlink(f"/proc/self/fd/{handle.fileno()}")


def isOpen(name: str | Path) -> bool:
    """
    Whether a descriptor leads to a file or a socket.
    """
    for number in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{number}") == str(name):
                return True
        except OSError:
            # That was the list's own.
            continue
    return False


async def until(holds: Callable[[], bool]) -> None:
    """
    Wait for what nobody tells.
    """
    from twisted.internet import reactor

    while not holds():
        await deferLater(reactor, 0.005)


@pytest_twisted.ensureDeferred
async def test_the_system_sends_it_and_the_next_response_follows(
    listen: Listen, path: Path, sent: list[int]
) -> None:
    factory = Files(path.parent)
    client = await connect(await listen(factory))
    client.transport.write(
        get(b"/big")
        + get(b"/big").replace(b"GET", b"HEAD")
        + get(b"/big", b"Range: bytes=1000-2000999")
        + get(b"/small", b"Connection: close")
    )
    await client.lost
    received = content(client)
    assert received[:SIZE] == BIG
    assert sum(sent) == SIZE + 2_000_000
    range = received[SIZE:].partition(b"\r\n\r\n")[2].partition(b"\r\n\r\n")[2]
    assert range[:2_000_000] == BIG[1000:2_001_000]
    assert range.endswith(b"\r\n\r\nsmall")
    assert [(each.status, each.octets) for each in factory.exchanges] == [
        (200, SIZE),
        (200, 0),
        (206, 2_000_000),
        (200, 5),
    ]
    await until(lambda: not isOpen(path))


@pytest_twisted.ensureDeferred
async def test_what_the_system_sends_is_counted(
    listen: Listen, path: Path, sent: list[int]
) -> None:
    clock = Clock()
    requests = Requests(None, clock)
    client = await connect(await listen(Files(path.parent, clock, requests.observe)))
    request = get(b"/big", b"Connection: close")
    client.transport.write(request)
    await client.lost
    assert sum(sent) == SIZE
    found = requests.figures("files")
    assert found["octets", "files", "received"] == len(request)
    assert found["octets", "files", "sent"] == len(client.received)


@pytest_twisted.ensureDeferred
async def test_http_1_0(listen: Listen, path: Path, sent: list[int]) -> None:
    client = await connect(await listen(Files(path.parent)))
    client.transport.write(b"GET /big HTTP/1.0\r\n\r\n")
    await client.lost
    assert content(client) == BIG
    assert sum(sent) == SIZE


@pytest_twisted.ensureDeferred
async def test_clients_that_do_not_read_occupy_no_threads(listen: Listen, path: Path) -> None:
    from twisted.internet import reactor

    endpoint = await listen(Files(path.parent))
    slow = []
    # More of them than there are threads.
    for _ in range(reactor.getThreadPool().max + 1):  # type: ignore[attr-defined]
        client = await connect(endpoint)
        client.transport.write(get(b"/big"))
        await client.receive(1)
        client.transport.pauseProducing()  # type: ignore[attr-defined]
        slow.append(client)
    other = await connect(endpoint)
    other.transport.write(get(b"/big", b"Connection: close"))
    await other.lost
    assert content(other) == BIG
    for client in slow[1:]:
        client.transport.abortConnection()
    first = slow[0]
    first.transport.resumeProducing()  # type: ignore[attr-defined]
    head = first.received.index(b"\r\n\r\n") + 4
    assert (await first.receive(head + SIZE))[head:] == BIG
    first.transport.loseConnection()


@pytest_twisted.ensureDeferred
async def test_a_client_that_does_not_read_is_idle(listen: Listen, path: Path) -> None:
    clock = Clock()
    factory = Files(path.parent, clock)
    client = await connect(await listen(factory))
    client.transport.write(get(b"/big"))
    await client.receive(1)
    client.transport.pauseProducing()  # type: ignore[attr-defined]

    def ended() -> bool:
        clock.advance(1)
        return bool(factory.exchanges)

    await until(ended)
    [exchange] = factory.exchanges
    assert exchange.status == 499
    assert 0 < exchange.octets < SIZE
    client.transport.abortConnection()


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves(listen: Listen, path: Path) -> None:
    factory = Files(path.parent)
    client = await connect(await listen(factory))
    done = factory.done
    client.transport.write(get(b"/big"))
    await client.receive(1)
    name = socketOf(factory)
    client.transport.abortConnection()
    assert (await done).status == 499
    await until(lambda: not factory.connections)
    await until(lambda: not (isOpen(name) or isOpen(path)))
    assert len(factory.exchanges) == 1


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_while_a_thread_sends(
    listen: Listen, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, goOn = Event(), Event()
    seen: list[bool] = []

    def sendfile(out: int, file: int, offset: int, count: int) -> int:
        begun.set()
        goOn.wait()
        # Both are open, whatever became of the connection.
        seen.append(os.fstat(out) is not None and os.fstat(file).st_size == SIZE)
        raise BrokenPipeError

    monkeypatch.setattr(os, "sendfile", sendfile)
    factory = Files(path.parent)
    client = await connect(await listen(factory))
    done = factory.done
    client.transport.write(get(b"/big"))
    await until(begun.is_set)
    name = socketOf(factory)
    client.transport.abortConnection()
    await done
    goOn.set()
    await until(lambda: not (isOpen(name) or isOpen(path)))
    assert seen == [True]


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_cut_cuts_the_connection(
    listen: Listen, path: Path, sent: list[int], logged: list[dict[str, object]]
) -> None:
    factory = Files(path.parent)
    factory.made = lambda: os.truncate(path, 3_000_000)
    client = await connect(await listen(factory))
    client.transport.write(get(b"/big"))
    await client.lost
    assert sum(sent) == 3_000_000
    assert BIG.startswith(content(client))
    [exchange] = factory.exchanges
    assert (exchange.status, exchange.octets) == (500, 3_000_000)
    [told] = [event for event in logged if event.get("log_failure") is not None]
    logged.remove(told)
    assert "5388608 octets shorter" in str(told["log_failure"])


@pytest.mark.parametrize("after", [0, 3])
@pytest_twisted.ensureDeferred
async def test_a_file_that_the_system_does_not_send_is_read(
    listen: Listen, path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    real, left = os.sendfile, [after]

    def sendfile(out: int, file: int, offset: int, count: int) -> int:
        if not left[0]:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        left[0] -= 1
        return real(out, file, offset, 100_000)

    monkeypatch.setattr(os, "sendfile", sendfile)
    factory = Files(path.parent)
    client = await connect(await listen(factory))
    client.transport.write(get(b"/big", b"Connection: close"))
    await client.lost
    assert content(client) == BIG
    assert [(each.status, each.octets) for each in factory.exchanges] == [(200, SIZE)]


@pytest_twisted.ensureDeferred
async def test_what_is_wrapped_sees_all_of_it(listen: Listen, path: Path, sent: list[int]) -> None:
    wrapped: IProtocolFactory = WrappingFactory(Files(path.parent))
    client = await connect(await listen(wrapped))
    client.transport.write(get(b"/big", b"Connection: close"))
    await client.lost
    assert content(client) == BIG
    assert not sent


@pytest_twisted.ensureDeferred
async def test_a_service_that_stops_sends_it_to_its_end(listen: Listen, path: Path) -> None:
    factory = Files(path.parent)
    client = await connect(await listen(factory))
    client.transport.write(get(b"/big"))
    await client.receive(1)
    assert await factory.closeConnections(60) == 0
    await client.lost
    assert content(client) == BIG
