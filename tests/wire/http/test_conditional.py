"""
Tests for L{netkit.wire.http.conditional}.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.wire.http.conditional import Selection, select
from netkit.wire.http.fields import Fields

ETAG = b'"a"'
MODIFIED = 784111777
DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"
LATER = b"Sun, 06 Nov 1994 08:49:38 GMT"
EARLIER = b"Sun, 06 Nov 1994 08:49:36 GMT"
ALL = Selection(200, 0, 10)


def selected(*lines: bytes, method: bytes = b"GET", size: int = 10) -> Selection:
    fields = Fields(b"".join(line + b"\r\n" for line in lines) + b"\r\n")
    return select(method, fields, ETAG, MODIFIED, size)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([b'If-None-Match: "a"'], 304),
        ([b'If-None-Match: "b", W/"a"'], 304),
        ([b"If-None-Match: *"], 304),
        ([b'If-None-Match: "b"'], 200),
        # Section 13.1.3: it is ignored beside If-None-Match.
        ([b'If-None-Match: "b"', b"If-Modified-Since: " + LATER], 200),
        ([b"If-Modified-Since: " + DATE], 304),
        ([b"If-Modified-Since: " + LATER], 304),
        ([b"If-Modified-Since: " + EARLIER], 200),
        ([b"If-Modified-Since: yesterday"], 200),
        ([b'If-Match: "a"'], 200),
        ([b'If-Match: W/"a"'], 412),
        ([b'If-Match: "b"'], 412),
        ([b"If-Match: *"], 200),
        ([b"If-Unmodified-Since: " + DATE], 200),
        ([b"If-Unmodified-Since: " + EARLIER], 412),
        ([b'If-Match: "a"', b"If-Unmodified-Since: " + EARLIER], 200),
    ],
)
def test_preconditions(lines: list[bytes], status: int) -> None:
    assert selected(*lines).status == status
    assert selected(*lines, method=b"HEAD").status == status


@pytest.mark.parametrize(
    ("value", "selection"),
    [
        (b"bytes=0-0", (206, 0, 1)),
        (b"bytes=2-", (206, 2, 10)),
        (b"bytes=2-99", (206, 2, 10)),
        (b"bytes=-3", (206, 7, 10)),
        (b"bytes=-99", (206, 0, 10)),
        (b"Bytes = 1 - 2", (206, 1, 3)),
        (b"bytes=10-", (416, 0, 0)),
        (b"bytes=-0", (416, 0, 0)),
        (b"bytes=5-4", ALL),
        (b"bytes=-", ALL),
        (b"bytes=a-b", ALL),
        (b"lines=0-0", ALL),
        (b"bytes=0-0,2-3", ALL),
        (b"bytes", ALL),
    ],
)
def test_ranges(value: bytes, selection: tuple[int, int, int]) -> None:
    assert selected(b"Range: " + value) == selection
    # Section 14.2: GET alone has ranges.
    assert selected(b"Range: " + value, method=b"HEAD") == ALL


@pytest.mark.parametrize(
    ("condition", "status"),
    [(ETAG, 206), (b'"b"', 200), (b'W/"a"', 200), (DATE, 206), (LATER, 200), (b"x", 200)],
)
def test_if_range(condition: bytes, status: int) -> None:
    assert selected(b"Range: bytes=0-0", b"If-Range: " + condition).status == status


def test_nothing_to_select_from() -> None:
    assert selected(b"Range: bytes=0-", size=0).status == 416
    assert selected(size=0) == (200, 0, 0)
    assert selected(b"Range: bytes=0-0", b"Range: bytes=0-0") == ALL


@given(st.text(alphabet="bytes=0123456789-, ", max_size=30), st.integers(0, 100))
def test_whatever_is_asked_for_is_within(value: str, size: int) -> None:
    status, start, end = selected(b"Range: " + value.encode(), size=size)
    assert status in (200, 206, 416)
    assert 0 <= start <= end <= size
