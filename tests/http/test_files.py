"""
Tests for L{netkit.http.files} and L{netkit.http.events}.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred

from netkit.http import Event, HTTPFactory, Request, Response, eventResponse, fileResponse
from tests.conftest import Listen

from ..clients import connect
from .connected import Connection, get, post

BIG = os.urandom(3_000_000)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """
    A folder with files.
    """
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "big.bin").write_bytes(BIG)
    (folder / "a.txt").write_text("text")
    (folder / "a.tar.gz").write_bytes(b"x")
    (folder / "none").write_bytes(b"")
    (folder / "folder").mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    return folder


async def ask(listen: Listen, root: Path, octets: bytes) -> tuple[bytes, bytes]:
    async def handler(request: Request) -> Response:
        return await fileResponse(request, request.path.decode()[1:], root=root)

    client = await connect(await listen(HTTPFactory(handler)))
    client.transport.write(octets.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
    await client.lost
    head, _, content = bytes(client.received).partition(b"\r\n\r\n")
    return head, content


@pytest_twisted.ensureDeferred
async def test_all_of_it_and_ranges(listen: Listen, root: Path) -> None:
    head, content = await ask(listen, root, get(b"/big.bin"))
    assert content == BIG
    assert b"content-length: 3000000" in head
    assert b"content-type: application/octet-stream" in head
    etag = head.partition(b"etag: ")[2].partition(b"\r\n")[0]
    head, content = await ask(listen, root, get(b"/big.bin", b"Range: bytes=-300000"))
    assert b"content-range: bytes 2700000-2999999/3000000" in head
    assert content == BIG[-300_000:]
    head, content = await ask(listen, root, get(b"/big.bin", b"If-None-Match: " + etag))
    assert (head[:12], content) == (b"HTTP/1.1 304", b"")
    head, content = await ask(listen, root, get(b"/a.txt").replace(b"GET", b"HEAD"))
    assert b"content-length: 4" in head
    assert b"content-type: text/plain; charset=utf-8" in head
    assert content == b""


@pytest.mark.parametrize(
    ("octets", "status", "told"),
    [
        (get(b"/a.txt", b"Range: bytes=9-"), 416, b"content-range: bytes */4"),
        (get(b"/a.txt", b'If-Match: "x"'), 412, b""),
        (get(b"/a.tar.gz"), 200, b"content-type: application/gzip"),
        (get(b"/none"), 200, b"content-length: 0"),
        (get(b"/folder"), 404, b""),
        (get(b"/missing"), 404, b""),
        (get(b"/../secret"), 404, b""),
        (get(b"//etc/passwd"), 404, b""),
        (get(b"/link"), 404, b""),
        (post(b"").replace(b"POST /", b"POST /a.txt"), 405, b"allow: GET, HEAD"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_is_not_all_of_it(
    listen: Listen, root: Path, octets: bytes, status: int, told: bytes
) -> None:
    head, content = await ask(listen, root, octets)
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert told in head
    assert b"secret" not in content


@pytest_twisted.ensureDeferred
async def test_a_client_that_goes_away_leaves_nothing_open(listen: Listen, root: Path) -> None:
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    done: Deferred[None] = Deferred()

    async def handler(request: Request) -> Response:
        response = await fileResponse(request, root / "big.bin")
        content: Any = response.content

        async def watched() -> AsyncIterator[bytes]:
            try:
                async for piece in content:
                    yield piece
            finally:
                await content.aclose()
                done.callback(None)

        return Response(200, watched())

    factory = HTTPFactory(handler)
    client = await connect(await listen(factory))
    client.transport.write(get())
    await client.receive(1)
    client.transport.abortConnection()
    await done
    # The file is closed by a thread.
    while any(_leadsTo(number, root) for number in os.listdir("/proc/self/fd")):
        await deferLater(reactor, 0.001)


def _leadsTo(descriptor: str, root: Path) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(root))
    except OSError:
        return False


@pytest_twisted.ensureDeferred
async def test_nothing_waits_for_an_acknowledgement(listen: Listen, root: Path) -> None:
    """
    What is written after the head is not held back until the client has acknowledged the head.
    """
    factory = HTTPFactory(lambda request: fileResponse(request, root / "a.txt"))
    client = await connect(await listen(factory))
    client.transport.write(get())
    while not client.received.endswith(b"text"):
        await client.receive(len(client.received) + 1)
    [connection] = factory.connections
    if isinstance(connection.transport.getHost(), IPv4Address):
        assert connection.transport.getTcpNoDelay()
    client.transport.loseConnection()


def test_events() -> None:
    closed: list[bool] = []

    async def events() -> AsyncIterator[Event | str]:
        try:
            yield "one\r\ntwo"
            yield Event("x", event="tick", id="7", retry=1.5)
            await Deferred()
        finally:
            closed.append(True)

    connection = Connection(lambda request: eventResponse(events()))
    connection.send(get())
    head, _, content = connection.take().partition(b"\r\n\r\n")
    assert b"content-type: text/event-stream\r\n" in head
    assert b"data: one\ndata: two\n\n" in content
    assert b"event: tick\nid: 7\nretry: 1500\ndata: x\n\n" in content
    connection.lose()
    assert closed == [True]
    with pytest.raises(ValueError, match="id has one line"):
        Event("x", id="a\nb")
