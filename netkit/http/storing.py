"""
What arrives, stored in a file. The reactor never waits for one: threads of its pool do.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterable
from os import PathLike
from secrets import token_hex
from shutil import copyfileobj
from threading import Lock
from typing import IO, Any

from twisted.internet.threads import deferToThread

#: So much is written at once.
PIECE = 2**18


async def store(pieces: AsyncIterable[bytes], path: str | PathLike[str]) -> int:
    """
    Store pieces in a file, which has its name when all of them are in it, in place of what had it
    before; until then, and nowhere if anything fails, there is C{NAME.RANDOM.part} beside it.

    @param pieces: what to store.
    @param path: the file.
    @return: how many octets it has.
    @raise OSError: it cannot be written.
    """
    arriving = _Arriving(path)
    waiting, size = bytearray(), 0
    try:
        async for piece in pieces:
            waiting += piece
            size += len(piece)
            if len(waiting) >= PIECE:
                await deferToThread(arriving.write, bytes(waiting))
                waiting.clear()
        await deferToThread(arriving.write, bytes(waiting))
        await deferToThread(arriving.commit)
    except BaseException:
        # Nobody waits for this; a thread that still writes is waited for by the one that removes.
        deferToThread(arriving.discard)
        raise
    return size


def copy(source: IO[bytes], path: str | PathLike[str]) -> None:
    """
    Store what is in a file in another one, as L{store} does. It blocks.

    @param source: where from: all of it.
    @param path: where to.
    """
    arriving = _Arriving(path)
    try:
        source.seek(0)
        copyfileobj(source, arriving, PIECE)
        arriving.commit()
    except BaseException:
        arriving.discard()
        raise


class _Arriving:
    """
    A file that has another name until it is whole. Whatever the order in which threads come to
    it, nothing is left once it is discarded.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._path = os.path.abspath(path)
        self._part = f"{self._path}.{token_hex(8)}.part"
        self._lock = Lock()
        self._file: IO[bytes] | None = None
        self._over = False

    def write(self, octets: Any) -> int:
        """
        Write some.
        """
        with self._lock:
            if self._over:
                return 0
            if self._file is None:
                self._file = open(self._part, "xb", buffering=0)  # noqa: SIM115
            rest = memoryview(octets)
            while rest:
                rest = rest[self._file.write(rest) :]
            return len(octets)

    def commit(self) -> None:
        """
        All is there.
        """
        self.write(b"")
        with self._lock:
            if self._file is not None and not self._over:
                self._file.close()
                os.replace(self._part, self._path)
                self._over = True

    def discard(self) -> None:
        """
        Remove what is there.
        """
        with self._lock:
            if self._file is not None and not self._over:
                self._file.close()
                os.unlink(self._part)
            self._over = True
