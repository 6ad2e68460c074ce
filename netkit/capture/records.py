"""
Records that are written one behind another, many at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Protocol

# How much is one write. What others write to the same place, as the log does to a terminal or a
# file that has both, gets in between records only, but for those that are longer.
_GATHERED = 2**16

# So many short records are gathered at once.
_MANY = 64


class Output(Protocol):
    """
    What records are written to.
    """

    def writeOut(self, data: bytearray) -> None:
        """
        Write octets, and take them out of C{data}.

        @raise OSError: those that are left are not taken.
        """


class Records:
    """
    Gathers records, and writes them. One that could not be written is lost, and the next one is
    tried.
    """

    def __init__(
        self,
        output: Output,
        failed: Callable[[OSError], None],
        again: Callable[[int], None],
    ) -> None:
        """
        @param output: where they are written.
        @param failed: called with why the first one of some is lost.
        @param again: called when one is written after that, with how many were lost.
        """
        self._output = output
        self._tellFailed = failed
        self._tellAgain = again
        self._lost = 0
        # Whether the last one was begun, and not ended.
        self._broken = False
        self._octets = bytearray()
        # The length of each that is gathered, and whether it has lines.
        self._records: list[tuple[int, bool]] = []

    def add(self, pieces: Iterable[bytes], *, lined: bool) -> None:
        """
        Add a record: it is written by L{flush} at the latest.

        @param pieces: its octets.
        @param lined: whether it has lines, of which the first is to begin as one.
        """
        octets = self._octets
        start = len(octets)
        each = iter(pieces)
        try:
            for piece in each:
                octets += piece
                if len(octets) - start >= _GATHERED:
                    begin = octets[start:]
                    del octets[start:]
                    self.flush()
                    self._writeLong(begin, each, lined)
                    return
        except OSError as error:
            # It waited in a file.
            del octets[start:]
            self._fail(error)
            return
        self._records.append((len(octets) - start, lined))
        if len(octets) >= _GATHERED:
            self.flush()

    def addAll(self, records: list[bytes]) -> None:
        """
        Add short records without lines.
        """
        octets = self._octets
        for start in range(0, len(records), _MANY):
            some = records[start : start + _MANY]
            octets += b"".join(some)
            self._records += zip(map(len, some), repeat(False))
            if len(octets) >= _GATHERED:
                self.flush()

    def flush(self) -> None:
        """
        Write what is gathered.
        """
        octets, records = self._octets, self._records
        while records:
            if self._broken and records[0][1]:
                # The one that a full disk cut short is no part of this one.
                octets[:0] = b"\n"
                records[0] = records[0][0] + 1, True
            length = len(octets)
            try:
                self._output.writeOut(octets)
            except OSError as error:
                written = length - len(octets)
                while written >= records[0][0]:
                    written -= records.pop(0)[0]
                    self._succeed()
                cut, _ = records.pop(0)
                del octets[: cut - written]
                self._broken = self._broken or written > 0
                self._fail(error)
            else:
                records.clear()
                self._succeed()

    def _writeLong(self, begin: bytearray, rest: Iterator[bytes], lined: bool) -> None:
        if self._broken and lined:
            begin[:0] = b"\n"
        self._broken = True
        self._output.writeOut(begin)
        for piece in rest:
            begin += piece
            if len(begin) >= _GATHERED:
                self._output.writeOut(begin)
        self._output.writeOut(begin)
        self._succeed()

    def _succeed(self) -> None:
        self._broken = False
        if self._lost:
            lost, self._lost = self._lost, 0
            self._tellAgain(lost)

    def _fail(self, error: OSError) -> None:
        self._lost += 1
        if self._lost == 1:
            self._tellFailed(error)
