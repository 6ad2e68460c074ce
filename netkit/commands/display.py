"""
How messages are shown: as they are where a program reads them, and on a terminal so that nothing
in them controls it, and that what was sent and what was received are told apart.
"""

from __future__ import annotations

import os
from typing import Protocol
from unicodedata import combining, east_asian_width

from ..base.terminal import printable, printableLine, terminalOctets

# Where a terminal does not tell.
_COLUMNS = 80

# Insert a row above the one that is typed in, which goes on below it: save the cursor's place,
# have a row more, go to it; then return to that place, one row further down.
_BEFORE_ROW = "\x1b7\n\x1b[A\x1b[L"
_AFTER_ROW = "\n\x1b8\x1b[B"

_ERASE_ROW = "\r\x1b[K"


class Display(Protocol):
    """
    Makes what is written to standard output.
    """

    def begin(self) -> bytes:
        """
        What comes first.
        """

    def sent(self) -> bytes:
        """
        What follows once a line was read from standard input.
        """

    def received(self, text: str, finished: bool) -> bytes:
        """
        A piece of a message.

        @param text: the piece.
        @param finished: whether it is the last one.
        """

    def told(self, note: str) -> bytes | None:
        """
        Something about the connection, in one line; L{None} if it is not for standard output.
        """

    def end(self) -> bytes:
        """
        What comes last.
        """


def displayFor(descriptor: int = 1) -> Display:
    """
    Choose how to show messages.

    @param descriptor: where they are written to.
    """
    if not os.isatty(descriptor):
        return Plain()
    if not os.isatty(0):
        return Escaped()
    return Dialogue(descriptor, addressable=os.environ.get("TERM", "dumb") != "dumb")


class Plain:
    """
    For programs: the exact characters, and a line feed after each message.
    """

    def begin(self) -> bytes:
        return b""

    def sent(self) -> bytes:
        return b""

    def received(self, text: str, finished: bool) -> bytes:
        return text.encode() + b"\n" * finished

    def told(self, note: str) -> bytes | None:
        return None

    def end(self) -> bytes:
        return b""


class Escaped(Plain):
    """
    For a terminal that nothing is typed in.
    """

    def received(self, text: str, finished: bool) -> bytes:
        return terminalOctets(printable(text) + "\n" * finished)


class Dialogue:
    """
    For a terminal that is typed in at the same time: C{> } before what is sent, C{< } before what
    is received, in rows above the one where a line is being typed.
    """

    def __init__(self, descriptor: int, *, addressable: bool = True) -> None:
        """
        @param descriptor: the terminal.
        @param addressable: whether its cursor can be moved; rows just follow each other otherwise.
        """
        self._descriptor = descriptor
        self._prompt = f"{_ERASE_ROW}> " if addressable else ""
        self._around = (_BEFORE_ROW, _AFTER_ROW) if addressable else ("", "\n")
        self._erase = _ERASE_ROW if addressable else ""
        # The end of a message that fills no row yet, and whether it is its beginning as well.
        self._rest = ""
        self._first = True

    def begin(self) -> bytes:
        return self._prompt.encode()

    def sent(self) -> bytes:
        return self._prompt.encode()

    def received(self, text: str, finished: bool) -> bytes:
        *rows, self._rest = self._rows(self._rest + printable(text))
        if finished:
            rows.append(self._rest)
            self._rest = ""
        shown = []
        for row in rows:
            shown.append(self._row(("< " if self._first else "  ") + row))
            self._first = False
        if finished:
            self._first = True
        return b"".join(shown)

    def told(self, note: str) -> bytes | None:
        if not os.isatty(2):
            return None
        return b"".join(self._row(f"* {row}") for row in self._rows(printableLine(note)))

    def end(self) -> bytes:
        return self._erase.encode()

    def _row(self, row: str) -> bytes:
        before, after = self._around
        return terminalOctets(f"{before}{row}{after}")

    def _rows(self, text: str) -> list[str]:
        """
        Break text at its line feeds, and where a row is full.
        """
        try:
            columns = os.get_terminal_size(self._descriptor).columns or _COLUMNS
        except OSError:
            columns = _COLUMNS
        # A mark goes before, and a row that is full to the brim may or may not be followed by one.
        room = max(columns - 3, 1)
        rows = []
        for line in text.split("\n"):
            width = start = 0
            line = line.expandtabs()
            for place, character in enumerate(line):
                its = _width(character)
                if width + its > room:
                    rows.append(line[start:place])
                    start, width = place, 0
                width += its
            rows.append(line[start:])
        return rows


def _width(character: str) -> int:
    if combining(character):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1
