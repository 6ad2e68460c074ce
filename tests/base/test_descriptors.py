"""
Tests for L{netkit.base.descriptors}.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, gatherResults
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
    # A pipe does not take it all: that it is not read yet holds up nobody here.
    pieces = [os.urandom(length) for length in (1, 2**16, 0, 2**16 + 1, 3, 2**20, 5)]
    written = [writer.write(piece) for piece in pieces]
    everything = b"".join(pieces)
    assert await deferToThread(readAll, reading, len(everything)) == everything
    await gatherResults(written)
    writer.stop()


@pytest_twisted.ensureDeferred
async def test_nobody_reads_any_more(reactor: Any) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    writer = DescriptorWriter(reactor, writing)
    for written in [writer.write(b"one"), writer.write(bytes(2**17))]:
        with pytest.raises(BrokenPipeError):
            await written
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
async def test_nobody_waits_any_more_for_what_is_written_then(
    reactor: Any, pipe: tuple[int, int]
) -> None:
    reading, writing = pipe
    writer = DescriptorWriter(reactor, writing)
    given_up = writer.write(b"x" * 2**20)
    given_up.addErrback(lambda failure: failure.trap(CancelledError))
    given_up.cancel()
    rest = writer.write(b"y")
    assert len(await deferToThread(read_all, reading, 2**20 + 1)) == 2**20 + 1
    await rest
    writer.stop()


def read_all(descriptor: int, length: int) -> bytes:
    data = b""
    while len(data) < length:
        data += os.read(descriptor, 2**16)
    return data
