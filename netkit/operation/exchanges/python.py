"""
What is done for each exchange when it is over, in Python.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

# So many bounds a histogram can have, and names a table of counts.
_MOST = 32

# What cannot stand in a quoted part of a line, as nginx and Apache have it.
_ESCAPED = re.compile(rb'[^\x20-\x7e]|["\\]')


class Tally:
    """
    Exchanges, counted.
    """

    __slots__ = ("_bounds", "_buckets", "_counts", "_methods", "_seconds")

    def __init__(self, methods: tuple[bytes, ...], bounds: tuple[float, ...], /) -> None:
        """
        @param methods: those that are counted by their names.
        @param bounds: of how long exchanges take, in seconds.
        @raise ValueError: these are too many.
        """
        if len(methods) > _MOST or len(bounds) > _MOST:
            raise ValueError(f"there are at most {_MOST} methods, and bounds")
        self._methods = frozenset(methods)
        self._bounds = bounds
        self._counts: dict[tuple[bytes | None, int], int] = {}
        self._buckets = [0] * (len(bounds) + 1)
        self._seconds = 0.0

    def count(
        self,
        head: Any,
        status: int,
        octets: int,
        seconds: float,
        ended: float,
        transport: Any,
        /,
    ) -> None:
        """
        Count one: the values of an L{Exchange <netkit.http.Exchange>}.

        @raise ValueError: the status does not have three digits.
        """
        if not 0 <= status <= 999:
            raise ValueError(f"a status has three digits, not {status!r}")
        method = None
        if head is not None and head.method in self._methods:
            method = head.method
        key = method, status // 100
        self._counts[key] = self._counts.get(key, 0) + 1
        self._buckets[bisect_left(self._bounds, seconds)] += 1
        self._seconds += seconds

    def counts(self) -> dict[tuple[bytes | None, int], int]:
        """
        Tell how many there were of each method, C{None} for all others, and class of status: its
        first digit.
        """
        return dict(self._counts)

    def buckets(self) -> list[int]:
        """
        Tell how many took as long as each bound, or shorter, and longer than the one before it;
        then, how many took longer than all of them.
        """
        return list(self._buckets)

    def seconds(self) -> float:
        """
        Tell how many seconds all took together.
        """
        return self._seconds


class _Lines:
    """
    Lines of a log that wait to be written.
    """

    __slots__ = ("_ahead", "_begun", "_lines", "_peer", "_peers", "_second", "_waiting")

    def __init__(
        self,
        peer: Callable[[Any], bytes],
        second: Callable[[int], bytes],
        begun: Callable[[], float],
        /,
    ) -> None:
        """
        @param peer: makes of a transport what a line says of its peer.
        @param second: makes of seconds since 1970 what a line says of them.
        @param begun: called before the first line that is to be taken, it returns how many seconds
            the time of day is ahead of the clock of what has ended.
        """
        self._peer = peer
        self._second = second
        self._begun = begun
        self._peers: dict[Any, bytes] = {}
        self._lines: list[bytes] = []
        self._ahead = 0.0
        self._waiting = False

    def take(self) -> tuple[bytes, int]:
        """
        Take the lines that wait, and tell how many there are.
        """
        lines, self._lines = self._lines, []
        self._waiting = False
        self._peers.clear()
        return b"".join(lines), len(lines)

    def _timeOfDay(self, ended: float) -> float:
        if not self._waiting:
            self._ahead = self._begun()
            self._waiting = True
        return ended + self._ahead

    def _peerOf(self, transport: Any) -> bytes:
        peer = self._peers.get(transport)
        if peer is None:
            peer = self._peers[transport] = self._peer(transport)
        return peer


class CombinedLines(_Lines):
    """
    Lines in the combined format of Apache and nginx.
    """

    __slots__ = ()

    def add(
        self,
        head: Any,
        status: int,
        octets: int,
        seconds: float,
        ended: float,
        transport: Any,
        more: bytes = b"",
        /,
    ) -> None:
        """
        Add the line of an exchange, from the values of an L{Exchange <netkit.http.Exchange>}.

        @param more: what takes the place of a request that there was not.
        """
        now = self._second(int(self._timeOfDay(ended)))
        line, referer, agent = more or b"-", b"-", b"-"
        if head is not None:
            line = head.line[:-2]
            referer, agent = [
                b"-" if value is None else value for value in _values(head.fields.raw)[:2]
            ]
        self._lines.append(
            b'%b - - [%b] "%b" %d %d "%b" "%b"\n'
            % (
                *(self._peerOf(transport), now, quoted(line), status, octets),
                *(quoted(referer), quoted(agent)),
            )
        )


class JSONLines(_Lines):
    """
    Lines of a JSON object each.
    """

    __slots__ = ()

    def add(
        self,
        head: Any,
        status: int,
        octets: int,
        seconds: float,
        ended: float,
        transport: Any,
        more: bytes = b"",
        /,
    ) -> None:
        """
        Add the line of an exchange, from the values of an L{Exchange <netkit.http.Exchange>}.

        @param more: further members, each with a comma in front of it.
        """
        milliseconds = int(self._timeOfDay(ended) * 1000)
        request = sent = b""
        if head is not None:
            request = b', "method": %b, "target": %b' % (
                _string(head.method),
                _string(head.target),
            )
            values = _values(head.fields.raw)
            found = zip((b"referer", b"agent", b"traceparent"), values, strict=True)
            sent = b"".join(
                b', "%b": %b' % (name, _string(value))
                for name, value in found
                if value is not None
            )
        self._lines.append(
            b'{"time": "%b.%03d+00:00"%b%b, "status": %d, "octets": %d, "seconds": %.6f%b%b}\n'
            % (
                *(self._second(milliseconds // 1000), milliseconds % 1000),
                *(self._peerOf(transport), request, status, octets, seconds, sent, more),
            )
        )


def quoted(octets: bytes) -> bytes:
    """
    Escape what cannot stand in a quoted part of a line.
    """
    return _ESCAPED.sub(lambda found: b"\\x%02x" % found[0][0], octets)


def _string(octets: bytes) -> bytes:
    """
    Make a JSON string, in which each octet is the character of its number.
    """
    return _encode(octets.decode("latin-1")).encode()


_encode = json.JSONEncoder().encode


def _values(section: bytes) -> list[bytes | None]:
    """
    Find Referer, User-Agent and traceparent, the first one of each, where they were sent: to split
    a section of which nobody asked for a field takes longer.
    """
    section = b"\n" + section
    lower = section.lower()
    values: list[bytes | None] = []
    for name in (b"\nreferer:", b"\nuser-agent:", b"\ntraceparent:"):
        found = lower.find(name)
        value = None
        if found >= 0:
            value = section[found + len(name) :].partition(b"\r")[0].strip(b" \t")
        values.append(value)
    return values
