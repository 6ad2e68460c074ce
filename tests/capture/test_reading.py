"""
Tests for L{netkit.capture.reading}.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from netkit.capture.reading import Recordings, UnreadableError
from netkit.capture.segments import SegmentFiles, segmentFiles
from netkit.wire.recording import Event, Octets, Opened
from tests.wire.recording.events import Script


def files(folder: Path, size: int = 2**20) -> SegmentFiles:
    return SegmentFiles(folder, size=size, count=100, application="netkit's tests")


def script() -> list[Event]:
    made = Script()
    made.opened()
    for number in range(20):
        made.received(b"%d" % number * 100)
    made.closed()
    return made.events


def test_files_read_as_one(tmp_path: Path) -> None:
    written = files(tmp_path, size=500)
    for event in script():
        written.write([event])
    written.close()
    assert len(segmentFiles(tmp_path)) > 5
    with Recordings(tmp_path) as recordings:
        assert list(recordings.read()) == script()
    with Recordings(segmentFiles(tmp_path)[1]) as recordings:
        first = next(recordings.read())
    assert isinstance(first, Opened)
    assert first.continued


def test_connections_of_two_runs_are_two(tmp_path: Path) -> None:
    for _ in range(2):
        written = files(tmp_path)
        written.write(script())
        written.close()
    with Recordings(tmp_path) as recordings:
        events = list(recordings.read())
    assert [event.connection for event in events if isinstance(event, Opened)] == [1, 2]
    assert {event.connection for event in events[22:]} == {2}


def test_connections_keep_their_numbers_where_files_are_gone(tmp_path: Path) -> None:
    written = files(tmp_path, size=500)
    made = Script()
    for number in range(1, 10):
        made.opened(number)
        made.received(b"x" * 400, number)
        made.closed(connection=number)
    for event in made.events:
        written.write([event])
    written.close()
    for old in segmentFiles(tmp_path)[:-1]:
        old.unlink()
    with Recordings(tmp_path) as recordings:
        numbers = [event.connection for event in recordings.read()]
    assert numbers[-1] == 9
    assert numbers[0] > 5


def test_more_is_read_as_it_comes(tmp_path: Path) -> None:
    events = script()
    with Recordings(tmp_path, follow=True) as recordings:
        assert list(recordings.read()) == []
        written = files(tmp_path, size=500)
        read: list[Event] = []
        for event in events:
            written.write([event])
            read += recordings.read()
            # The oldest files go meanwhile.
            for old in segmentFiles(tmp_path)[:-1]:
                old.unlink()
        written.close()
    assert read == events


def test_a_file_that_is_still_written(tmp_path: Path) -> None:
    written = files(tmp_path)
    written.write(script())
    written.close()
    [path] = segmentFiles(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[:-10])
    with Recordings(tmp_path) as recordings:
        assert list(recordings.read()) == script()[:-1]
        with path.open("ab") as file:
            file.write(data[-10:])
        assert list(recordings.read()) == script()[-1:]


def test_connections_of_before_are_left_out(tmp_path: Path) -> None:
    """
    Where the file in which a connection was opened is gone, it is opened where it goes on.
    """
    written = files(tmp_path, size=500)
    for event in script():
        written.write([event])
    written.close()
    segmentFiles(tmp_path)[0].unlink()
    with Recordings(tmp_path) as recordings:
        first, *rest = recordings.read()
    assert isinstance(first, Opened)
    assert first.continued
    assert all(isinstance(event, Octets) for event in rest[:-1])


def test_what_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="does not exist"):
        Recordings(tmp_path / "nowhere")
    with pytest.raises(UnreadableError, match="no recording in it"):
        Recordings(tmp_path)
    (tmp_path / "netkit-000001-20260101T000000Z.pcapng").write_bytes(b"x" * 100)
    with (
        Recordings(tmp_path) as recordings,
        pytest.raises(UnreadableError, match=r"000001.*not a pcapng file"),
    ):
        list(recordings.read())
