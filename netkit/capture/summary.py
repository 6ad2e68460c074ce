"""
A line for each connection.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from ..base.terminal import printableLine
from ..wire.addresses import address_text
from ..wire.recording import Direction, Opened
from .views import Item, Kind

# How many octets are shown of what is no request.
_SHOWN = 40


@dataclass(slots=True)
class _Sums:
    opened: Opened
    octets: Counter[Direction] = field(default_factory=Counter)
    missing: Counter[Direction] = field(default_factory=Counter)
    requests: int = 0
    messages: int = 0
    first: str = ""
    wrong: str = ""


class Summary:
    """
    Sums up connections.
    """

    def __init__(self) -> None:
        self._sums: dict[int, _Sums] = {}

    def feed(self, item: Item) -> Iterator[str]:
        """
        Take the next item.

        @return: the line of its connection, when that is over.
        """
        number = item.connection.connection
        sums = self._sums.get(number)
        if sums is None:
            sums = self._sums[number] = _Sums(item.connection)
        if item.direction is not None:
            sums.octets[item.direction] += item.length
        sums.messages += item.kind is Kind.MESSAGE
        for direction in Direction:
            sums.missing[direction] += item.about.get(direction, 0)
        # A response that accepts a WebSocket is of the same kind as the request.
        if item.kind is Kind.REQUEST or "method" in item.about:
            sums.requests += 1
            sums.first = sums.first or _request(item)
        sums.wrong = sums.wrong or item.wrong
        if item.kind is Kind.CLOSED:
            del self._sums[number]
            yield _line(sums, item.ended, str(item.about["how"]))

    def rest(self) -> Iterator[str]:
        """
        The lines of the connections that are not over.
        """
        for sums in self._sums.values():
            yield _line(sums, None, "open")


def _request(item: Item) -> str:
    if "method" in item.about:
        return f"{item.about['method']} {item.about['target']}"
    # What is none begins with something all the same.
    line, _, _ = next(item.octets(), b"").partition(b"\n")
    shown = line[:_SHOWN].rstrip().decode(errors="backslashreplace")
    return f'"{shown}"' + "..." * (len(line) > _SHOWN)


def _line(sums: _Sums, ended: int | None, how: str) -> str:
    opened = sums.opened
    clock = datetime.fromtimestamp(opened.time / 10**9).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    took = "" if ended is None else f" {(ended - opened.time) / 10**9:.3f} s"
    received, sent = (sums.octets[direction] for direction in Direction)
    parts = [
        f"{opened.connection:>5} {clock} {opened.service:<13} {address_text(opened.peer)}",
        f"{received} B in, {sent} B out,{took} {how}",
    ]
    if sums.missing.total():
        received, sent = (sums.missing[direction] for direction in Direction)
        parts.append(f"and {received} B in, {sent} B out that are not recorded")
    if sums.first:
        more = f" and {sums.requests - 1} more" if sums.requests > 1 else ""
        parts.append(sums.first + more)
    if sums.messages:
        parts.append(f"{sums.messages} messages")
    if sums.wrong:
        parts.append(f"({sums.wrong})")
    return printableLine("  ".join(parts))
