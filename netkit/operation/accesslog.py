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
Format = Callable[[Any], str]

# What cannot stand in a quoted part of a line, as nginx and Apache have it.
_ESCAPED = re.compile(r'[^\x20-\x7e]|["\\]')

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

    def own(entry: Entry) -> str:
        values = _values(entry)
        return _FIELD.sub(lambda found: _text(values.get(found[1])), text) + "\n"

    return own


def combined(entry: Entry) -> str:
    """
    Make a line in the combined format of Apache and nginx; the name of the service takes the place
    of a request that there was not.
    """
    head = entry.head
    when = _second(int(time()))
    line = _escaped(head.line) if head is not None else getattr(entry, "service", "-")
    referer = _field(entry, b"referer")
    agent = _field(entry, b"user-agent")
    return (
        f'{_host(entry.transport)} - - [{when}] "{line}" {entry.status} {_sent(entry)} '
        f'"{_text(referer)}" "{_text(agent)}"\n'
    )


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")


def jsonLine(entry: Entry) -> str:
    """
    Make an object in a line.
    """
    found = {name: value for name, value in _values(entry).items() if value is not None}
    return json.dumps(found) + "\n"


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
        "peer": addressText(entry.transport.getPeer()),
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
    # Of a WebSocket, all that went over its connection, which is counted beneath it.
    if getattr(entry, "code", None) is not None:
        return int(getattr(entry.transport, "octetsSent", 0))
    return entry.octets


def _field(entry: Entry, name: bytes) -> str | None:
    value = None if entry.head is None else entry.head.fields.get(name)
    return None if value is None else value.decode("latin-1")


def _host(transport: Any) -> str:
    return str(getattr(transport.getPeer(), "host", None) or "-")


def _text(value: object) -> str:
    return "-" if value is None else _escaped(str(value).encode("latin-1", "replace"))


def _escaped(octets: bytes) -> str:
    text = octets.decode("latin-1").rstrip("\r\n")
    return _ESCAPED.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


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
        self._file.write(self._format(entry).encode("utf-8", "backslashreplace"))

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
