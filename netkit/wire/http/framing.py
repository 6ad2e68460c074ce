"""
What the fields of a head say about the message's framing and about the connection (RFC 9112
sections 6 and 9; RFC 9110 sections 7.2, 7.6.1, 7.8, 8.6 and 10.1.1).
"""

from __future__ import annotations

import re

from ..errors import HTTPProtocolError
from .fields import Fields, show, split_list

# One pass over the whole section; which of the other fields there are makes no difference here.
_FOUND = re.compile(
    rb"\n(host|content-length|transfer-encoding|connection|expect|upgrade):([^\r]*+)"
)

# RFC 3986 section 3.2.2: a name or an IPv4 address, an IPv6 address, or a later one. The port
# may be empty; the grammar would let it have any number of digits.
HOST = (
    rb"(?:(?:[!$&-.0-9;=A-Z_a-z~]++|%[0-9A-Fa-f]{2})++"
    rb"|\[(?:[0-9A-Fa-f:.]++|[vV][0-9A-Fa-f]++\.[!$&-.0-;=A-Z_a-z~]++)\])"
)
PORT = rb"(?::[0-9]{0,5}+)"
_HOST_VALUE = re.compile(rb"[ \t]*+(?:" + HOST + PORT + rb"?+)?+[ \t]*+")

_DIGITS = re.compile(rb"[0-9]++")

# A Content-Length of more digits is over any limit; int() never sees it.
_MAX_DIGITS = 18


class Framing:
    """
    What a head says about its content and its connection.

    @ivar chunked: whether the content comes in chunks.
    @ivar content_length: how many octets of content there are if it does not come in chunks;
        C{None} in a response that does not say.
    @ivar has_content: whether there is content after the head; of a length of 0 there is none.
    @ivar keep_alive: whether the connection can carry another request after this one.
    @ivar expects_continue: whether the client waits for 100 (Continue) before it sends content.
    @ivar upgrade: whether the client offers to go on in one of the protocols that its Upgrade
        fields list.
    """

    __slots__ = (
        "chunked",
        "content_length",
        "expects_continue",
        "has_content",
        "keep_alive",
        "upgrade",
    )

    def __init__(
        self,
        chunked: bool,
        content_length: int | None,
        keep_alive: bool,
        expects_continue: bool = False,
        upgrade: bool = False,
    ) -> None:
        self.chunked = chunked
        self.content_length = content_length
        self.has_content = chunked or content_length != 0
        self.keep_alive = keep_alive
        self.expects_continue = expects_continue
        self.upgrade = upgrade


# The few fields that matter, by name: their values in lower case, as they were sent else.
_Found = dict[bytes, bytes]


