"""
Tests for L{netkit.capture.segments}.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event as Signal
from typing import Any, TypeVar

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import LogEvent

from netkit.capture import segments
from netkit.capture.reading import Recordings
from netkit.capture.recorder import EVENT
from netkit.capture.segments import SegmentFiles, Segments, segmentFiles
from netkit.wire.recording import (
    Closed,
    Direction,
    Dropped,
    End,
    Event,
    Octets,
    Opened,
    RecordingReader,
    Role,
    Unrecorded,
)

T = TypeVar("T")


@pytest.fixture
def reactor() -> Any:
    from twisted.internet import reactor

    assert IReactorFromThreads.providedBy(reactor)
    return reactor


def files(folder: Path, size: int = 2**20, count: int = 3) -> SegmentFiles:
    return SegmentFiles(folder, size=size, count=count, application="netkit's tests")


def opened(connection: int = 1) -> Opened:
    return Opened(connection, 1, Role.SERVER, "test", ("192.0.2.1", 1), ("192.0.2.2", 2))


def octets(length: int, connection: int = 1) -> Octets:
    return Octets(connection, 2, Direction.RECEIVED, b"x" * length, length)


def events(folder: Path) -> list[list[Event]]:
    """
    What the files have, file by file.
    """
    return [list(RecordingReader().feed(path.read_bytes())) for path in segmentFiles(folder)]


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    written = files(tmp_path / "new" / "capture")
    written.check()
    written.write([opened()])
    written.close()
    folder = tmp_path / "new" / "capture"
    [path] = segmentFiles(folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_oldest_files_make_room(tmp_path: Path) -> None:
    written = files(tmp_path, size=10_000)
    written.write([opened()])
    names = set()
    for _ in range(10):
        written.write([octets(10_000)])
        names.add(segmentFiles(tmp_path)[-1].name)
    written.close()
    assert len(names) == 10
    kept = events(tmp_path)
    assert len(kept) == 3
    for file in kept:
        [first, *rest] = file
        assert isinstance(first, Opened)
        assert first.continued
        assert rest == [octets(10_000)]


def test_a_file_has_the_disk_ahead_and_gives_back_what_it_did_not_take(tmp_path: Path) -> None:
    size = 2**20
    written = files(tmp_path, size=size)
    written.write([opened(), octets(1000)])
    [path] = segmentFiles(tmp_path)
    if path.stat().st_blocks * 512 < size:
        pytest.skip("the file system has no fallocate(2)")
    # Whoever reads it meanwhile finds what was written, and nothing behind it.
    assert events(tmp_path) == [[opened(), octets(1000)]]
    assert path.stat().st_size < 10_000
    written.write([octets(2000)])
    assert path.stat().st_blocks * 512 < 2 * size
    written.close()
    assert path.stat().st_blocks * 512 < 10_000
    assert events(tmp_path) == [[opened(), octets(1000), octets(2000)]]


def test_another_run_goes_on_counting(tmp_path: Path) -> None:
    for _ in range(2):
        written = files(tmp_path)
        written.write([opened()])
        written.close()
    first, second = (path.name.split("-")[1] for path in segmentFiles(tmp_path))
    assert int(second) == int(first) + 1


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "netkit-notes.pcapng"
    other.write_text("mine")
    written = files(tmp_path, size=1, count=1)
    for _ in range(3):
        written.write([opened()])
    written.close()
    assert other.read_text() == "mine"
    assert len(segmentFiles(tmp_path)) == 1


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        files(tmp_path / "file" / "capture").check()


def test_what_a_full_disk_took_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A part of what was to be written is taken back; what follows is in a section of its own, so
    that no older file has to make room for it.
    """
    written = files(tmp_path)
    written.write([opened(), octets(10)])
    real, left = os.write, [500]

    def full(descriptor: int, data: bytes | memoryview) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = real(descriptor, data[: left[0]])
        left[0] -= taken
        return taken

    def fullOfPieces(descriptor: int, pieces: list[bytes]) -> int:
        return full(descriptor, b"".join(pieces))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        patched.setattr(os, "writev", fullOfPieces)
        with pytest.raises(OSError, match="No space"):
            written.write([octets(1000)])
        with pytest.raises(OSError, match="No space"):
            written.write([opened(2)])
    written.write([octets(20), octets(30, 2)])
    written.close()
    [file] = events(tmp_path)
    assert file[:2] == [opened(), octets(10)]
    assert [type(event) for event in file[2:]] == [Opened, Octets, Opened, Octets]
    again, *_ = file[2:]
    assert isinstance(again, Opened)
    assert again.continued


