"""
The responses of the API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from ...http import Request, Response
from ..details import GoneError
from ..parameters import APIError

_JSON = (b"content-type", b"application/json")
#: The type of octets that are only that.
OCTETS = (b"content-type", b"application/octet-stream")

#: The fields of every answer.
COMMON_FIELDS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]

_API_FIELDS = [
    *COMMON_FIELDS,
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; sandbox; frame-ancestors 'none'"),
]
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")


def jsonResponse(value: object, status: int = 200) -> Response:
    """
    Make a response of JSON.
    """
    content = json.dumps(value, separators=(",", ":")).encode()
    return Response(status, content, [_JSON, *_API_FIELDS])


def emptyResponse() -> Response:
    """
    Make a response that says that something was done.
    """
    return Response(204, b"", _API_FIELDS)


def errorResponse(
    status: int, message: str, fields: Iterable[tuple[bytes, bytes]] = ()
) -> Response:
    """
    Make a response that says what is wrong.
    """
    content = json.dumps({"error": message}).encode() + b"\n"
    return Response(status, content, [_JSON, *_API_FIELDS, *fields])


def rangeResponse(
    request: Request,
    octets: bytes,
    *,
    type: tuple[bytes, bytes] = OCTETS,
    first: int = 0,
) -> Response:
    """
    Make a response of octets, or of the range of them that is asked for (RFC 9110 section 14).

    @param octets: the octets.
    @param type: the field with their type.
    @param first: the number of the first one.
    @raise APIError: the range has none of them.
    @raise GoneError: it begins before the first one.
    """
    fields = [type, *_API_FIELDS, (b"accept-ranges", b"bytes")]
    total = first + len(octets)
    if first:
        fields.append((b"netkit-first", b"%d" % first))
    asked = request.headers.get(b"range")
    found = None if asked is None else _RANGE.fullmatch(asked.decode("latin-1").strip())
    if found is None:
        return Response(200, octets, fields)
    if found[3]:
        start, end = max(first, total - int(found[3])), total
    else:
        start = int(found[1])
        end = min(int(found[2]) + 1, total) if found[2] else total
        if found[2] and int(found[2]) < start:
            # No range at all: it is ignored.
            return Response(200, octets, fields)
    if start >= total or start >= end:
        raise APIError(
            416, f"there are {total} octets", [(b"content-range", b"bytes */%d" % total)]
        )
    if start < first:
        raise GoneError(f"the ring has what follows octet {first}")
    fields.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, total)))
    return Response(206, octets[start - first : end - first], fields)