def _find(fields: Fields) -> _Found:
    pairs = _FOUND.findall(b"\n" + fields.raw.lower())
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    grouped: dict[bytes, list[bytes]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    # The others are lists (RFC 9110 section 5.3).
    found = {name: b",".join(values) for name, values in grouped.items()}
    for name in (b"host", b"content-length"):
        if len(grouped.get(name, ())) > 1:
            raise _refused(f"there is more than one {name.decode().title()}", found[name])
    return found


def _options(found: _Found) -> list[bytes]:
    """
    The connection options (RFC 9110 section 7.6.1).
    """
    return split_list(found[b"connection"]) if b"connection" in found else []


def _keeps_alive(options: list[bytes], minor: int) -> bool:
    """
    Whether the connection persists (RFC 9112 section 9.3).
    """
    return b"close" not in options and (minor >= 1 or b"keep-alive" in options)


def _length(value: bytes) -> int:
    """
    The value of Content-Length (RFC 9110 section 8.6).
    """
    value = value.strip(b" \t")
    if not _DIGITS.fullmatch(value):
        raise _refused("Content-Length is not a number", value)
    digits = value.lstrip(b"0")
    if len(digits) > _MAX_DIGITS:
        raise HTTPProtocolError(f"Content-Length is too large: {show(value)}", 413)
    return int(digits or b"0")


def _content(found: _Found, minor: int) -> tuple[bool, int | None]:
    """
    Whether the content comes in chunks, and what its length is said to be.
    """
    chunked = b"transfer-encoding" in found
    if chunked:
        _check_chunked(found, minor)
    length = _length(found[b"content-length"]) if b"content-length" in found else None
    return chunked, length


def _check_chunked(found: _Found, minor: int) -> None:
    """
    See that Transfer-Encoding says that the chunked coding, and it alone, was applied (RFC 9112
    sections 6.1 and 7).
    """
    value = found[b"transfer-encoding"]
    if minor == 0:
        raise _refused("HTTP/1.0 has no Transfer-Encoding", value)
    if b"content-length" in found:
        raise _refused("there are both Transfer-Encoding and Content-Length", value)
    codings = split_list(value)
    if not codings:
        raise _refused("Transfer-Encoding names no coding", value)
    if codings[-1] != b"chunked" or codings.count(b"chunked") > 1:
        raise _refused("the last transfer coding, and no other, has to be chunked", value)
    if len(codings) > 1:
        raise HTTPProtocolError(
            f"no transfer coding but chunked is implemented: {show(value)}", 501
        )


def _check_host(found: _Found, minor: int) -> None:
    """
    See that there is a Host, and that it is one (RFC 9112 section 3.2).
    """
    value = found.get(b"host")
    if value is None:
        if minor >= 1:
            raise HTTPProtocolError("there is no Host (RFC 9112 section 3.2)", 400)
    elif not _HOST_VALUE.fullmatch(value):
        raise _refused("Host is not a host and a port", value)


def _expects_continue(value: bytes) -> bool:
    """
    Whether the client waits for 100 (Continue) (RFC 9110 section 10.1.1).
    """
    expectations = set(split_list(value))
    if expectations - {b"100-continue"}:
        raise HTTPProtocolError(f"no expectation but 100-continue can be met: {show(value)}", 417)
    return bool(expectations)


def _refused(reason: str, value: bytes) -> HTTPProtocolError:
    return HTTPProtocolError(f"{reason}: {show(value)}", 400)


def request_framing(fields: Fields, minor: int) -> Framing:
    """
    Frame a request.

    @param fields: its header section.
    @param minor: the minor version of HTTP/1 that it was sent in.
    @raise HTTPProtocolError: 400 for a Host, Content-Length or Transfer-Encoding that is not
        sound, 413 for a Content-Length beyond everything, 417 for an expectation other than
        100-continue, 501 for a transfer coding other than chunked.
    """
    found = _find(fields)
    _check_host(found, minor)
    options = _options(found)
    chunked, length = _content(found, minor)
    return Framing(
        chunked,
        length or 0,
        _keeps_alive(options, minor),
        # HTTP/1.0 has neither.
        minor >= 1 and b"expect" in found and _expects_continue(found[b"expect"]),
        minor >= 1 and b"upgrade" in found and b"upgrade" in options,
    )


def has_content(method: bytes, status: int) -> bool:
    """
    Whether a response has content at all (RFC 9110 section 6.4.1).

    @param method: the method of the request it answers.
    @param status: its status.
    """
    return not (
        method == b"HEAD"
        or status < 200
        or status == 204
        or status == 304
        or (method == b"CONNECT" and status < 300)
    )


def response_framing(fields: Fields, minor: int, status: int, method: bytes) -> Framing:
    """
    Frame a response (RFC 9112 section 6.3).

    @param fields: its header section.
    @param minor: the minor version of HTTP/1 that it was sent in.
    @param status: its status.
    @param method: the method of the request it answers.
    @raise HTTPProtocolError: 400 for a Content-Length or Transfer-Encoding that is not sound,
        501 for a transfer coding other than chunked.
    """
    if method == b"CONNECT" and 200 <= status < 300:
        # A tunnel, whatever the fields say (RFC 9110 section 9.3.6).
        return Framing(False, 0, keep_alive=False)
    found = _find(fields)
    options = _options(found)
    chunked, length = _content(found, minor)
    if not has_content(method, status):
        chunked, length = False, 0
    return Framing(
        chunked,
        length,
        _keeps_alive(options, minor) and (chunked or length is not None),
        upgrade=b"upgrade" in options and b"upgrade" in found,
    )
