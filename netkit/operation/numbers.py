"""
The numbers of connections, of which no two processes that serve together give the same.
"""

from __future__ import annotations

import os
from tempfile import TemporaryFile


class Numbers:
    """
    Counts from 1 on: an iterator. Several processes that have its descriptor count together.

    They share the place in a file, of which nothing is ever read or written: to move it on, and to
    be told where it is then, is one step of the system's.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        """
        @param descriptor: what others count with; alone by default.
        """
        self._descriptor = descriptor
        self._last = 0

    def __iter__(self) -> Numbers:
        return self

    def __next__(self) -> int:
        if self._descriptor is None:
            self._last += 1
            return self._last
        return os.lseek(self._descriptor, 1, os.SEEK_CUR)

    def descriptor(self) -> int:
        """
        Tell the descriptor that others can count with.
        """
        if self._descriptor is None:
            self._descriptor = _file()
            os.lseek(self._descriptor, self._last, os.SEEK_SET)
        return self._descriptor


def _file() -> int:
    if hasattr(os, "memfd_create"):
        # Where all is read-only, as in a container, there is this.
        anonymous = os.memfd_create("netkit numbers")
        try:
            # Linux locks the place in a file that was opened, and not that in a memfd as it is.
            return os.open(f"/proc/self/fd/{anonymous}", os.O_RDWR)
        except OSError:
            # There is no /proc.
            pass
        finally:
            os.close(anonymous)
    with TemporaryFile() as file:
        return os.dup(file.fileno())
