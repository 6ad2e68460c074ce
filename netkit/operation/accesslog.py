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
from functools import lru_cache
from time import time
from typing import TYPE_CHECKING, Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from ..base.addresses import addressText
from .logfile import LogFile

if TYPE_CHECKING:
    # Not every service speaks them.
    from ..websocket.conversation import Conversation
    from ..wire.http import RequestHead
    from .counted import CountedConnection

    #: The values of an L{Exchange <netkit.http.Exchange>}.
    Values: TypeAlias = tuple[RequestHead | None, int, int, float, float, Any]

_log = Logger()

#: What a line is about: an exchange by its values alone, as nearly all are, or something with the
#: same values under their names.
Entry: TypeAlias = "Values | Conversation | CountedConnection"

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
        values = _values(entry)
        return _FIELD.sub(lambda name: _text(_VALUES[name[1]](values, entry, ahead)), text) + "\n"

    def own(entries: Sequence[Entry], ahead: float) -> bytes:
        return "".join([line(each, ahead) for each in entries]).encode("utf-8", "backslashreplace")

    return own


def combined(entries: Sequence[Entry], ahead: float) -> bytes:
    """
    Make lines in the combined format of Apache and nginx; the name of the service takes the place
    of a request that there was not.
    """
    # One time for all, as in nginx: they are of the same moment.
    when = _second(int(_values(entries[-1])[4] + ahead))
    begins: dict[object, bytes] = {}
    ends: dict[object, tuple[bytes, bytes]] = {}
    lines = []
    for entry in entries:
        head, status, octets, _, _, transport = (
            entry if isinstance(entry, tuple) else _values(entry)
        )
        begin = begins.get(transport)
        if begin is None:
            begin = begins[transport] = b"%b - - [%b]" % (_host(transport), when)
        if head is None:
            line, referer, agent = getattr(entry, "service", "-").encode(), b"-", b"-"
        else:
            line, fields = head.line[:-2], head.fields
            end = ends.get(fields)
            if end is None:
                section = b"\n" + fields.raw
                end = ends[fields] = (
                    b"-" if (value := _value(section, _REFERER)) is None else value,
                    b"-" if (value := _value(section, _AGENT)) is None else value,
                )
            referer, agent = end
        sent = b"%b%b%b" % (line, referer, agent)
        if not sent.isascii() or _QUOTE in sent or _BACKSLASH in sent or _TAB in sent:
            # A valid head has no other control characters.
            line, referer, agent = map(_quoted, (line, referer, agent))
        lines.append(b'%b "%b" %d %d "%b" "%b"\n' % (begin, line, status, octets, referer, agent))
    return b"".join(lines)


# How most write the name of a field, and then in lower case.
_REFERER = (b"\nReferer:", b"\nreferer:")
_AGENT = (b"\nUser-Agent:", b"\nuser-agent:")
_TRACEPARENT = (b"\ntraceparent:", b"\ntraceparent:")


def _value(section: bytes, names: tuple[bytes, bytes]) -> bytes | None:
    """
    Find a field where it was sent: to split a section of which nobody asked for a field takes
    longer.

    @param section: the section, behind a line feed.
    """
    found = section.find(names[0])
    if found < 0:
        # A regular expression that minds no case takes ten times as long.
        found = section.lower().find(names[1])
        if found < 0:
            return None
    start = found + len(names[1])
    return section[start : section.index(b"\r", start)].strip(b" \t")


def jsonLines(entries: Sequence[Entry], ahead: float) -> bytes:
    """
    Make an object in a line of each.
    """
    connections: dict[object, str] = {}
    requests: dict[bytes, str] = {}
    sections: dict[object, str] = {}
    lines = []
    for entry in entries:
        values = entry if isinstance(entry, tuple) else _values(entry)
        head, status, octets, seconds, ended, transport = values
        connection = connections.get(transport)
        if connection is None:
            connection = connections[transport] = _members(("connection", "peer"), values, entry)
        request = sent = ""
        if head is not None:
            request = requests.get(head.line, "")
            if not request:
                request = requests[head.line] = _members(("method", "target"), values, entry)
            found = sections.get(head.fields)
            if found is None:
                found = sections[head.fields] = _members(_SENT, values, entry)
            sent = found
        if values is not entry:
            sent += _members(_OWN, values, entry)
        lines.append(
            f'{{"time": "{_time(ended + ahead)}"{connection}{request}, "status": {status}, '
            f'"octets": {octets}, "seconds": {seconds:.6f}{sent}}}\n'
        )
    return "".join(lines).encode()


def _members(names: Iterable[str], values: Values, entry: Entry) -> str:
    """
    Make of some values what follows others in a JSON object.
    """
    found = [(name, _VALUES[name](values, entry, 0.0)) for name in names]
    return "".join([f', "{name}": {_encode(value)}' for name, value in found if value is not None])


_encode = json.JSONEncoder().encode


def _time(seconds: float) -> str:
    milliseconds = int(seconds * 1000)
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


# What a client sends for it.
_SENT = ("referer", "agent", "traceparent")


def _ownValue(own: str) -> Callable[[Values, object, float], object]:
    return lambda values, entry, ahead: getattr(entry, own, None)


def _fieldValue(names: tuple[bytes, bytes]) -> Callable[[Values, object, float], object]:
    def value(values: Values, entry: object, ahead: float) -> str | None:
        head = values[0]
        found = None if head is None else _value(b"\n" + head.fields.raw, names)
        return None if found is None else found.decode("latin-1")

    return value


_VALUES: dict[str, Callable[[Values, Any, float], object]] = {
    "time": lambda values, entry, ahead: _time(values[4] + ahead),
    "connection": lambda values, entry, ahead: getattr(values[5], "number", None),
    "peer": lambda values, entry, ahead: addressText(values[5].getPeer()),
    "method": lambda values, entry, ahead: values[0] and values[0].method.decode("latin-1"),
    "target": lambda values, entry, ahead: values[0] and values[0].target.decode("latin-1"),
    "status": lambda values, entry, ahead: values[1],
    "octets": lambda values, entry, ahead: values[2],
    "seconds": lambda values, entry, ahead: round(values[3], 6),
    "referer": _fieldValue(_REFERER),
    "agent": _fieldValue(_AGENT),
    "traceparent": _fieldValue(_TRACEPARENT),
    **{name: _ownValue(own) for name, own in _OWN.items()},
}


def _values(entry: Entry) -> Values:
    if isinstance(entry, tuple):
        return entry
    octets = entry.octets
    if entry.status == 101:
        # Of a WebSocket, all that went over its connection, which is counted beneath it.
        octets = int(getattr(entry.transport, "octetsSent", 0))
    return entry.head, entry.status, octets, entry.seconds, entry.ended, entry.transport


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

    def logExchange(self, *values: Any) -> None:
        """
        Log an exchange, soon.

        @param values: those of an L{Exchange <netkit.http.Exchange>}.
        """
        self.log(values)

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