def test_a_disk_that_stays_full_takes_no_older_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = files(tmp_path, size=1000)
    written.write([opened()])
    for _ in range(4):
        written.write([octets(1000)])
    before = segmentFiles(tmp_path)

    with monkeypatch.context() as patched:
        refusing(patched)
        for _ in range(10):
            with pytest.raises(OSError, match="No space"):
                written.write([octets(1000)])
    assert segmentFiles(tmp_path)[:-1] == before[1:]
    written.write([octets(20)])
    written.close()
    assert len(segmentFiles(tmp_path)) == 3
    assert events(tmp_path)[-1][-1] == octets(20)


def test_a_folder_that_vanishes_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "capture"
    written = files(folder)
    written.write([opened(), octets(10)])
    shutil.rmtree(folder)
    written.write([octets(20)])
    written.close()
    [[first, second]] = events(folder)
    assert isinstance(first, Opened)
    assert second == octets(20)


def test_two_processes_in_a_folder(tmp_path: Path) -> None:
    """
    What each wrote by turns is read as what it is.
    """
    both = [files(tmp_path, size=1, count=100) for _ in range(2)]
    for written in both:
        written.write([opened()])
    for written in both:
        written.write([octets(10)])
        written.close()
    with Recordings(tmp_path) as recordings:
        read = [(event.connection, type(event)) for event in recordings.read()]
    assert read == [(1, Opened), (2, Opened), (1, Octets), (2, Octets)]


async def eventually(reactor: IReactorTime, ask: Callable[[], T]) -> T:
    """
    Wait for what another thread does.
    """
    while True:
        with suppress(IndexError):
            if found := ask():
                return found
        await deferLater(reactor, 0.01)


