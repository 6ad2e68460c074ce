"""
Octets that wait to be looked at: in memory within a bound for all of them, in temporary files
beyond.
"""

from __future__ import annotations

from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import IO

# How large a temporary file grows before another one is begun.
_FILE = 64 * 2**20

_PIECE = 2**16

# Fewer octets wait in memory, with those that are added to them: a part has a price of its own.
_SMALL = 2**10


class Spool:
    """
    Where octets wait.

    @ivar used: how many are in memory.
    """

    def __init__(self, memory: int = 32 * 2**20) -> None:
        """
        @param memory: how many octets may be in memory.
        """
        self.used = 0
        self._memory = memory
        self._file: _File | None = None

    def data(self) -> Data:
        """
        Make room for any number of octets that belong together.
        """
        return Data(self)

    def put(self, octets: bytes | bytearray) -> bytes | _Extent:
        """
        Have octets wait.

        @return: where they do.
        @raise OSError: there is no room for them in the folder of temporary files.
        """
        length = len(octets)
        if self.used + length <= self._memory:
            self.used += length
            return bytes(octets)
        if self._file is None or self._file.length >= _FILE:
            # Closes when nothing is in it any more.
            self._file = _File()
        return self._file.append(octets)

    def drop(self, kept: bytes | _Extent) -> None:
        """
        Give octets up.
        """
        if isinstance(kept, bytes):
            self.used -= len(kept)
        elif kept.file.release() and kept.file is self._file:
            self._file = None


class _File:
    """
    A temporary file, which is there for as long as something in it is waited for.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] = TemporaryFile(prefix="netkit-", buffering=0)  # noqa: SIM115
        self._extents = 0
        self.length = 0

    def append(self, octets: bytes | bytearray) -> _Extent:
        self._file.seek(self.length)
        rest = memoryview(octets)
        while rest:
            rest = rest[self._file.write(rest) :]
        extent = _Extent(self, self.length, len(octets))
        self._extents += 1
        self.length += len(octets)
        return extent

    def release(self) -> bool:
        """
        Something in it is not waited for any more.

        @return: whether it was the last, and the file is gone.
        """
        self._extents -= 1
        if not self._extents:
            self._file.close()
        return not self._extents

    def read(self, start: int, length: int) -> Iterator[bytes]:
        end = start + length
        while start < end:
            self._file.seek(start)
            piece = self._file.read(min(_PIECE, end - start))
            start += len(piece)
            yield piece


class _Extent:
    """
    Some octets of a file.
    """

    __slots__ = ("_length", "_start", "file")

    def __init__(self, file: _File, start: int, length: int) -> None:
        self.file = file
        self._start = start
        self._length = length

    def pieces(self) -> Iterator[bytes]:
        return self.file.read(self._start, self._length)


class Data:
    """
    Any number of octets, as they are added one after another.

    @ivar lost: how many octets there was no room for.
    """

    __slots__ = ("_last", "_length", "_parts", "_spool", "lost")

    def __init__(self, spool: Spool) -> None:
        """
        @param spool: where they wait.
        """
        self.lost = 0
        self._spool = spool
        self._length = 0
        self._parts: list[bytes | _Extent] = []
        # Small pieces, until they are worth a part.
        self._last = b""

    def __len__(self) -> int:
        return self._length

    def write(self, octets: bytes | bytearray) -> None:
        """
        Add octets.
        """
        if not octets:
            return
        if len(octets) + len(self._last) < _SMALL:
            self._last += octets
            self._length += len(octets)
            self._spool.used += len(octets)
            return
        if self._last:
            last, self._last = self._last, b""
            self._length -= len(last)
            self._spool.drop(last)
            self._keep(last)
        self._keep(octets)

    def _keep(self, octets: bytes | bytearray) -> None:
        try:
            self._parts.append(self._spool.put(octets))
            self._length += len(octets)
        except OSError:
            self.lost += len(octets)

    def pieces(self) -> Iterator[bytes]:
        """
        The octets in pieces, again at each call.
        """
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
            else:
                yield from part.pieces()
        if self._last:
            yield self._last

    def close(self) -> None:
        """
        Give the octets up.
        """
        for part in self._parts:
            self._spool.drop(part)
        self._parts.clear()
        self._spool.drop(self._last)
        self._last = b""


class Beginnings(Spool):
    """
    Keeps but the first octets of what is put in it, and counts all: for who looks at contents
    elsewhere.
    """

    def __init__(self, length: int) -> None:
        """
        @param length: how many octets are kept of each L{Data}.
        """
        super().__init__(0)
        self._length = length

    def data(self) -> Data:
        return _Beginning(self, self._length)


class _Beginning(Data):
    """
    The first of any number of octets.
    """

    __slots__ = ("_room",)

    def __init__(self, spool: Spool, room: int) -> None:
        super().__init__(spool)
        self._room = room

    def write(self, octets: bytes | bytearray) -> None:
        self._length += len(octets)
        if self._room:
            kept = bytes(octets[: self._room])
            self._room -= len(kept)
            self._last += kept

    def close(self) -> None:
        self._last = b""
