"""
A line for each HTTP request that was answered, and for each other connection that is over.

A line is made at once, while what it says is at hand; those of a moment are written together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache, partial
from time import time
from typing import TYPE_CHECKING, Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from ..base.addresses import addressText
from .exchanges import CombinedLines, JSONLines, Lines, quoted
from .logfile import LogFile

if TYPE_CHECKING:
    # Not every service speaks them.
    from ..websocket.conversation import Conversation
    from ..wire.http import RequestHead
    from .counted import CountedConnection

    #: The values of an L{Exchange <netkit.http.Exchange>}.
    Values: TypeAlias = tuple[RequestHead | None, int, int, float, float, Any]

_log = Logger()

#: What a line is about that is no exchange: it has the same values under their names.
Entry: TypeAlias = "Conversation | CountedConnection"

# For how many seconds what is over waits for others to be written with.
_DELAY = 0.1

# Or until so many characters of lines in a format of one's own wait.
_FULL = 2**18

_FIELD = re.compile(r"\{([^{}]*)\}")


class Format:
    """
    What becomes of what is over.

    @ivar lines: makes lines; given what is called before the first line that is to be taken,
        which returns how many seconds the time of day is ahead of the clock of what has ended, and
        what is called when so many octets wait that they are to be taken.
    @ivar more: makes of what is no exchange what its line says more.
    """

    def __init__(
        self,
        lines: Callable[[Callable[[], float], Callable[[], object]], Lines],
        more: Callable[[Entry], object],
    ) -> None:
        self.lines = lines
        self.more = more


def parseFormat(text: str) -> Format:
    """
    Parse C{combined}, C{json}, or a format of one's own, in which names of values of the JSON
    object are in braces: C{"{peer} {method} {target} {status}"}.

    @raise ValueError: a name is none, or there is none.
    """
    if text == "combined":
        return Format(partial(CombinedLines, _host, _second), _service)
    if text == "json":
        return Format(partial(JSONLines, _peer, _isoSecond), _ownMembers)
    names = _FIELD.findall(text)
    if not names:
        raise ValueError(f"{text!r} is neither combined nor json, and has no {{name}} of a value")
    for name in names:
        if name not in _VALUES:
            raise ValueError(f"{{{name}}} is none of {', '.join(sorted(_VALUES))}")
    return Format(partial(_OwnLines, text), lambda entry: entry)


class _OwnLines:
    """
    Lines in a format of one's own.
    """

    def __init__(self, text: str, begun: Callable[[], float], full: Callable[[], object]) -> None:
        self._text = text
        self._begun = begun
        self._full = full
        self._ahead = 0.0
        self._waiting = False
        self._lines: list[str] = []
        self._length = 0

    def add(
        self,
        head: RequestHead | None,
        status: int,
        octets: int,
        seconds: float,
        ended: float,
        transport: Any,
        more: Entry | None = None,
        /,
    ) -> None:
        if not self._waiting:
            self._ahead = self._begun()
            self._waiting = True
        values = head, status, octets, seconds, ended + self._ahead, transport
        line = _FIELD.sub(lambda name: _text(_VALUES[name[1]](values, more)), self._text)
        self._lines.append(line + "\n")
        self._length += len(line)
        if self._length >= _FULL:
            self._full()

    def take(self) -> tuple[bytes, int]:
        lines, self._lines = self._lines, []
        self._length = 0
        self._waiting = False
        return "".join(lines).encode("utf-8", "backslashreplace"), len(lines)


# What stands for the peer in a line, and what it says more of what is no exchange.


def _host(transport: Any) -> bytes:
    return str(getattr(transport.getPeer(), "host", None) or "-").encode()


def _service(entry: Entry) -> bytes:
    return str(getattr(entry, "service", "")).encode()


def _peer(transport: Any) -> bytes:
    return _members(("connection", "peer"), (None, 0, 0, 0.0, 0.0, transport), None)


def _ownMembers(entry: Entry) -> bytes:
    return _members(_OWN, _values(entry), entry)


def _members(names: Iterable[str], values: Values, entry: Entry | None) -> bytes:
    """
    Make of some values what follows others in a JSON object.
    """
    found = [(name, _VALUES[name](values, entry)) for name in names]
    members = [f', "{name}": {json.dumps(value)}' for name, value in found if value is not None]
    return "".join(members).encode()


@lru_cache(maxsize=2)
def _second(seconds: int) -> bytes:
    return datetime.fromtimestamp(seconds, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000").encode()


@lru_cache(maxsize=2)
def _isoSecond(seconds: int) -> bytes:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


def _time(seconds: float) -> str:
    milliseconds = int(seconds * 1000)
    return f"{_isoSecond(milliseconds // 1000).decode()}.{milliseconds % 1000:03d}+00:00"


# What an entry of some kind has alone, and what it is called.
_OWN = {
    "service": "service",
    "received": "octetsReceived",
    "code": "code",
    "messages_received": "messagesReceived",
    "messages_sent": "messagesSent",
}


def _ownValue(own: str) -> Callable[[Values, object], object]:
    return lambda values, entry: getattr(entry, own, None)


def _fieldValue(name: bytes) -> Callable[[Values, object], object]:
    def value(values: Values, entry: object) -> str | None:
        found = None if values[0] is None else values[0].fields.get(name)
        return None if found is None else found.decode("latin-1")

    return value


_VALUES: dict[str, Callable[[Values, Any], object]] = {
    "time": lambda values, entry: _time(values[4]),
    "connection": lambda values, entry: getattr(values[5], "number", None),
    "peer": lambda values, entry: addressText(values[5].getPeer()),
    "method": lambda values, entry: values[0] and values[0].method.decode("latin-1"),
    "target": lambda values, entry: values[0] and values[0].target.decode("latin-1"),
    "status": lambda values, entry: values[1],
    "octets": lambda values, entry: values[2],
    "seconds": lambda values, entry: round(values[3], 6),
    "referer": _fieldValue(b"referer"),
    "agent": _fieldValue(b"user-agent"),
    "traceparent": _fieldValue(b"traceparent"),
    **{name: _ownValue(own) for name, own in _OWN.items()},
}


def _values(entry: Entry) -> Values:
    octets = entry.octets
    if entry.status == 101:
        # Of a WebSocket, all that went over its connection, which is counted beneath it.
        octets = int(getattr(entry.transport, "octetsSent", 0))
    return entry.head, entry.status, octets, entry.seconds, entry.ended, entry.transport


def _text(value: object) -> str:
    return "-" if value is None else quoted(str(value).encode("latin-1", "replace")).decode()


class AccessLog:
    """
    Where the requests and connections of services are logged.

    @ivar lines: what waits to be written, soon.
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
        self.lines = format.lines(self._begun, self._writeNow)
        self._writing: IDelayedCall | None = None

    def log(self, entry: Entry) -> None:
        """
        Log what is over, soon.
        """
        try:
            self.lines.add(*_values(entry), self._format.more(entry))
        except Exception:
            _log.failure("What is over could not be logged")

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
        self._writeNow()
        return self._file.stop()

    def reopen(self) -> None:
        """
        Open what is at the file's path now, which may have been moved away.
        """
        self._writeNow()
        self._file.reopen()

    def _begun(self) -> float:
        self._writing = self._reactor.callLater(_DELAY, self._write)
        return time() - float(self._reactor.seconds())

    def _writeNow(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._write()

    def _write(self) -> None:
        self._writing = None
        lines, count = self.lines.take()
        if count:
            self._file.write(lines, count)
