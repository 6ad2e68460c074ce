"""
Tests for L{netkit.http.middleware}.
"""

from __future__ import annotations

import gzip
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed

from netkit.http import HTTPError, Request, Response, Upgrade
from netkit.http.middleware import basicAuth, cors, gzipped

from .connected import Connection, get

TEXT = "a longer text that repeats itself " * 100
GZIP = b"Accept-Encoding: br, gzip;q=0.5"
ORIGIN = b"Origin: https://a.example"


def asked(handler: Any, octets: bytes) -> tuple[bytes, bytes]:
    connection = Connection(handler)
    connection.send(octets)
    head, _, content = connection.take().partition(b"\r\n\r\n")
    return head, content


@pytest.mark.parametrize("later", [False, True])
def test_gzip_where_the_client_takes_it(later: bool) -> None:
    response = Response.text(TEXT, headers=[(b"etag", b'"a"')])
    handler = gzipped(lambda request: succeed(response) if later else response)
    head, content = asked(handler, get(b"/", GZIP))
    assert gzip.decompress(content).decode() == TEXT
    assert len(content) < 200
    assert b"content-encoding: gzip\r\n" in head
    assert b'etag: W/"a"\r\n' in head
    assert b"content-length: %d" % len(content) in head
    for line in (b"Accept-Encoding: br", b"Accept-Encoding: gzip;q=0", b"X: y"):
        head, content = asked(handler, get(b"/", line))
        assert content.decode() == TEXT
        # Once, however often the same response is given.
        assert head.count(b"vary: accept-encoding") == 1


@pytest.mark.parametrize(
    "response",
    [
        Response.text("short"),
        Response(200, b"x" * 1000, [(b"content-type", b"image/png")]),
        Response(206, b"x" * 1000, [(b"content-type", b"text/plain")]),
        Response.text(TEXT, headers=[(b"content-encoding", b"br")]),
    ],
)
def test_what_is_not_compressed(response: Response) -> None:
    head, content = asked(gzipped(lambda request: response), get(b"/", GZIP))
    assert b"gzip" not in head
    assert content == response.content


def test_gzip_of_what_comes_little_by_little() -> None:
    more: Deferred[None] = Deferred()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        await more
        yield b"second"

    connection = Connection(
        gzipped(lambda request: Response(200, pieces(), [(b"content-type", b"text/csv")]))
    )
    connection.send(get(b"/", GZIP, version=b"1.0"))
    inflate = zlib.decompressobj(wbits=31)
    assert inflate.decompress(connection.take().partition(b"\r\n\r\n")[2]) == b"first"
    more.callback(None)
    assert inflate.decompress(connection.take()) == b"second"
    assert inflate.eof
    large = b"x" * 200_000
    type_ = [(b"content-type", b"text/plain")]
    handler = gzipped(lambda request: Response(200, large, type_))
    _, content = asked(handler, get(b"/", GZIP, version=b"1.0"))
    assert gzip.decompress(content) == large


def test_cors() -> None:
    def handler(request: Request) -> Response:
        if request.path == b"/none":
            raise HTTPError(404)
        return Response.text("hi")

    anybody = cors(handler)
    some = cors(handler, ["https://a.example"])
    head, content = asked(anybody, get(b"/", ORIGIN))
    assert b"access-control-allow-origin: *" in head
    assert content == b"hi"
    head, _ = asked(some, get(b"/none", ORIGIN))
    assert b"HTTP/1.1 404 " in head
    assert b"access-control-allow-origin: https://a.example\r\nvary: origin" in head
    head, content = asked(some, get(b"/", b"Origin: https://b.example"))
    assert b"access-control" not in head
    assert b"vary: origin" in head
    lines = (ORIGIN, b"Access-Control-Request-Method: PUT", b"Access-Control-Request-Headers: x")
    head, _ = asked(some, get(b"/", *lines).replace(b"GET", b"OPTIONS"))
    assert head.startswith(b"HTTP/1.1 204 ")
    assert b"access-control-allow-methods: PUT\r\naccess-control-allow-headers: x" in head


def test_an_upgrade_goes_through() -> None:
    upgrade = Upgrade.__new__(Upgrade)
    results: list[object] = []
    for wrap in (cors, gzipped):
        connection = Connection()
        connection.send(get())
        (request,) = connection.requests
        Deferred.fromCoroutine(wrap(lambda request: upgrade)(request)).addCallback(results.append)
    assert results == [upgrade, upgrade]


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (b"Basic YTpiOmM=", b"200"),
        (b"basic  YTpiOmM=", b"200"),
        (b"Basic YTpi", b"401"),
        (b"Basic !", b"401"),
        (b"Basic /w==", b"401"),
        (b"Basic YQ==", b"401"),
        (b"Bearer x", b"401"),
    ],
)
def test_basic_authentication(value: bytes, status: bytes) -> None:
    async def check(name: str, password: str) -> bool:
        return (name, password) == ("a", "b:c")

    handler = basicAuth(lambda request: Response.text("hi"), check, "all")
    head, _ = asked(handler, get(b"/", b"Authorization: " + value))
    assert head.startswith(b"HTTP/1.1 " + status)
    assert (b'www-authenticate: Basic realm="all", charset="UTF-8"' in head) == (status == b"401")
    head, _ = asked(handler, get())
    assert head.startswith(b"HTTP/1.1 401")


def test_basic_auth_with_passwords() -> None:
    handler = basicAuth(lambda request: Response.text("hi"), {"ann": "caf\xe9", "eve": ""})
    for who, status in (
        ("ann:caf\xe9", b"200"),
        ("ann:x", b"401"),
        ("bob:", b"401"),
        ("eve:", b"200"),
    ):
        value = b"Authorization: Basic " + b64encode(who.encode())
        assert asked(handler, get(b"/", value))[0].startswith(b"HTTP/1.1 " + status)
