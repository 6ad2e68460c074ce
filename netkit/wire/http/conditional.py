"""
Conditional requests and ranges (RFC 9110 sections 13 and 14): which part of what there is to send.
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from .fields import Fields, split_list

_RANGE = re.compile(rb"[ \t]*(\d{0,18})[ \t]*-[ \t]*(\d{0,18})[ \t]*")


class Selection(NamedTuple):
    """
    What is to be sent.

    @ivar status: 200: all; 206: a range; 304, 412, 416: nothing.
    @ivar start: the first octet.
    @ivar end: the one behind the last.
    """

    status: int
    start: int
    end: int


def select(method: bytes, fields: Fields, etag: bytes, modified: int, size: int) -> Selection:
    """
    Evaluate a request's preconditions, in the order of section 13.2.2, and its range. More than
    one range is answered as none, with all there is, which section 14.2 allows.

    @param method: the method: C{GET} or C{HEAD}.
    @param fields: the header section.
    @param etag: the strong entity tag of what there is, quotes included.
    @param modified: when it was last modified, in seconds since 1970.
    @param size: how many octets it has.
    """
    everything = Selection(200, 0, size)
    if b"if-match" in fields:
        if not _matches(fields, b"if-match", etag, weak=False):
            return Selection(412, 0, 0)
    elif modified > (_date(fields, b"if-unmodified-since") or modified):
        return Selection(412, 0, 0)
    if b"if-none-match" in fields:
        if _matches(fields, b"if-none-match", etag, weak=True):
            return Selection(304, 0, 0)
    elif (since := _date(fields, b"if-modified-since")) is not None and modified <= since:
        return Selection(304, 0, 0)
    if method != b"GET" or not _range_holds(fields, etag, modified):
        return everything
    return _range(fields.all(b"range"), size) or everything


def _matches(fields: Fields, name: bytes, etag: bytes, *, weak: bool) -> bool:
    for tag in fields.elements(name):
        if tag == b"*" or tag == etag or (weak and tag == b"W/" + etag):
            return True
    return False


def _date(fields: Fields, name: bytes) -> int | None:
    """
    The date in a field; what is none is to be ignored.
    """
    value = fields.get(name)
    if value is None:
        return None
    try:
        return int(parsedate_to_datetime(value.decode("latin-1")).timestamp())
    except (ValueError, OverflowError):
        return None


def _range_holds(fields: Fields, etag: bytes, modified: int) -> bool:
    condition = fields.get(b"if-range")
    if condition is None:
        return True
    if condition.startswith((b'"', b"W/")):
        return condition == etag
    return _date(fields, b"if-range") == modified


def _range(values: list[bytes], size: int) -> Selection | None:
    if len(values) != 1:
        return None
    unit, _, ranges = values[0].partition(b"=")
    specs = split_list(ranges)
    match = _RANGE.fullmatch(specs[0]) if len(specs) == 1 else None
    if unit.strip().lower() != b"bytes" or match is None:
        return None
    first, last = match.groups()
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return None
    elif last:
        start, end = max(size - int(last), 0), size
    else:
        return None
    return Selection(206, start, end) if start < end else Selection(416, 0, 0)
