"""
Tests for L{netkit.wire.http.response}.
"""

from __future__ import annotations

import pytest

from netkit.wire.errors import LocalProtocolError
from netkit.wire.http.response import (
    ContentEncoder,
    encode_response_fields,
    says_length,
    status_line,
)


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (200, b"HTTP/1.1 200 OK\r\n"),
        (404, b"HTTP/1.1 404 Not Found\r\n"),
        (299, b"HTTP/1.1 299 \r\n"),
        (999, b"HTTP/1.1 999 \r\n"),
    ],
)
def test_rfc9112_4_status_line(status: int, line: bytes) -> None:
    assert status_line(status) == line


@pytest.mark.parametrize("status", [-200, 0, 99, 1000])
def test_what_is_no_status(status: int) -> None:
    with pytest.raises(LocalProtocolError, match=str(status)):
        status_line(status)


@pytest.mark.parametrize("name", [b"Content-Length", b"transfer-encoding"])
def test_framing_is_not_for_others_to_set(name: bytes) -> None:
    with pytest.raises(LocalProtocolError, match=name.decode()):
        encode_response_fields([(b"X", b"y"), (name, b"5")])


@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [
        (b"GET", 200, True),
        (b"HEAD", 200, True),
        (b"HEAD", 204, False),
        (b"GET", 204, False),
        (b"GET", 304, False),
        (b"CONNECT", 200, False),
        (b"GET", 101, False),
    ],
)
def test_rfc9110_8_6_when_a_length_is_said(method: bytes, status: int, expected: bool) -> None:
    assert says_length(method, status) is expected


def test_rfc9112_7_1_chunks() -> None:
    encoder = ContentEncoder(1, None)
    assert encoder.line == b"transfer-encoding: chunked\r\n"
    assert encoder.keeps_connection
    assert encoder.encode(b"0123456789") == b"a\r\n0123456789\r\n"
    # An empty chunk would be the end.
    assert encoder.encode(b"") == b""
    assert encoder.finish() == b"0\r\n\r\n"
    assert encoder.finish([(b"X", b"y")]) == b"0\r\nX: y\r\n\r\n"
    with pytest.raises(LocalProtocolError):
        encoder.finish([(b"X", b"y\r\n\r\n")])
    with pytest.raises(LocalProtocolError, match="Host"):
        encoder.finish([(b"Host", b"a")])


@pytest.mark.parametrize("minor", [0, 1])
def test_a_length_told_before(minor: int) -> None:
    encoder = ContentEncoder(minor, 5)
    assert encoder.line == b"content-length: 5\r\n"
    assert encoder.keeps_connection
    assert encoder.encode(b"abc") == b"abc"
    with pytest.raises(LocalProtocolError, match="2 octets shorter"):
        encoder.finish()
    assert encoder.encode(b"de") == b"de"
    assert encoder.finish([(b"X", b"y")]) == b""
    with pytest.raises(LocalProtocolError, match="1 octets longer"):
        encoder.encode(b"f")


def test_rfc9112_6_1_no_chunks_to_http_1_0() -> None:
    encoder = ContentEncoder(0, None)
    assert encoder.line == b""
    assert not encoder.keeps_connection
    assert encoder.encode(b"abc") == b"abc"
    assert encoder.finish() == b""
