"""
Tests for L{netkit.base.descriptors}.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Thread, current_thread
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread

from netkit.base.descriptors import DescriptorWriter


@pytest.fixture
def reactor() -> Any:
    from twisted.internet import reactor

    return reactor


@pytest.fixture(params=["blocking", "not blocking"])
def pipe(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    os.set_blocking(writing, request.param == "blocking")
    yield reading, writing
    for descriptor in (reading, writing):
        os.close(descriptor)


def readAll(descriptor: int, length: int) -> bytes:
    data = b""
    while len(data) < length:
        data += os.read(descriptor, length - len(data))
    return data


@pytest_twisted.ensureDeferred
async def test_a_slow_reader_gets_everything_in_order(pipe: tuple[int, int], reactor: Any) -> None:
    reading, writing = pipe
    writer = DescriptorWriter(reactor, writing)
    pieces = [os.urandom(length) for length in (1, 2**16, 0, 2**16 + 1, 3, 2**20, 5)]
    written = [writer.write(piece) for piece in pieces]
    # The pipe does not take it all: that it is not read yet holds up nobody here.
    assert writer.buffered == sum(map(len, pieces))
    everything = b"".join(pieces)
    assert await deferToThread(readAll, reading, len(everything)) == everything
    await gatherResults(written)
    assert writer.buffered == 0
    writer.stop()


@pytest_twisted.ensureDeferred
async def test_pieces_are_made_in_the_thread(pipe: tuple[int, int], reactor: Any) -> None:
    reading, writing = pipe
    here, threads = current_thread(), []

    def make() -> Iterator[bytes]:
        for number in range(3):
            threads.append(current_thread())
            yield b"%d" % number

    writer = DescriptorWriter(reactor, writing)
    await writer.writePieces(make(), 3)
    assert os.read(reading, 9) == b"012"
    assert here not in threads
    writer.stop()


@pytest_twisted.ensureDeferred
async def test_nobody_reads_any_more(reactor: Any) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    writer = DescriptorWriter(reactor, writing)
    for written in [writer.write(b"one"), writer.write(b"two"), writer.write(bytes(2**17))]:
        with pytest.raises(BrokenPipeError):
            await written
    assert writer.buffered == 0
    writer.stop()
    os.close(writing)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
@pytest_twisted.ensureDeferred
async def test_a_full_disk(reactor: Any, tmp_path: Path) -> None:
    """
    What is written when there is room again is written.
    """
    descriptor = os.open("/dev/full", os.O_WRONLY)
    writer = DescriptorWriter(reactor, descriptor)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        await writer.write(b"lost")
    room = os.open(tmp_path / "room", os.O_WRONLY | os.O_CREAT)
    os.dup2(room, descriptor)
    await writer.write(b"kept")
    assert (tmp_path / "room").read_bytes() == b"kept"
    writer.stop()
    os.close(descriptor)
    os.close(room)


@pytest_twisted.ensureDeferred
async def test_what_fails_while_it_is_made_is_an_error_of_its_own(
    pipe: tuple[int, int], reactor: Any
) -> None:
    reading, writing = pipe

    def fails() -> Iterator[bytes]:
        yield b"part"
        raise OSError(errno.EIO, "cannot be made")

    writer = DescriptorWriter(reactor, writing)
    failed = writer.writePieces(fails(), 4)
    with pytest.raises(OSError, match="cannot be made"):
        await failed
    await writer.write(b"next")
    assert os.read(reading, 99) == b"next"
    writer.stop()


@pytest_twisted.ensureDeferred
async def test_the_thread_ends(pipe: tuple[int, int], reactor: Any) -> None:
    threads: list[Thread] = []

    def make() -> Iterator[bytes]:
        threads.append(current_thread())
        yield b"x"

    writer = DescriptorWriter(reactor, pipe[1])
    await writer.writePieces(make(), 1)
    writer.stop()
    threads[0].join(60)
    assert not threads[0].is_alive()
