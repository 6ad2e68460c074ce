"""
Responses to octets (RFC 9112 sections 4, 6 and 7).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from http import HTTPStatus

from ..errors import LocalProtocolError
from .fields import encode_fields
from .framing import has_content
from .head import RequestHead

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# What these say follows from the content and the connection, and is written by this module.
_OWN_FIELDS = frozenset({b"content-length", b"transfer-encoding"})


@cache
def status_line(status: int) -> bytes:
    """
    The status line of a response, with the reason phrase that RFC 9110 section 15 has for it.

    @raise LocalProtocolError: the status does not have three digits from 100 on.
    """
    if not 100 <= status <= 999:
        raise LocalProtocolError(f"{status} is no status: 100 to 999 are")
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    return b"HTTP/1.1 %d %b\r\n" % (status, reason.encode())


def encode_response_fields(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """
    Serialise the fields that somebody wants in a response.

    @raise LocalProtocolError: one is not well-formed, or not theirs to set.
    """
    fields = list(fields)
    for name, _ in fields:
        if name.lower() in _OWN_FIELDS:
            raise LocalProtocolError(
                f"{name.decode()} cannot be set: it follows from the content of the response"
            )
    return encode_fields(fields)


def says_length(method: bytes, status: int) -> bool:
    """
    Whether a response may say the length of its content (RFC 9110 section 8.6): to HEAD it does.

    @param method: the method of the request it answers.
    @param status: its status.
    """
    return has_content(method, status) or (method == b"HEAD" and has_content(b"GET", status))


def connection_line(head: RequestHead | None, keep_alive: bool) -> bytes:
    """
    The field line that says what becomes of the connection after a response, empty where it goes
    without saying (RFC 9112 sections 9.3 and 9.6).

    @param head: the request it answers.
    @param keep_alive: whether the connection can carry another request.
    """
    if not keep_alive:
        return b"connection: close\r\n"
    if head is not None and head.minor == 0:
        return b"connection: keep-alive\r\n"
    return b""


def chunk(data: bytes) -> bytes:
    """
    Serialise a chunk (RFC 9112 section 7.1).

    @param data: what is in it; not empty, which would end the content.
    """
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """
    Serialise the last chunk and the trailer section (RFC 9112 section 7.1.2).

    @raise LocalProtocolError: a trailer is not well-formed.
    """
    return b"0\r\n%b\r\n" % encode_fields(trailers)
