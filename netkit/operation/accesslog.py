"""
A line for each HTTP request that was answered, and for each other connection that is over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from time import time
from typing import TYPE_CHECKING, Any, TypeAlias

from twisted.internet.defer import Deferred

from ..base.addresses import addressText
from .logfile import LogFile

if TYPE_CHECKING:
    # Not every service speaks them.
    from ..http.exchange import Exchange
    from ..websocket.conversation import Conversation
    from .counted import CountedConnection

#: What a line is about.
Entry: TypeAlias = "Exchange | Conversation | CountedConnection"

#: What makes a line of it.
Format = Callable[[Any], bytes]

# What cannot stand in a quoted part of a line, as nginx and Apache have it; and what can.
_ESCAPED = re.compile(rb'[^\x20-\x7e]|["\\]')
_PLAIN = bytes(octet for octet in range(0x20, 0x7F) if octet not in b'"\\')

# Clients send the same header section again and again: so many of those that are no longer than
# this are remembered.
_SECTIONS = 256
_SHORT = 2048

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
        return jsonLine
    for name in _FIELD.findall(text):
        if name not in _NAMES:
            raise ValueError(f"{{{name}}} is none of {', '.join(sorted(_NAMES))}")

    def own(entry: Entry) -> bytes:
        values = _values(entry)
        line = _FIELD.sub(lambda found: _text(values.get(found[1])), text)
        return line.encode("utf-8", "backslashreplace") + b"\n"

    return own


def combined(entry: Entry) -> bytes:
    """
    Make a line in the combined format of Apache and nginx; the name of the service takes the place
    of a request that there was not.
    """
    head = entry.head
    if head is not None:
        line, section = head.line[:-2], head.fields.raw
        # All else that cannot stand in quotes is in no request line.
        if b"\\" in line or b'"' in line:
            line = _quoted(line)
    else:
        line, section = getattr(entry, "service", "-").encode(), b""
    return b'%b - - [%b] "%b" %d %d %b\n' % (
        _host(entry.peer),
        _second(int(time())),
        line,
        entry.status,
        _sent(entry),
        _client(section) if len(section) <= _SHORT else _found(section),
    )


@lru_cache(maxsize=2)
def _second(seconds: int) -> bytes:
    return datetime.fromtimestamp(seconds, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000").encode()


def _found(section: bytes) -> bytes:
    # A regular expression that minds no case takes ten times as long.
    lower = b"\n" + section.lower()
    return b'"%b" "%b"' % (
        _value(section, lower, b"\nreferer:"),
        _value(section, lower, b"\nuser-agent:"),
    )


def _value(section: bytes, lower: bytes, name: bytes) -> bytes:
    found = lower.find(name)
    if found < 0:
        return b"-"
    # The line feed in front is in the one alone.
    start = found + len(name) - 1
    return _quoted(section[start : section.index(b"\r", start)].strip(b" \t"))


_client = lru_cache(_SECTIONS)(_found)


def jsonLine(entry: Entry) -> bytes:
    """
    Make an object in a line.
    """
    found = {name: value for name, value in _values(entry).items() if value is not None}
    return json.dumps(found).encode() + b"\n"


# What an entry of some kind has alone, and what it is called.
_OWN = {
    "service": "service",
    "received": "octetsReceived",
    "code": "code",
    "messages_received": "messagesReceived",
    "messages_sent": "messagesSent",
}


def _values(entry: Entry) -> dict[str, Any]:
    head = entry.head
    return {
        "time": datetime.fromtimestamp(time(), UTC).isoformat(timespec="milliseconds"),
        "connection": getattr(entry.transport, "number", None),
        "peer": addressText(entry.peer),
        "method": head and head.method.decode("latin-1"),
        "target": head and head.target.decode("latin-1"),
        "status": entry.status,
        "octets": _sent(entry),
        "seconds": round(entry.seconds, 6),
        "referer": _field(entry, b"referer"),
        "agent": _field(entry, b"user-agent"),
        "traceparent": _field(entry, b"traceparent"),
        **{name: getattr(entry, own, None) for name, own in _OWN.items()},
    }


_NAMES = frozenset(
    (
        *("time", "connection", "peer", "method", "target", "status", "octets", "seconds"),
        *("referer", "agent", "traceparent", *_OWN),
    )
)


def _sent(entry: Entry) -> int:
    if entry.status != 101 or not hasattr(entry, "code"):
        return entry.octets
    # Of a WebSocket, all that went over its connection, which is counted beneath it.
    return int(getattr(entry.transport, "octetsSent", 0))


def _field(entry: Entry, name: bytes) -> str | None:
    value = None if entry.head is None else entry.head.fields.get(name)
    return None if value is None else value.decode("latin-1")


def _host(peer: Any) -> bytes:
    try:
        return bytes(peer.host.encode())
    except AttributeError:
        return b"-"


def _text(value: object) -> str:
    return "-" if value is None else _quoted(str(value).encode("latin-1", "replace")).decode()


def _quoted(octets: bytes) -> bytes:
    if not octets.translate(None, _PLAIN):
        return octets
    return _ESCAPED.sub(lambda found: b"\\x%02x" % found[0][0], octets)


class AccessLog:
    """
    Where the requests and connections of services are logged.
    """

    def __init__(self, file: LogFile, format: Format) -> None:
        """
        @param file: takes the lines.
        @param format: makes them.
        """
        self._file = file
        self._format = format

    def log(self, entry: Entry) -> None:
        """
        Log what is over.
        """
        self._file.write(self._format(entry))

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
        return self._file.stop()

    def reopen(self) -> None:
        """
        Open what is at the file's path now, which may have been moved away.
        """
        self._file.reopen()
