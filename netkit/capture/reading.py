"""
Recordings read back: of a file, or of a folder of them, also while they are written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

from ..wire.recording import (
    Closed,
    Event,
    Opened,
    RecordingError,
    RecordingReader,
    Unrecorded,
)
from .segments import segmentFiles, segmentNumber

_PIECE = 2**18


class UnreadableError(Exception):
    """
    A recording cannot be read. The message says which file, and why.
    """


class Recordings:
    """
    The recordings of a file or a folder, as one: connections have numbers that no other one has,
    and go on from file to file. A context manager, which closes what it reads.
    """

    def __init__(self, path: Path, *, follow: bool = False) -> None:
        """
        @param path: the file, or the folder that a capture was written to.
        @param follow: whether the folder may be empty for now.
        @raise UnreadableError: there is none.
        """
        self._path = path
        if not path.exists():
            raise UnreadableError(f"{str(path)!r} does not exist")
        if path.is_dir() and not follow and not self._files():
            raise UnreadableError(f"{str(path)!r} has no recording in it: netkit-*.pcapng")
        self._file: IO[bytes] | None = None
        self._current: Path | None = None
        self._reader = RecordingReader()
        # The numbers of the recordings' connections, as they are here.
        self._numbers: dict[tuple[str, int], int] = {}
        self._last = 0

    def read(self) -> Iterator[Event]:
        """
        Read what there is and was not read yet.

        @raise UnreadableError: a file is no recording.
        """
        while True:
            if self._file is not None:
                # Looked for first: what is then read of this file is all of it.
                following = self._following()
                yield from self._rest(self._file)
                if following is None:
                    return
            else:
                following = self._following()
                if following is None:
                    return
            self._close()
            self._open(following)

    def __enter__(self) -> Recordings:
        return self

    def __exit__(self, *exception: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _files(self) -> list[Path]:
        try:
            return segmentFiles(self._path) if self._path.is_dir() else [self._path]
        except OSError as error:
            raise UnreadableError(f"{str(self._path)!r}: {error.strerror}") from error

    def _following(self) -> Path | None:
        files = self._files()
        if self._current is None:
            return files[0] if files else None
        if self._current == self._path:
            return None
        number = segmentNumber(self._current)
        later = [path for path in files if segmentNumber(path) > number]
        return later[0] if later else None

    def _open(self, path: Path) -> None:
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise UnreadableError(f"{str(path)!r}: {error.strerror}") from error
        self._current = path
        self._reader = RecordingReader()

    def _rest(self, file: IO[bytes]) -> Iterator[Event]:
        while data := file.read(_PIECE):
            try:
                for event in self._reader.feed(data):
                    yield from self._renumbered(event)
            except RecordingError as error:
                raise UnreadableError(f"{str(self._current)!r}: {error}") from error

    def _renumbered(self, event: Event) -> Iterator[Event]:
        if isinstance(event, Unrecorded):
            yield event
            return
        known = self._reader.recording, event.connection
        number = self._numbers.get(known)
        if isinstance(event, Opened):
            if event.continued and number is not None:
                return
            # Its own as far as may be, which the access log has, also behind files that made room.
            self._last = max(self._last + 1, event.connection)
            number = self._numbers[known] = self._last
        if number is None:
            return
        if isinstance(event, Closed):
            del self._numbers[known]
        if number == event.connection:
            yield event
        elif isinstance(event, tuple):
            yield event._replace(connection=number)
        else:
            yield replace(event, connection=number)
