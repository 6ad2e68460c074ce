"""
What is done for each exchange when it is over, in Python.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Callable
from math import ldexp
from operator import index
from typing import Any, Protocol

# So many bounds a histogram can have, and names a table of counts.
_MOST = 32

# So many octets of lines wait at most, and one line more.
_FULL = 2**18

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

    def count(self, line: bytes | None, status: int, seconds: float, /) -> None:
        """
        Count one.

        @param line: the request line; C{None} where what came was no request.
        @param status: the status of the response.
        @param seconds: how long it took.
        @raise ValueError: the status does not have three digits.
        """
        status = _integer(status)
        if not 0 <= status <= 999:
            raise ValueError(f"a status has three digits, not {status}")
        method, space, _ = (line or b"").partition(b" ")
        key = method if space and method in self._methods else None, status // 100
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


class Lines(Protocol):
    """
    Lines that wait to be written.
    """

    def add(
        self,
        head: Any,
        status: int,
        octets: int,
        seconds: float,
        ended: float,
        transport: Any,
        more: Any = ...,
        /,
    ) -> object:
        """
        Add the line of what has the values of an L{Exchange <netkit.http.Exchange>}.

        @param more: what the format knows more to say.
        """

    def take(self) -> tuple[bytes, int]:
        """
        Take the lines, and tell how many there are.
        """


class _Lines:
    """
    Lines of a log that wait to be written.
    """

    __slots__ = (
        "_ahead",
        "_begun",
        "_full",
        "_length",
        "_lines",
        "_second",
        "_waiting",
        "peer",
    )

    def __init__(
        self,
        peer: Callable[[Any], bytes],
        second: Callable[[int], bytes],
        begun: Callable[[], float],
        full: Callable[[], object],
        /,
    ) -> None:
        """
        @param peer: makes of a transport what a line says of its peer.
        @param second: makes of seconds since 1970 what a line says of them.
        @param begun: called before the first line that is to be taken, it returns how many seconds
            the time of day is ahead of the clock of what has ended.
        @param full: called when so many octets wait that they are to be taken.
        """
        self.peer = peer
        self._second = second
        self._begun = begun
        self._full = full
        self._lines: list[bytes] = []
        self._length = 0
        self._ahead = 0.0
        self._waiting = False

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

        @param more: what takes the place of a request that there was not, or is told as well.
        """
        status, octets = _integer(status), _integer(octets)
        peer, (line, section) = self.peer(transport), _request(head)
        self.addFrom(peer, line, section, status, octets, seconds, ended, more)

    def addFrom(
        self,
        peer: bytes,
        line: bytes | None,
        section: bytes,
        status: int,
        octets: int,
        seconds: float,
        ended: float,
        more: bytes = b"",
    ) -> None:
        """
        Add a line, with what it says of its peer and of its request.
        """
        if not self._waiting:
            self._ahead = self._begun()
            self._waiting = True
        now = ended + self._ahead
        if not -1e15 < now < 1e15:
            raise OverflowError("there is no such time")
        made = self._line(peer, line, section, status, octets, seconds, now, more)
        self._lines.append(made)
        self._length += len(made)
        if self._length >= _FULL:
            self._full()

    def _line(
        self,
        peer: bytes,
        line: bytes | None,
        section: bytes,
        status: int,
        octets: int,
        seconds: float,
        now: float,
        more: bytes,
    ) -> bytes:
        raise NotImplementedError

    def take(self) -> tuple[bytes, int]:
        """
        Take the lines that wait, and tell how many there are.
        """
        lines, self._lines = self._lines, []
        self._length = 0
        self._waiting = False
        return b"".join(lines), len(lines)


class CombinedLines(_Lines):
    """
    Lines in the combined format of Apache and nginx.
    """

    __slots__ = ()

    def _line(
        self,
        peer: bytes,
        line: bytes | None,
        section: bytes,
        status: int,
        octets: int,
        seconds: float,
        now: float,
        more: bytes,
    ) -> bytes:
        told = more or b"-" if line is None else line[:-2]
        referer, agent = [b"-" if value is None else value for value in _values(section)[:2]]
        return b'%b - - [%b] "%b" %d %d "%b" "%b"\n' % (
            *(peer, self._second(int(now)), quoted(told), status, octets),
            *(quoted(referer), quoted(agent)),
        )


