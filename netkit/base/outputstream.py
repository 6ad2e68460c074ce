"""
Where a program prints to: a file, a pipe, a terminal, standard output.
"""

from __future__ import annotations

import os
import stat
import sys

from twisted.logger import Logger

from .descriptors import writeAll, writeOut

_log = Logger()


class OutputStream:
    """
    A descriptor that is written to, by a thread, which waits until it takes everything.
    """

    def __init__(self, path: str) -> None:
        """
        @param path: a file to append to, or C{-} for standard output.
        """
        self.path = path
        self._descriptor: int | None = None

    def open(self) -> None:
        """
        Open it.

        @raise OSError: it cannot be written to.
        """
        if self._descriptor is None:
            self._descriptor = self._opened()

    def reopen(self) -> None:
        """
        Go on with what is at the path now, after it was moved away.

        @raise OSError: that cannot be written to; what was open still is.
        """
        if self.path != "-":
            fresh = self._opened()
            self.close()
            self._descriptor = fresh

    def _opened(self) -> int:
        if self.path == "-":
            # A descriptor of our own: what becomes of sys.stdout is the logger's business.
            return os.dup(sys.__stdout__.fileno() if sys.__stdout__ else -1)
        # Without O_NONBLOCK a FIFO that nobody reads would hold up the start for ever.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(self.path, flags, 0o666)

    @property
    def isTerminal(self) -> bool:
        """
        Whether a person looks at it.
        """
        return self._descriptor is not None and os.isatty(self._descriptor)

    @property
    def isNowhere(self) -> bool:
        """
        Whether what is written to it is gone.
        """
        if self._descriptor is None:
            return True
        found = os.fstat(self._descriptor)
        return stat.S_ISCHR(found.st_mode) and found.st_rdev == os.stat(os.devnull).st_rdev

    def write(self, data: bytes) -> None:
        """
        Write everything, however long that takes.

        @raise OSError: it does not take it.
        """
        assert self._descriptor is not None, "the output is not open"
        writeAll(self._descriptor, data)

    def writeOut(self, data: bytearray) -> None:
        """
        As C{write}, and take what is written out of C{data}.

        @raise OSError: it does not take what is left.
        """
        assert self._descriptor is not None, "the output is not open"
        writeOut(self._descriptor, data)

    def close(self) -> None:
        """
        Close it.
        """
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def tellKept(path: str, error: OSError) -> None:
    """
    Log that a file was moved away, and its path cannot be opened.
    """
    _log.error(
        "{path!r} cannot be opened anew: {reason}; what was open is written to as before",
        path=path,
        reason=error.strerror,
    )
