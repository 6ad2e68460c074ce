"""
Tests for L{netkit.wire.http.framing}: RFC 9112 sections 3.2, 6 and 9; RFC 9110 sections 7 to 10.
"""

from __future__ import annotations

import pytest

from netkit.wire.http import Limits
from netkit.wire.http.framing import Framing, has_content

from .feeding import parsed, refused, request


def framing(*lines: bytes, version: bytes = b"1.1", content: bytes = b"") -> Framing:
    [message] = parsed(request(*lines, line=b"POST / HTTP/" + version) + content)
    return message.head.framing


def test_rfc9112_3_2_host_is_required() -> None:
    assert refused(request(host=b"")).status == 400
    assert parsed(request(line=b"GET / HTTP/1.0", host=b""))


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("second", [b"Host: a", b"host: b", b"HOST:"])
def test_rfc9112_3_2_host_is_one(second: bytes, version: bytes) -> None:
    error = refused(request(second, line=b"GET / HTTP/" + version))
    assert error.status == 400
    assert str(error).startswith('there is more than one Host: " a,')


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"a",
        b"A.example",
        b"a.example:80",
        b"a:",
        b"127.0.0.1:8080",
        b"[::1]",
        b"[::1]:80",
        b"[v1.a:b]",
        b"a_b~c-d",
        b"%7ea",
        b"a,b",
        b"\t a \t",
    ],
)
def test_rfc9112_3_2_hosts(value: bytes) -> None:
    assert parsed(request(b"Host:" + value, host=b""))


@pytest.mark.parametrize(
    "value",
    [
        b"a b",
        b"a/b",
        b"user@a",
        b"a:b",
        b"a:80:80",
        b"a:999999",
        b":80",
        b"a?",
        b"a#",
        b"a\\b",
        b"[::1",
        b"::1",
        b"[]",
        b"[v.a]",
        b"%zz",
        b"http://a",
        b"\xe4",
        b"a\x00",
        b'"a"',
        b"<a>",
    ],
)
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_rfc9112_3_2_what_is_no_host(value: bytes, version: bytes) -> None:
    assert (
        refused(request(b"Host:" + value, line=b"GET / HTTP/" + version, host=b"")).status == 400
    )


def test_rfc9112_6_3_a_request_without_framing_has_no_content() -> None:
    its = framing()
    assert (its.content_length, its.chunked) == (0, False)


@pytest.mark.parametrize("value", [b"5", b"05", b"0" * 30 + b"5", b"\t5 "])
def test_rfc9110_8_6_content_length(value: bytes) -> None:
    assert framing(b"content-LENGTH:" + value, content=b"hello").content_length == 5


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"+5",
        b"-5",
        b"-0",
        b"5.0",
        b"5,5",
        b"5, 5",
        b"5 5",
        b"0x5",
        b"5a",
        b"1e3",
        b"1_0",
        b"\xb2",
        b"\xd9\xa5",
        b'"5"',
        b"5;",
        b"five",
    ],
)
def test_rfc9110_8_6_what_is_no_content_length(value: bytes) -> None:
    assert refused(request(b"Content-Length:" + value)).status == 400


@pytest.mark.parametrize("second", [b"5", b"6", b""])
def test_rfc9110_8_6_content_length_is_one(second: bytes) -> None:
    octets = request(b"Content-Length: 5", b"content-length: " + second)
    assert refused(octets).status == 400


@pytest.mark.parametrize("value", [b"9" * 19, b"9" * 1000, b"18446744073709551621"])
def test_rfc9110_8_6_content_length_overflow(value: bytes) -> None:
    for limit in (0, 10):
        octets = request(b"Content-Length: " + value)
        assert refused(octets, Limits(content=limit)).status == 413


def test_limit_of_the_content_by_its_length() -> None:
    limits = Limits(content=5)
    assert parsed(request(b"Content-Length: 5") + b"hello", limits)
    assert refused(request(b"Content-Length: 6"), limits).status == 413
    assert parsed(request(b"Content-Length: 6") + b"hello.", Limits(content=0))


@pytest.mark.parametrize(
    "lines",
    [
        [b"Transfer-Encoding: chunked"],
        [b"transfer-encoding:CHUNKED"],
        [b"Transfer-Encoding: \t chunked , "],
        [b"Transfer-Encoding: ,", b"Transfer-Encoding: chunked"],
    ],
)
def test_rfc9112_6_1_chunked(lines: list[bytes]) -> None:
    assert framing(*lines, content=b"0\r\n\r\n").chunked


