"""
Tests for L{netkit.wire.http.scanning}: the plain case of a request's head, in C.
"""

from __future__ import annotations

from random import Random
from types import ModuleType
from unittest.mock import patch

import pytest

from netkit.wire.http import Limits, head
from tests.compiled import compiled
from tests.interop.http_corpus import CORPUS

from .scanning_fuzz import compareOnce, outcome

SECTION = (
    b"Host: a.example:80\r\nCookie: x=\xe4\r\nCONTENT-LENGTH:\t12 \r\nconnection: Close\r\n\r\n"
)
LINE = b"POST /a/%41?b=%c HTTP/1.1\r\n"


@pytest.fixture
def native() -> ModuleType:
    found = compiled("netkit.wire.http.scanning")
    if found is None:
        pytest.skip("the scanner in C was not built")
    return found


def test_a_plain_head(native: ModuleType) -> None:
    buffer = b"before" + LINE + SECTION + b"behind"
    end = len(buffer) - 6
    assert native.scan_request(buffer, 6, 100, 1000, 10) == (
        *(b"POST", b"/a/%41?b=%c", LINE, SECTION, end, 12, False, False),
    )


def test_no_content(native: ModuleType) -> None:
    buffer = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert native.scan_request(buffer, 0, 100, 1000, 10)[5:] == (0, True, False)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (b"Upgrade", (0, True, True)),
        (b"keep-alive,\t UPGRADE", (0, True, True)),
        (b"upgrade,close", (0, False, True)),
        (b"keep-alive", (0, True, False)),
    ],
)
def test_an_upgrade(native: ModuleType, options: bytes, found: tuple[object, ...]) -> None:
    buffer = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: b\r\nConnection: %b\r\n\r\n" % options
    assert native.scan_request(buffer, 0, 100, 1000, 10)[5:] == found


def test_every_octet_of_a_value(native: ModuleType) -> None:
    for octet in range(256):
        allowed = octet == 9 or (octet >= 32 and octet != 127)
        for before in range(34):
            for behind in (0, 1, 17):
                value = b"a" * before + bytes([octet]) + b"b" * behind
                buffer = b"GET / HTTP/1.1\r\nHost: a\r\nX:%b\r\n\r\n" % value
                found = native.scan_request(buffer, 0, 100, 1000, 10)
                assert (found is not None) == allowed, (value, found)


def test_a_lone_get(native: ModuleType) -> None:
    lone = b"GET /a?b HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    assert native.is_lone_get(lone)
    for other in (
        *(lone[:-1], lone + b"G", b"\r\n" + lone, lone + lone, b"", b"GET", b"GET "),
        *(
            lone.replace(b"GET", b"HEAD"),
            lone.replace(b"GET", b"get"),
            lone.replace(b"1.1", b"1.0"),
        ),
        *(lone.replace(b": 0", b": 1"), lone.replace(b"close", b"upgrade, close\r\nUpgrade: x")),
        *(lone.replace(b"Connection: close", b"upgrade: h2c"), lone.replace(b"/a", b"*")),
    ):
        assert not native.is_lone_get(other), other
    with pytest.raises(TypeError):
        native.is_lone_get("text")


@pytest.mark.parametrize(
    "buffer",
    [
        *(LINE + SECTION[:-1], LINE[:-1], b"", LINE + b"\r\n"),
        *(b"CONNECT /a HTTP/1.1\r\n" + SECTION, b"GET * HTTP/1.1\r\n" + SECTION),
        *(b"GET / HTTP/1.0\r\n" + SECTION, b"GET  / HTTP/1.1\r\n" + SECTION),
        *(LINE + b"Host: a\r\n" + SECTION, LINE + b"Expect: 100-continue\r\n" + SECTION),
        *(LINE + b"Host: a\r\nConnection: close,\r\n\r\n",),
        *(LINE + b"Host: a\r\nConnection: close , upgrade\r\n\r\n",),
        LINE + b"Transfer-Encoding: gzip\r\n" + SECTION,
        *(LINE + b"Connection: a\r\n" + SECTION, LINE + b"Content-Length: 12\r\n" + SECTION),
        *(LINE + b"Host: [::1]\r\n\r\n", LINE + b"Host:\r\n\r\n", LINE + b"A: \0\r\n" + SECTION),
    ],
)
def test_what_is_not_plain_is_left_to_the_parser(native: ModuleType, buffer: bytes) -> None:
    assert native.scan_request(buffer, 0, 100, 1000, 10) is None


def test_what_is_over_a_limit_is_left_to_the_parser(native: ModuleType) -> None:
    buffer = LINE + SECTION
    enough = (len(LINE) - 2, len(SECTION), 4)
    assert native.scan_request(buffer, 0, *enough) is not None
    for index in range(3):
        limits = list(enough)
        limits[index] -= 1
        assert native.scan_request(buffer, 0, *limits) is None
    assert native.scan_request(buffer, 0, 2**100, 2**100, 2**100) is not None


def test_misuse(native: ModuleType) -> None:
    for arguments in ((), ("text", 0, 1, 1, 1), (b"", None, 1, 1, 1), (b"", 0, 1, 1, "1")):
        with pytest.raises(TypeError):
            native.scan_request(*arguments)
    for start in (-1, 2):
        with pytest.raises(ValueError, match="the buffer has 1 octets"):
            native.scan_request(b"x", start, 1, 1, 1)


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("name", CORPUS)
def test_the_corpus_is_parsed_alike_without_it(name: str) -> None:
    octets = CORPUS[name]
    scanned = outcome([octets], 0, Limits())
    with patch.object(head, "scan_request", lambda *arguments: None):
        assert outcome([octets], 0, Limits()) == scanned


@pytest.mark.usefixtures("native")
def test_what_is_drawn_is_parsed_alike_without_it() -> None:
    chance = Random(20)
    for _ in range(5000):
        compareOnce(chance)