class Stalled(SegmentFiles):
    """
    Files on a disk that stalls until it is told to go on.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, size=2**30, count=2, application="netkit's tests")
        self.go = Signal()

    def write(self, events: list[Event]) -> None:  # type: ignore[override]
        self.go.wait()
        super().write(events)


def refusing(patched: pytest.MonkeyPatch) -> None:
    """
    Have the disk be full.
    """

    def full(descriptor: int, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    # Not os.write, by which threads wake the reactor.
    patched.setattr(segments, "writePieces", full)


@pytest_twisted.ensureDeferred
async def test_slow_loses_nothing(tmp_path: Path, reactor: Any) -> None:
    """
    Ten thousand events for a disk that stalls, handed over by one that waits when told to.
    """
    stalled = Stalled(tmp_path)
    recording = Segments(stalled, reactor, maxQueued=2**20)
    drained: list[Deferred[None]] = []
    recording.onDrain(lambda: drained.pop().callback(None))
    recording.start()
    recording.take([opened()], 0)
    waited = 0
    for number in range(100):
        batch: list[Event] = [
            Octets(1, 2, Direction.RECEIVED, b"%d;" % (number * 100 + each), 1)
            for each in range(100)
        ]
        recording.take(batch, 200_000)
        if recording.full:
            waited += 1
            again: Deferred[None] = Deferred()
            drained.append(again)
            stalled.go.set()
            await again
            stalled.go.clear()
    stalled.go.set()
    await recording.stop()
    assert waited >= 2
    read = b"".join(
        event.data for file in events(tmp_path) for event in file if isinstance(event, Octets)
    )
    assert read == b"".join(b"%d;" % number for number in range(10_000))
    assert recording.dropped == 0


@pytest_twisted.ensureDeferred
async def test_drop_says_how_much(tmp_path: Path, reactor: Any, logged: list[LogEvent]) -> None:
    stalled = Stalled(tmp_path)
    recording = Segments(stalled, reactor, drop=True, maxQueued=2**20)
    recording.start()
    recording.take([opened()], 0)
    for _ in range(100):
        recording.take([octets(10)] * 1000, 210_000)
    assert recording.queued <= 2**20
    stalled.go.set()
    await recording.stop()
    [file] = events(tmp_path)
    kept = sum(event.length for event in file if isinstance(event, Octets))
    dropped = sum(event.received for event in file if isinstance(event, Dropped))
    assert 0 < kept <= 60_000
    assert kept + dropped == 1_000_000
    assert recording.dropped == dropped
    said = [event for event in logged if "lacks" in (event["log_format"] or "")]
    assert [event["octets"] for event in said] == [dropped]
    assert len([event for event in logged if "too slowly" in (event["log_format"] or "")]) == 1


@pytest_twisted.ensureDeferred
async def test_drop_counts_a_storm_of_connections(tmp_path: Path, reactor: Any) -> None:
    """
    They take no more memory than octets may, and each is recorded or counted.
    """
    stalled = Stalled(tmp_path)
    recording = Segments(stalled, reactor, drop=True, maxQueued=100_000)
    recording.start()
    for number in range(1, 8_001):
        recording.take(
            [opened(number), octets(10, number), Closed(number, 3, End.DONE)], 3 * EVENT + 10
        )
    assert recording.queued <= 100_000
    stalled.go.set()
    await recording.stop()
    [file] = events(tmp_path)
    ended = [event.connection for event in file if isinstance(event, Closed)]
    [unrecorded] = [event for event in file if isinstance(event, Unrecorded)]
    assert len(ended) + unrecorded.connections == 8_000
    assert recording.unrecorded == unrecorded.connections > 0
    # The earliest and the latest are there.
    assert (ended[0], ended[-1]) == (1, 8_000)
    kept = sum(event.length for event in file if isinstance(event, Octets))
    dropped = sum(event.received for event in file if isinstance(event, (Dropped, Unrecorded)))
    assert kept + dropped == 80_000


@pytest_twisted.ensureDeferred
async def test_what_ends_while_the_disk_is_full_is_told_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reactor: Any
) -> None:
    """
    How connections began and ended then, and how much of each is missing.
    """
    recording = Segments(files(tmp_path), reactor)
    recording.start()
    recording.take([opened(1), octets(10, 1)], 500)
    path = await eventually(reactor, lambda: segmentFiles(tmp_path)[0])
    await eventually(reactor, lambda: path.stat().st_size > 500)
    with monkeypatch.context() as patched:
        refusing(patched)
        ends: list[Event] = [Closed(number, 3, End.DONE) for number in (1, 2)]
        recording.take([octets(20, 1), opened(2), octets(5, 2), *ends], 500)
        await eventually(reactor, lambda: recording.dropped == 25)
        recording.take([opened(3), octets(7, 3)], 500)
        await eventually(reactor, lambda: recording.dropped == 32)
    # Nothing more happens: the stop alone has it written.
    await recording.stop()
    [file] = events(tmp_path)
    assert [type(event) for event in file[:2]] == [Opened, Octets]
    again, *rest = file[2:]
    said = [
        (event.connection, type(event), getattr(event, "received", None))
        for event in (again, *rest)
    ]
    assert said == [
        (2, Opened, None),
        (1, Opened, None),
        (1, Dropped, 20),
        (1, Closed, None),
        (2, Dropped, 5),
        (2, Closed, None),
        (3, Opened, None),
        (3, Dropped, 7),
    ]


@pytest_twisted.ensureDeferred
async def test_a_full_disk_stops_nobody(
    tmp_path: Path, reactor: Any, logged: list[LogEvent]
) -> None:
    """
    It is told once, and what is lost is counted.
    """
    folder = tmp_path / "capture"
    recording = Segments(files(folder), reactor)
    recording.start()
    folder.rmdir()
    folder.write_text("in its place")
    recording.take([opened()], 0)
    for _ in range(5):
        recording.take([octets(1000)], 1000)
    await recording.stop()
    assert recording.dropped == 5000
    errors = [event for event in logged if "cannot be written" in (event["log_format"] or "")]
    assert [event["reason"] for event in errors] == ["File exists"]