@pytest.mark.parametrize(
    "lines",
    [
        [b"Transfer-Encoding:"],
        [b"Transfer-Encoding: ,"],
        [b"Transfer-Encoding: chunked, chunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked, gzip"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding: gzip"],
        [b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding: xchunked"],
        [b"Transfer-Encoding: chunkedx"],
        [b"Transfer-Encoding: chunked;a=b"],
        [b'Transfer-Encoding: "chunked"'],
        [b"Transfer-Encoding: chun ked"],
        [b"Transfer-Encoding: \x0bchunked"],
        [b"Transfer-Encoding: chunked\x00"],
        [b"Transfer-Encoding: \xa0chunked"],
        [b"Transfer-Encoding:\r\n chunked"],
        [b"Transfer-Encoding : chunked"],
        [b"Transfer-Encoding: chunked\r"],
    ],
)
def test_rfc9112_6_3_chunked_is_last_and_once(lines: list[bytes]) -> None:
    assert refused(request(*lines)).status == 400


@pytest.mark.parametrize("value", [b"gzip, chunked", b"identity, chunked", b"foo;a=b,chunked"])
def test_rfc9112_6_1_other_codings_are_not_implemented(value: bytes) -> None:
    assert refused(request(b"Transfer-Encoding: " + value)).status == 501


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("length", [b"5", b"0"])
def test_rfc9112_6_3_not_both_length_and_coding(version: bytes, length: bytes) -> None:
    lines = [b"Transfer-Encoding: chunked", b"Content-Length: " + length]
    for order in (lines, lines[::-1]):
        octets = request(*order, line=b"POST / HTTP/" + version)
        assert refused(octets).status == 400


def test_rfc9112_6_1_http_1_0_has_no_transfer_coding() -> None:
    octets = request(b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.0")
    assert refused(octets).status == 400


@pytest.mark.parametrize(
    ("version", "lines", "keep_alive"),
    [
        (b"1.1", [], True),
        (b"1.1", [b"Connection: keep-alive"], True),
        (b"1.1", [b"Connection: close"], False),
        (b"1.1", [b"connection: foo,CLOSE"], False),
        (b"1.1", [b"Connection: foo", b"Connection: ,bar , Close"], False),
        (b"1.1", [b"Connection: keep-alive, close"], False),
        (b"1.1", [b"Connection: closed"], True),
        (b"1.1", [b"X-Connection: close"], True),
        (b"1.0", [], False),
        (b"1.0", [b"Connection: Keep-Alive"], True),
        (b"1.0", [b"Connection: keep-alive, close"], False),
        (b"1.0", [b"Keep-Alive: 5"], False),
    ],
)
def test_rfc9112_9_3_persistence(version: bytes, lines: list[bytes], keep_alive: bool) -> None:
    assert framing(*lines, version=version).keep_alive is keep_alive


def test_rfc9110_10_1_1_expect() -> None:
    assert framing(b"Expect: 100-Continue").expects_continue
    assert framing(b"Expect: 100-continue, 100-continue").expects_continue
    assert not framing(b"Expect:").expects_continue
    assert not framing().expects_continue


@pytest.mark.parametrize("value", [b"200-ok", b"100-continue, foo", b"100-continue=1"])
def test_rfc9110_10_1_1_other_expectations_fail(value: bytes) -> None:
    assert refused(request(b"Expect: " + value)).status == 417


@pytest.mark.parametrize("value", [b"100-continue", b"foo"])
def test_rfc9110_10_1_1_http_1_0_expects_nothing(value: bytes) -> None:
    assert not framing(b"Expect: " + value, version=b"1.0").expects_continue


def test_rfc9110_7_8_upgrade() -> None:
    assert framing(b"Upgrade: websocket", b"Connection: keep-alive, Upgrade").upgrade
    assert not framing(b"Upgrade: websocket").upgrade
    assert not framing(b"Connection: upgrade").upgrade
    assert not framing(
        b"Upgrade: websocket", b"Connection: upgrade, keep-alive", version=b"1.0"
    ).upgrade


@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [
        (b"GET", 200, True),
        (b"GET", 404, True),
        (b"GET", 199, False),
        (b"GET", 204, False),
        (b"GET", 304, False),
        (b"GET", 205, True),
        (b"HEAD", 200, False),
        (b"HEAD", 404, False),
        (b"CONNECT", 200, False),
        (b"CONNECT", 299, False),
        (b"CONNECT", 400, True),
    ],
)
def test_rfc9112_6_3_which_responses_have_content(
    method: bytes, status: int, expected: bool
) -> None:
    assert has_content(method, status) is expected
    head = b"HTTP/1.1 %d \r\nContent-Length: 5\r\n\r\n" % status
    [message] = parsed(head + b"hello" * expected, methods=(method,))
    assert message.content == b"hello" * expected


def test_rfc9112_6_3_a_response_up_to_the_end() -> None:
    [message] = parsed(b"HTTP/1.1 200 OK\r\n\r\nhello", methods=(b"GET",), ended=True)
    assert message.content == b"hello"
    assert not message.head.framing.keep_alive
    [empty] = parsed(b"HTTP/1.0 200 OK\r\n\r\n", methods=(b"GET",), ended=True)
    assert empty.content == b""
    octets = b"HTTP/1.1 200 OK\r\n\r\nhello!"
    assert refused(octets, Limits(content=5), methods=(b"GET",)).status == 413


def test_rfc9112_6_3_a_chunked_response() -> None:
    octets = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    [message] = parsed(octets, methods=(b"GET",))
    assert message.content == b"hello"
    assert message.head.framing.keep_alive
