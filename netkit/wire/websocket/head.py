"""
The heads of the opening handshake: a request line or a status line, and field lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

from ..errors import LocalProtocolError, RemoteProtocolError

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_VALUE = rb"[\t\x20-\x7e\x80-\xff]*"
_FIELDS = rb"((?:" + _TOKEN + rb":" + _VALUE + rb"\r\n)*)\r\n"
_REQUEST = re.compile(rb"(" + _TOKEN + rb") ([!-~]+) HTTP/1\.([0-9])\r\n" + _FIELDS)
_RESPONSE = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9]{2}) [\t -~\x80-\xff]*\r\n" + _FIELDS)
_FIELD = re.compile(rb"([^:\r\n]+):([^\r\n]*)\r\n")


class Fields:
    """
    The field lines of a head.

    @ivar pairs: each field's name and value, in their order.
    """

    __slots__ = ("pairs",)

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.pairs = tuple(pairs)

    def all(self, name: bytes) -> list[bytes]:
        """
        The values of all fields of a name, in their order.
        """
        name = name.lower()
        return [value for key, value in self.pairs if key.lower() == name]

    def elements(self, name: bytes) -> list[bytes]:
        """
        The elements of all fields of a name whose values are comma-separated lists.
        """
        parts = b",".join(self.all(name)).split(b",")
        return [element for part in parts if (element := part.strip(b" \t"))]


@dataclass(slots=True)
class RequestHead:
    """
    A request's head.
    """

    method: bytes
    target: bytes
    minor: int
    fields: Fields


@dataclass(slots=True)
class ResponseHead:
    """
    A response's head.
    """

    status: int
    fields: Fields


def _match(pattern: re.Pattern[bytes], buffer: bytes, limit: int) -> re.Match[bytes] | None:
    end = buffer.find(b"\r\n\r\n")
    if (end if end >= 0 else len(buffer)) > limit:
        raise RemoteProtocolError(f"the head is longer than {limit} octets", 431)
    if end < 0:
        return None
    found = pattern.match(buffer)
    if found is None:
        raise RemoteProtocolError(f"this is no head of HTTP/1: {buffer[:80]!r}", 400)
    return found


def _fields(lines: bytes) -> Fields:
    return Fields((name, value.strip(b" \t")) for name, value in _FIELD.findall(lines))


def parse_request(buffer: bytes, limit: int) -> tuple[RequestHead, int] | None:
    """
    Parse a request's head.

    @return: it and the offset behind it, or L{None} when more is needed.
    """
    found = _match(_REQUEST, buffer, limit)
    if found is None:
        return None
    return RequestHead(found[1], found[2], int(found[3]), _fields(found[4])), found.end()


def parse_response(buffer: bytes, limit: int) -> tuple[ResponseHead, int] | None:
    """
    Parse a response's head.

    @return: it and the offset behind it, or L{None} when more is needed.
    """
    found = _match(_RESPONSE, buffer, limit)
    if found is None:
        return None
    return ResponseHead(int(found[1]), _fields(found[2])), found.end()


def status_line(status: int) -> bytes:
    """
    The status line of a response.
    """
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    return b"HTTP/1.1 %d %b\r\n" % (status, reason.encode())


def encode_fields(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """
    Serialise fields, each in a line of its own.
    """
    lines = []
    for name, value in fields:
        if not re.fullmatch(_TOKEN, name) or not re.fullmatch(_VALUE, value):
            raise LocalProtocolError(f"{name!r}: {value!r} cannot be a field")
        lines.append(b"%b: %b\r\n" % (name, value))
    return b"".join(lines)
