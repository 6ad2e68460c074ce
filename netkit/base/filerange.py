"""
Ranges of files, which threads read.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class FileRange:
    """
    A range of a file, taken from its start to its end: opened by the first thread that takes some,
    closed by the last one, or when nobody wants more.

    @ivar position: how far it was taken; changed by whoever has its descriptor.
    @ivar end: where it ends.
    """

    def __init__(self, path: str, start: int, end: int) -> None:
        """
        @param path: the file.
        @param start: where it begins.
        @param end: where it ends.
        """
        self.position = start
        self.end = end
        self._path = path
        self._lock = Lock()
        self._descriptor: int | None = None
        self._closed = False

    @property
    def left(self) -> int:
        """
        How many octets are still to be taken.
        """
        return self.end - self.position

    @contextmanager
    def opened(self) -> Iterator[int]:
        """
        Have its descriptor, which is not closed meanwhile.

        @raise OSError: it cannot be opened, or was closed.
        """
        with self._lock:
            if self._closed:
                raise OSError(errno.EBADF, "closed", self._path)
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                yield self._descriptor
            finally:
                if not self.left:
                    self._close()

    def read(self, size: int) -> bytes:
        """
        Take some octets.

        @param size: how many, at most.
        @return: none where the range ends, or the file was cut.
        @raise OSError: it cannot be read, or was closed.
        """
        with self.opened() as descriptor:
            octets = os.pread(descriptor, min(size, self.left), self.position)
            self.position += len(octets)
        return octets

    def close(self) -> None:
        """
        Close it, once nobody has it.
        """
        with self._lock:
            self._close()

    def _close(self) -> None:
        self._closed = True
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
