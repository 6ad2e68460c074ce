"""
Tests for L{netkit.capture.segments}.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path
from threading import Event as Signal

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import LogEvent

from netkit.capture.reading import Recordings
from netkit.capture.segments import SegmentFiles, Segments, segmentFiles
from netkit.wire.recording import (
    Direction,
    Dropped,
    Event,
    Octets,
    Opened,
    RecordingReader,
    Role,
)


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

    def full(descriptor: int, data: memoryview) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = real(descriptor, data[: left[0]])
        left[0] -= taken
        return taken

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
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

    def full(descriptor: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
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


@pytest_twisted.ensureDeferred
async def test_slow_loses_nothing(tmp_path: Path) -> None:
    from twisted.internet import reactor

    assert IReactorFromThreads.providedBy(reactor)
    stalled = Stalled(tmp_path)
    segments = Segments(stalled, reactor, maxQueued=100_000)
    drained: Deferred[None] = Deferred()
    segments.onDrain(lambda: drained.callback(None))
    segments.start()
    segments.take([opened()], 0)
    for _ in range(200):
        segments.take([octets(1000)] * 10, 10_000)
    assert segments.full
    stalled.go.set()
    await drained
    assert not segments.full
    await segments.stop()
    [file] = events(tmp_path)
    assert len(file) == 2001
    assert segments.dropped == 0


@pytest_twisted.ensureDeferred
async def test_drop_says_how_much(tmp_path: Path, logged: list[LogEvent]) -> None:
    from twisted.internet import reactor

    assert IReactorFromThreads.providedBy(reactor)
    stalled = Stalled(tmp_path)
    segments = Segments(stalled, reactor, drop=True, maxQueued=100_000)
    segments.start()
    segments.take([opened()], 0)
    for _ in range(200):
        segments.take([octets(1000)] * 10, 10_000)
    stalled.go.set()
    await segments.stop()
    [file] = events(tmp_path)
    kept = sum(event.length for event in file if isinstance(event, Octets))
    dropped = sum(event.received for event in file if isinstance(event, Dropped))
    assert 0 < kept <= 110_000
    assert kept + dropped == 2_000_000
    assert segments.dropped == dropped
    said = [event for event in logged if "octets" in event]
    assert [event["octets"] for event in said] == [dropped]
    assert len([event for event in logged if "too slowly" in (event["log_format"] or "")]) == 1


@pytest_twisted.ensureDeferred
async def test_a_full_disk_stops_nobody(tmp_path: Path, logged: list[LogEvent]) -> None:
    """
    It is told once, and what is lost is counted in the next file that can be written.
    """
    from twisted.internet import reactor

    assert IReactorFromThreads.providedBy(reactor)
    folder = tmp_path / "capture"
    segments = Segments(files(folder), reactor)
    segments.start()
    folder.rmdir()
    folder.write_text("in its place")
    segments.take([opened()], 0)
    for _ in range(5):
        segments.take([octets(1000)], 1000)
    await segments.stop()
    assert segments.dropped == 5000
    errors = [event for event in logged if "cannot be written" in (event["log_format"] or "")]
    assert [event["reason"] for event in errors] == ["File exists"]
