"""
A line for each HTTP request that was answered, and for each other connection that is over.

A line costs its request a place in a list; the lines of many are made at once, since most of what
they say is the same in others: the second, who asks, and by what.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from time import time
from typing import TYPE_CHECKING, Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from ..base.addresses import addressText
from .logfile import LogFile

if TYPE_CHECKING:
    # Not every service speaks them.
    from ..http.exchange import Exchange
    from ..websocket.conversation import Conversation
    from .counted import CountedConnection

_log = Logger()

#: What a line is about.
Entry: TypeAlias = "Exchange | Conversation | CountedConnection"

#: What makes lines of several: it is told how far the time of day is ahead of their clock's.
Format = Callable[[Sequence[Any], float], bytes]

# For how many seconds what is over waits for others to be logged with.
_DELAY = 0.02

# What cannot stand in a quoted part of a line, as nginx and Apache have it.
_ESCAPED = re.compile(rb'[^\x20-\x7e]|["\\]')

# An octet is looked for faster than a string of one.
_TAB, _QUOTE, _BACKSLASH = b'\t"\\'

_FIELD = re.compile(r"\{([^{}]*)\}")


def parseFormat(text: str) -> Format:
    """
    Parse C{combined}, C{json}, or a format of one's own, in which names of values of the JSON
    object are in braces: C{"{peer} {method} {target} {status}"}.

    @raise ValueError: a name is none.
    """
    if text == "combined":
        return combined
    if text == "json":
        return jsonLines
    for name in _FIELD.findall(text):
        if name not in _VALUES:
            raise ValueError(f"{{{name}}} is none of {', '.join(sorted(_VALUES))}")

    def line(entry: Entry, ahead: float) -> str:
        return _FIELD.sub(lambda found: _text(_VALUES[found[1]](entry, ahead)), text) + "\n"

    def own(entries: Sequence[Entry], ahead: float) -> bytes:
        return "".join([line(each, ahead) for each in entries]).encode("utf-8", "backslashreplace")

    return own


def combined(entries: Sequence[Entry], ahead: float) -> bytes:
    """
    Make lines in the combined format of Apache and nginx; the name of the service takes the place
    of a request that there was not.
    """
    # One time for all, as in nginx: they are of the same moment.
    when = _second(int(entries[-1].ended + ahead))
    begins: dict[object, bytes] = {}
    requests: dict[bytes, bytes] = {}
    ends: dict[object, bytes] = {}
    lines = []
    for entry in entries:
        head, transport = entry.head, entry.transport
        begin = begins.get(transport)
        if begin is None:
            begin = begins[transport] = b"%b - - [%b]" % (_host(transport), when)
        if head is None:
            request, end = getattr(entry, "service", "-").encode(), b'"-" "-"'
        else:
            request = requests.get(head.line, b"")
            if not request:
                request = requests[head.line] = _headQuoted(head.line.rstrip(b"\r\n"))
            end = ends.get(head.fields, b"")
            if not end:
                end = ends[head.fields] = _client(head.fields.raw)
        # What knows its octets need not be looked into.
        octets = entry.octets or _sent(entry)
        lines.append(b'%b "%b" %d %d %b\n' % (begin, request, entry.status, octets, end))
    return b"".join(lines)


def _client(section: bytes) -> bytes:
    section = b"\n" + section
    return b'"%b" "%b"' % (_value(section, _REFERER), _value(section, _AGENT))


# How most write the name of a field, and then in lower case.
_REFERER = (b"\nReferer:", b"\nreferer:")
_AGENT = (b"\nUser-Agent:", b"\nuser-agent:")


def _value(section: bytes, names: tuple[bytes, bytes]) -> bytes:
    found = section.find(names[0])
    if found < 0:
        # A regular expression that minds no case takes ten times as long.
        found = section.lower().find(names[1])
        if found < 0:
            return b"-"
    start = found + len(names[1])
    return _headQuoted(section[start : section.index(b"\r", start)].strip(b" \t"))


def _headQuoted(octets: bytes) -> bytes:
    """
    Quote what is in a valid head, which has no other control characters.
    """
    if octets.isascii() and not (_QUOTE in octets or _BACKSLASH in octets or _TAB in octets):
        return octets
    return _quoted(octets)


def jsonLines(entries: Sequence[Entry], ahead: float) -> bytes:
    """
    Make an object in a line of each.
    """
    connections: dict[object, str] = {}
    requests: dict[bytes, str] = {}
    fields: dict[object, str] = {}
    lines = []
    for entry in entries:
        head, transport = entry.head, entry.transport
        connection = connections.get(transport)
        if connection is None:
            connection = connections[transport] = _members(("connection", "peer"), entry)
        request = sent = ""
        if head is not None:
            request = requests.get(head.line, "")
            if not request:
                request = requests[head.line] = _members(("method", "target"), entry)
            found = fields.get(head.fields)
            if found is None:
                found = fields[head.fields] = _members(("referer", "agent", "traceparent"), entry)
            sent = found
        kind: Any = type(entry)
        own = _ownNames(kind)
        if own:
            sent += _members(own, entry)
        octets = entry.octets or _sent(entry)
        lines.append(
            f'{{"time": "{_time(entry, ahead)}"{connection}{request}, "status": {entry.status}, '
            f'"octets": {octets}, "seconds": {entry.seconds:.6f}{sent}}}\n'
        )
    return "".join(lines).encode()


def _members(names: Iterable[str], entry: Entry) -> str:
    """
    Make of some values what follows others in a JSON object.
    """
    values = [(name, _VALUES[name](entry, 0.0)) for name in names]
    return "".join(
        [f', "{name}": {json.dumps(value)}' for name, value in values if value is not None]
    )


def _time(entry: Entry, ahead: float) -> str:
    milliseconds = int((entry.ended + ahead) * 1000)
    return f"{_isoSecond(milliseconds // 1000)}.{milliseconds % 1000:03d}+00:00"


@lru_cache(maxsize=2)
def _second(seconds: int) -> bytes:
    return datetime.fromtimestamp(seconds, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000").encode()


@lru_cache(maxsize=2)
def _isoSecond(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


# What an entry of some kind has alone, and what it is called.
_OWN = {
    "service": "service",
    "received": "octetsReceived",
    "code": "code",
    "messages_received": "messagesReceived",
    "messages_sent": "messagesSent",
}


@cache
def _ownNames(kind: Any) -> tuple[str, ...]:
    return tuple(name for name, own in _OWN.items() if hasattr(kind, own))


def _ownValue(own: str) -> Callable[[Any, float], object]:
    return lambda entry, ahead: getattr(entry, own, None)


def _fieldValue(name: bytes) -> Callable[[Any, float], object]:
    return lambda entry, ahead: _field(entry, name)


_VALUES: dict[str, Callable[[Any, float], object]] = {
    "time": _time,
    "connection": lambda entry, ahead: getattr(entry.transport, "number", None),
    "peer": lambda entry, ahead: addressText(entry.transport.getPeer()),
    "method": lambda entry, ahead: entry.head and entry.head.method.decode("latin-1"),
    "target": lambda entry, ahead: entry.head and entry.head.target.decode("latin-1"),
    "status": lambda entry, ahead: entry.status,
    "octets": lambda entry, ahead: _sent(entry),
    "seconds": lambda entry, ahead: round(entry.seconds, 6),
    "referer": _fieldValue(b"referer"),
    "agent": _fieldValue(b"user-agent"),
    "traceparent": _fieldValue(b"traceparent"),
    **{name: _ownValue(own) for name, own in _OWN.items()},
}


def _sent(entry: Entry) -> int:
    if entry.status != 101 or not hasattr(entry, "code"):
        return entry.octets
    # Of a WebSocket, all that went over its connection, which is counted beneath it.
    return int(getattr(entry.transport, "octetsSent", 0))


def _field(entry: Entry, name: bytes) -> str | None:
    value = None if entry.head is None else entry.head.fields.get(name)
    return None if value is None else value.decode("latin-1")


def _host(transport: Any) -> bytes:
    return str(getattr(transport.getPeer(), "host", None) or "-").encode()


def _text(value: object) -> str:
    return "-" if value is None else _quoted(str(value).encode("latin-1", "replace")).decode()


def _quoted(octets: bytes) -> bytes:
    return _ESCAPED.sub(lambda found: b"\\x%02x" % found[0][0], octets)


class AccessLog:
    """
    Where the requests and connections of services are logged.
    """

    def __init__(self, file: LogFile, format: Format, reactor: Any) -> None:
        """
        @param file: takes the lines.
        @param format: makes them.
        @param reactor: whose clock tells when what is logged has ended.
        """
        self._file = file
        self._format = format
        self._reactor = reactor
        self._waiting: list[Entry] = []
        self._logging: IDelayedCall | None = None

    def log(self, entry: Entry) -> None:
        """
        Log what is over, soon.
        """
        if not self._waiting:
            self._logging = self._reactor.callLater(_DELAY, self._logWaiting)
        self._waiting.append(entry)

    def start(self) -> None:
        """
        Open the file.

        @raise OSError: it cannot be written to.
        """
        self._file.start()

    def stop(self) -> Deferred[None]:
        """
        Write what waits, and close the file.
        """
        self._logNow()
        return self._file.stop()

    def reopen(self) -> None:
        """
        Open what is at the file's path now, which may have been moved away.
        """
        self._logNow()
        self._file.reopen()

    def _logNow(self) -> None:
        if self._waiting:
            assert self._logging is not None
            self._logging.cancel()
            self._logWaiting()

    def _logWaiting(self) -> None:
        entries, self._waiting = self._waiting, []
        try:
            lines = self._format(entries, time() - self._reactor.seconds())
        except Exception:
            _log.failure("What is over could not be logged")
        else:
            self._file.write(lines, len(entries))
