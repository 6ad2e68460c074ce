"""
A line for each HTTP request that was answered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from time import time
from typing import Any

from ..base.addresses import addressText
from ..http.exchange import Exchange

#: What a line is made of.
Format = Callable[[Exchange], str]

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

    def own(exchange: Exchange) -> str:
        values = _values(exchange)
        return _FIELD.sub(lambda found: _text(values.get(found[1])), text) + "\n"

    return own


def combined(exchange: Exchange) -> str:
    """
    Make a line in the combined format of Apache and nginx.
    """
    head = exchange.head
    when = _second(int(time()))
    line = _escaped(head.line) if head is not None else "-"
    referer = _field(exchange, b"referer")
    agent = _field(exchange, b"user-agent")
    return (
        f'{_host(exchange.transport)} - - [{when}] "{line}" {exchange.status} {exchange.octets} '
        f'"{_text(referer)}" "{_text(agent)}"\n'
    )


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")


def jsonLine(exchange: Exchange) -> str:
    """
    Make an object in a line.
    """
    found = {name: value for name, value in _values(exchange).items() if value is not None}
    return json.dumps(found) + "\n"


def _values(exchange: Exchange) -> dict[str, Any]:
    head = exchange.head
    return {
        "time": datetime.fromtimestamp(time(), UTC).isoformat(timespec="milliseconds"),
        "connection": getattr(exchange.transport, "number", None),
        "peer": addressText(exchange.transport.getPeer()),
        "method": head and head.method.decode("latin-1"),
        "target": head and head.target.decode("latin-1"),
        "status": exchange.status,
        "octets": exchange.octets,
        "seconds": round(exchange.seconds, 6),
        "referer": _field(exchange, b"referer"),
        "agent": _field(exchange, b"user-agent"),
        "traceparent": _field(exchange, b"traceparent"),
    }


_NAMES = frozenset(
    (
        *("time", "connection", "peer", "method", "target", "status", "octets", "seconds"),
        *("referer", "agent", "traceparent"),
    )
)


def _field(exchange: Exchange, name: bytes) -> str | None:
    value = None if exchange.head is None else exchange.head.fields.get(name)
    return None if value is None else value.decode("latin-1")


def _host(transport: Any) -> str:
    return str(getattr(transport.getPeer(), "host", None) or "-")


def _text(value: object) -> str:
    return "-" if value is None else _escaped(str(value).encode("latin-1", "replace"))


def _escaped(octets: bytes) -> str:
    text = octets.decode("latin-1").rstrip("\r\n")
    return _ESCAPED.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
