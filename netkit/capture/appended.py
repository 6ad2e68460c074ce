"""
A file that is appended to by much at a time.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from math import inf
from mmap import mmap
from pathlib import Path
from time import monotonic

from ..base.descriptors import writeAll, writePieces

# What goes past the page cache has to begin and to end at multiples of this, in the file and in
# memory: the largest that file systems ask for.
_BLOCK = 4096

# How many octets go past it at a time at most, and how many have to come at once for it to pay.
_BUFFER = 256 * _BLOCK
_PAYS = 32 * _BLOCK

# A device that takes fewer octets a second is not waited for: the page cache takes them at once,
# until it is tried again after so many seconds.
_SLOW = 20 * 2**20
_RETRY_AFTER = 1.0


class AppendedFile:
    """
    A new file, appended to. It blocks: it is for a thread.

    What comes by hundreds of kilobytes goes past the page cache (C{O_DIRECT}), where the file
    system can do that and the device keeps up: new pages cost a multiple of a copy.

    @ivar length: how many octets were written.
    """

    def __init__(self, path: Path) -> None:
        """
        @raise FileExistsError: it is there already.
        @raise OSError: it cannot be made.
        """
        self.length = 0
        # What is recorded may be secret.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)
        self._flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        # When to go past the page cache again; never on a file system that cannot.
        self._directFrom = 0.0
        # Pages of memory, and so aligned; made when there is much to write.
        self._buffer: memoryview | None = None

    @property
    def removed(self) -> bool:
        """
        Whether somebody removed it.
        """
        return not os.fstat(self._descriptor).st_nlink

    def append(self, pieces: Sequence[bytes | memoryview]) -> None:
        """
        Append octets.

        @param pieces: the octets; they are not changed before this returns.
        @raise OSError: they are not written, none of them.
        """
        length = sum(map(len, pieces))
        try:
            if length >= _PAYS and monotonic() >= self._directFrom:
                self._appendMuch(pieces)
            else:
                writePieces(self._descriptor, pieces)
        except OSError:
            os.ftruncate(self._descriptor, self.length)
            raise
        self.length += length

    def close(self) -> None:
        """
        End it.
        """
        os.close(self._descriptor)

    def _appendMuch(self, pieces: Sequence[bytes | memoryview]) -> None:
        if self._buffer is None:
            self._buffer = memoryview(mmap(-1, _BUFFER))
        buffer = self._buffer
        # A block of the buffer is one of the file.
        start = end = self.length % _BLOCK
        for piece in pieces:
            if len(piece) < _BUFFER - end:
                buffer[end : (end := end + len(piece))] = piece
                continue
            rest = memoryview(piece)
            while rest:
                some = rest[: _BUFFER - end]
                buffer[end : (end := end + len(some))] = some
                rest = rest[len(some) :]
                if end == _BUFFER:
                    self._write(buffer[start:], start)
                    start = end = 0
        self._write(buffer[start:end], start)

    def _write(self, octets: memoryview, offset: int) -> None:
        """
        Append some of them.

        @param offset: where in a block they begin, in the file and in memory.
        """
        # No page is written in both ways: each would wait for the other.
        ahead = -offset % _BLOCK
        behind = len(octets) - (len(octets) - ahead) % _BLOCK
        written = 0
        if behind > ahead and monotonic() >= self._directFrom:
            writeAll(self._descriptor, octets[:ahead])
            written = ahead + self._writeDirectly(octets[ahead:behind])
        writeAll(self._descriptor, octets[written:])

    def _writeDirectly(self, blocks: memoryview) -> int:
        """
        Append whole blocks past the page cache.

        @return: how many octets are written: not all on a full disk, none on a file system that
            cannot do it. Writing the rest through the page cache tells.
        """
        begun = monotonic()
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, self._flags | os.O_DIRECT)
            written = os.write(self._descriptor, blocks)
        except OSError:
            self._directFrom = inf
            return 0
        finally:
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, self._flags)
        now = monotonic()
        if written < (now - begun) * _SLOW:
            self._directFrom = now + _RETRY_AFTER
        return written
