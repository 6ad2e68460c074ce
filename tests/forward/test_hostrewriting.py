"""
Tests for L{netkit.forward.hostrewriting}.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.forward.hostrewriting import HostRewriter, checkHost

GET = b"GET /host:%20x HTTP/1.1\r\nAccept: host: x\r\nhOsT:  a.example \r\nX-Host: a\r\n\r\n"
GOT = b"GET /host:%20x HTTP/1.1\r\nAccept: host: x\r\nhOsT:  1.example\r\nX-Host: a\r\n\r\n"
HEADERLESS = b"GET / HTTP/1.0\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nContent-Length: 20\r\nHost:a\r\n\r\nHost: a\r\n\r\nHost: b\r\n"
POSTED = POST.replace(b"Host:a", b"Host:1.example")
CHUNKED = (
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"9;x=y\r\nHost: a\r\n\r\n00\r\nDigest: Host: a\r\n\r\n"
)
CHUNKS = CHUNKED.replace(b"1.1\r\nHost: a", b"1.1\r\nHost: 1.example")
FRAME = b"\x81\x89abcdHost: a\r\n"
CONNECT = b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"
CONNECTED = CONNECT.replace(b"Host: a:1", b"Host: 1.example")

CASES = {
    "one": (GET, GOT),
    "none": (HEADERLESS + GET, HEADERLESS + GOT),
    "another after empty lines": (GET + b"\r\n\r\n" + GET, GOT + b"\r\n\r\n" + GOT),
    "content of a length": (POST + GET, POSTED + GOT),
    "content in chunks": (CHUNKED + GET, CHUNKS + GOT),
    "a WebSocket": (
        GET + b"\x81\x85abcdHost: a\r\n" + GET,
        GOT + b"\x81\x85abcdHost: a\r\n" + GET,
    ),
    "a tunnel": (CONNECT + GET, CONNECTED + GET),
    "not HTTP": (b"\x16\x03\x01\r\nHost: a\r\n\r\n" + GET,) * 2,
    "another version": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + GET,) * 2,
    "two of them": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + GET,) * 2,
    "no end": (POST + GET[:-1], POSTED + GET[:-1]),
}


def rewrite(data: bytes, size: int) -> bytes:
    out: list[bytes] = []
    reasons: list[str] = []
    rewriter = HostRewriter(b"1.example", reasons.append)
    rewriter.passOn = out.append
    for start in range(0, len(data), size):
        rewriter.receive(data[start : start + size])
    rewriter.end()
    assert all(out)
    return b"".join(out)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [1, 7, 2**20])
def test_the_field_alone_is_set(case: str, size: int) -> None:
    sent, expected = CASES[case]
    assert rewrite(sent, size) == expected


@pytest.mark.parametrize("size", [1000, 2**20])
def test_a_head_that_is_too_long_goes_through(size: int) -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000
    assert rewrite(GET + head + GET, size) == GOT + head + GET


def test_nothing_is_kept_but_heads() -> None:
    out: list[bytes] = []
    reasons: list[str] = []
    rewriter = HostRewriter(b"1.example", reasons.append)
    rewriter.passOn = out.append
    rewriter.receive(POST[:-5])
    assert b"".join(out) == POSTED[:-5]


@pytest.mark.parametrize(
    ("data", "reason"),
    [(CONNECT + GET, "CONNECT"), (GET + b"\x81\x85abcd" + GET, "HTTP"), (GET + GET, None)],
)
def test_why_it_gives_up(data: bytes, reason: str | None) -> None:
    reasons: list[str] = []
    rewriter = HostRewriter(b"1.example", reasons.append)
    rewriter.passOn = lambda octets: None
    rewriter.receive(data)
    rewriter.receive(GET)
    assert len(reasons) == (reason is not None)
    assert reason is None or reason in reasons[0]


PIECES = st.sampled_from([GET, POST, CHUNKED, HEADERLESS, b"\r\n", b"Host: a\r\n"])


@given(data=st.lists(PIECES | st.binary()).map(b"".join), size=st.integers(1, 100))
def test_any_pieces_are_the_same(data: bytes, size: int) -> None:
    assert rewrite(data, size) == rewrite(data, len(data) + 1)


@given(data=st.lists(PIECES | st.binary()).map(b"".join))
def test_nothing_else_is_touched(data: bytes) -> None:
    """
    Only the value is another one: it is set to what it is.
    """
    out: list[bytes] = []
    reasons: list[str] = []
    rewriter = HostRewriter(b"a", reasons.append)
    rewriter.passOn = out.append
    only = data.replace(b"hOsT:  a.example ", b"hOsT:  a")
    rewriter.receive(only)
    rewriter.end()
    assert b"".join(out) == only


@pytest.mark.parametrize("value", [b"a", b"a.example:80", b"[::1]:80", b"127.0.0.1", b"a:"])
def test_a_host(value: bytes) -> None:
    assert checkHost(value) == value


@pytest.mark.parametrize("value", [b"", b"a b", b"a\r\nX: y", b"http://a", b"a:x", b"a/b"])
def test_no_host(value: bytes) -> None:
    with pytest.raises(ValueError, match="host is a host"):
        checkHost(value)