class JSONLines(_Lines):
    """
    Lines of a JSON object each.
    """

    __slots__ = ()

    def _line(
        self,
        peer: bytes,
        line: bytes | None,
        section: bytes,
        status: int,
        octets: int,
        seconds: float,
        now: float,
        more: bytes,
    ) -> bytes:
        milliseconds = int(now * 1000)
        request = b""
        if line is not None:
            method, _, rest = line[:-2].partition(b" ")
            target, _, _ = rest.rpartition(b" ")
            request = b', "method": %b, "target": %b' % (_string(method), _string(target))
        found = zip((b"referer", b"agent", b"traceparent"), _values(section), strict=True)
        sent = b"".join(
            b', "%b": %b' % (name, _string(value)) for name, value in found if value is not None
        )
        return (
            b'{"time": "%b.%03d+00:00"%b%b, "status": %d, "octets": %d, "seconds": %.6f%b%b}\n'
            % (
                *(self._second(milliseconds // 1000), milliseconds % 1000),
                *(peer, request, status, octets, seconds, sent, more),
            )
        )


class Observer:
    """
    Who is told what the connections of a service do.
    """

    __slots__ = ("lines", "received", "seconds", "sent", "tally")

    def __init__(self, tally: Tally, lines: Lines | None, seconds: Callable[[], float], /) -> None:
        """
        @param tally: where their exchanges are counted.
        @param lines: where they have lines, which need not be of the classes above; C{None} where
            they have none.
        @param seconds: tells the time.
        """
        self.tally = tally
        self.lines = lines
        self.seconds = seconds
        self.received = self.sent = 0

    def octets(self) -> tuple[int, int]:
        """
        Tell how many octets were received, and sent.
        """
        return self.received, self.sent


class ObservedConnection:
    """
    One of the connections of which an observer is told.
    """

    __slots__ = ("_began", "_busy", "_observer", "_peer", "_transport")

    def __init__(self, observer: Observer, transport: Any, /) -> None:
        """
        @param observer: who is told.
        @param transport: the connection's transport.
        """
        self._observer = observer
        self._transport = transport
        self._peer: bytes | None = None
        # When what is received last was, or the exchange before it ended; unless a request is
        # under way, which began then.
        self._began = 0.0
        self._busy = False

    def received(self, data: bytes, /) -> None:
        """
        Octets arrived.
        """
        self._observer.received += len(data)
        if not self._busy:
            self._began = _real(self._observer.seconds())

    def sent(self, data: bytes, /) -> None:
        """
        Octets were written.
        """
        self._observer.sent += len(data)

    def sentFile(self, octets: int, /) -> None:
        """
        So many octets of a file were sent.

        @raise ValueError: these are fewer than none.
        """
        octets = _integer(octets)
        if octets < 0:
            raise ValueError(f"a file has no {octets} octets")
        self._observer.sent += octets

    def begun(self) -> None:
        """
        A request is under way, or waits, which is not answered at once: what arrives from here on
        belongs to it, or waits for its end.
        """
        self._busy = True

    def done(self, head: Any, status: int, octets: int, /) -> None:
        """
        An exchange is over: count it, and add its line.

        @param head: the head of the request; C{None} where what came was none.
        @param status: the status of the response.
        @param octets: how many octets of content were sent.
        """
        line, section = _request(head)
        self._finish(head, line, section, _integer(status), _integer(octets))

    def answered(
        self,
        head: Any,
        line: bytes,
        section: bytes,
        status: int,
        octets: int,
        data: bytes,
        /,
    ) -> None:
        """
        A request was answered by octets that were written: they were sent, and an exchange is
        over.

        @param head: the head of the request.
        @param line: its request line.
        @param section: its header section.
        @param status: the status of the response.
        @param octets: how many octets of content were sent.
        @param data: what was written.
        """
        status, octets = _integer(status), _integer(octets)
        self._observer.sent += len(data)
        self._finish(head, line, section, status, octets)

    def _finish(
        self, head: Any, line: bytes | None, section: bytes, status: int, octets: int
    ) -> None:
        observer, lines = self._observer, self._observer.lines
        now = _real(observer.seconds())
        # A clock may be set back.
        seconds = 0.0 if line is None else max(0.0, now - self._began)
        self._began = now
        self._busy = False
        observer.tally.count(line, status, seconds)
        if isinstance(lines, _Lines):
            if self._peer is None:
                self._peer = lines.peer(self._transport)
            lines.addFrom(self._peer, line, section, status, octets, seconds, now)
        elif lines is not None:
            lines.add(head, status, octets, seconds, now, self._transport)


def _request(head: Any) -> tuple[bytes | None, bytes]:
    """
    Tell the request line and the header section of a head.
    """
    return (None, b"") if head is None else (head.line, head.fields.raw)


def _integer(value: int) -> int:
    """
    Have an integer of 64 bits.
    """
    number = index(value)
    if not -(2**63) <= number < 2**63:
        raise OverflowError("an integer has 64 bits")
    return number


def _real(value: float) -> float:
    """
    Have a float of any real number, but not of text that tells one, as C{float} does.
    """
    return ldexp(value, 0)


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
