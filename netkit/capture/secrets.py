"""
What of a recording is nobody's business: credentials and cookies.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter

from ..wire.recording import Direction, Event, Octets

#: The fields whose values are secret, in lower case.
SECRET_FIELDS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "api-key",
        "x-auth-token",
        "x-csrf-token",
        "x-xsrf-token",
        "x-amz-security-token",
    }
)

_NAMES = [name.encode() for name in sorted(SECRET_FIELDS)]

# The value of such a field, with the lines that continue it, in whatever it stands.
_SECRET = re.compile(
    rb"(?:^|(?<=\n))[ \t]*(?:%b)[ \t]*:[ \t]*([^\r\n]+(?:\r?\n[ \t]+[^\r\n]+)*)"
    % b"|".join(map(re.escape, _NAMES)),
    re.IGNORECASE,
)
# Where a line begins that goes on with no other one, and how many octets are looked at at once.
_LINE = re.compile(rb"\n(?![ \t])")
_PART = 2**18

_SHOWN = re.compile(rb"[^\r\n]")

#: What the octets of a secret are shown as.
MASK = b"*"


def masked(
    events: Iterable[Event],
    contents: Sequence[tuple[Direction, int, int | None]],
    gone: dict[Direction, int],
) -> list[Event]:
    """
    Mask the secrets of a connection: as many octets are there as before.

    @param events: those of the connection.
    @param contents: which octets of it are content, and stay: for each piece its direction, its
        first octet and the one behind it, or L{None} for the end.
    @param gone: how many octets of each direction came before the events.
    """
    events = list(events)
    for direction in Direction:
        pieces = [
            (at, event)
            for at, event in enumerate(events)
            if isinstance(event, Octets) and event.direction is direction
        ]
        stream = b"".join(event.data for _, event in pieces)
        hidden = _hidden(
            stream, [each[1:] for each in contents if each[0] is direction], gone.get(direction, 0)
        )
        if hidden is None:
            continue
        start = 0
        for at, event in pieces:
            end = start + len(event.data)
            events[at] = event._replace(data=hidden[start:end])
            start = end
    return events


def _found(stream: bytes) -> Iterator[re.Match[bytes]]:
    """
    Find where the secrets are. A regular expression lets no other thread run, and takes seconds
    for what a connection may have in memory: it is shown what has the name of one in it, a part
    at a time.
    """
    start = 0
    while start < len(stream):
        line = _LINE.search(stream, start + _PART)
        end = len(stream) if line is None else line.end()
        part = stream[start:end].lower()
        if any(name in part for name in _NAMES):
            yield from _SECRET.finditer(stream, start, end)
        start = end


def _hidden(stream: bytes, contents: list[tuple[int, int | None]], gone: int) -> bytes | None:
    hidden: bytearray | None = None
    contents = sorted(contents, key=itemgetter(0))
    starts = [first for first, _ in contents]
    for found in _found(stream):
        start, end = found.span(1)
        position = gone + start
        before = bisect_right(starts, position)
        if before:
            last = contents[before - 1][1]
            if last is None or position < last:
                continue
        if hidden is None:
            hidden = bytearray(stream)
        hidden[start:end] = _SHOWN.sub(MASK, bytes(stream[start:end]))
    return None if hidden is None else bytes(hidden)
