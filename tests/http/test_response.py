"""
Tests for L{netkit.http.response}.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.web.http_headers import Headers

from netkit.echo import EchoFactory
from netkit.http import HTTPFactory, Response, Upgrade
from netkit.wire.errors import LocalProtocolError
from netkit.wire.http import Limits, RequestHead
from netkit.wire.http.head import RequestHeadParser

from .connected import CLOSE, Connection, answer, get


def test_a_date_of_ones_own() -> None:
    client = Connection(lambda request: Response(headers=[(b"Date", b"today")]))
    client.send(get())
    assert client.take() == b"HTTP/1.1 200 OK\r\nDate: today\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.parametrize("status", [100, 101, 199, 99, 1000])
def test_what_is_no_status_of_a_response(status: int) -> None:
    with pytest.raises(LocalProtocolError, match=str(status)):
        Response(status)


def test_what_is_no_header() -> None:
    with pytest.raises(LocalProtocolError):
        Response(headers=[(b"X", b"y\r\nInjected: yes")])
    with pytest.raises(LocalProtocolError):
        Response(headers=[(b"Content-Length", b"5")])
    assert repr(Response(404)) == "<Response 404>"


def test_connection_close() -> None:
    response = Response(200, b"hello", [(b"Connection", b"Close")])
    client = Connection(lambda request: response)
    client.send(get())
    assert client.take() == answer(b"hello", CLOSE)
    assert client.closing
    with pytest.raises(LocalProtocolError, match="keep-alive"):
        Response(headers=[(b"Connection", b"keep-alive")])


def test_one_response_to_many_requests() -> None:
    """
    Whatever it was sent to before.
    """
    response = Response(200, b"hello")
    client = Connection(lambda request: response)
    old = get(b"/", b"Connection: keep-alive", version=b"1.0")
    kept = answer(b"hello", b"connection: keep-alive")
    head = answer(b"hello").removesuffix(b"hello")
    for _ in range(2):
        client.send(get() + get().replace(b"GET", b"HEAD") + old + get())
        assert client.take() == answer() + head + kept + answer()
    client.send(get(b"/", CLOSE))
    assert client.take() == answer(b"hello", CLOSE)


def test_one_response_at_many_times() -> None:
    response = Response(200, b"hello")
    for at in (0, 0, 1, 2.5):
        client = Connection(lambda request: response)
        client.clock.advance(at)
        client.send(get() * 2)
        date = b"\r\ndate: Thu, 01 Jan 1970 00:00:%02d GMT\r\n" % at
        assert client.transport.value().count(date) == 2


def parsed(head: bytes) -> RequestHead:
    read = RequestHeadParser(Limits()).parse(head, 0)
    assert read is not None
    return read[0]


def test_octets_are_made_once() -> None:
    """
    For as long as the date is the same, and only where they are the usual ones.
    """
    response = Response(200, b"hello")
    head, old = (parsed(b"GET / HTTP/1.%d\r\nHost: x\r\n\r\n" % minor) for minor in (1, 0))
    now, later = b"date: now\r\n", b"date: later\r\n"
    octets = response.message.encode(b"GET", head, now, True)
    assert response.message.encode(b"POST", head, now, True) is octets
    for method, answered, keepAlive in [
        (b"HEAD", head, True),
        (b"GET", old, True),
        (b"GET", head, False),
    ]:
        assert response.message.encode(method, answered, now, keepAlive) != octets
    assert response.message.encode(b"GET", head, now, True) is octets
    assert b"later" in response.message.encode(b"GET", head, later, True)


def test_rfc9110_15_3_6_reset_content_has_none() -> None:
    client = Connection(lambda request: Response(205))
    client.send(get())
    assert client.take() == answer(b"", status=b"205 Reset Content")
    with pytest.raises(LocalProtocolError, match="205"):
        Response(205, b"hello")


async def pieces() -> AsyncIterator[bytes]:
    yield b"hello"


async def coroutine() -> bytes:
    return b"hello"


@pytest.mark.parametrize(
    ("content", "instead"),
    [
        ("text", "'text'.encode()"),
        (None, 'b"" for none'),
        (bytearray(b"hello"), "bytes()"),
        (memoryview(b"hello"), "bytes()"),
        ([b"a", b"b"], 'b"".join()'),
        ((b"a", b"b"), 'b"".join()'),
        ((b"a" for _ in range(2)), 'b"".join()'),
        ({"a": 1}, 'b"".join()'),
        (5, "encode it"),
        (True, "encode it"),
        (Deferred(), "await it"),
        (pieces, "call it"),
    ],
)
def test_what_is_no_content(content: Any, instead: str) -> None:
    with pytest.raises(TypeError, match=re.escape(instead)):
        Response(200, content)


def test_a_coroutine_is_no_content() -> None:
    forgotten = coroutine()
    with pytest.raises(TypeError, match="await it"):
        Response(200, forgotten)  # type: ignore[arg-type]
    forgotten.close()


@pytest.mark.parametrize(
    "headers",
    [
        {b"A": b"b"},
        {"A": "b"},
        Headers({b"A": [b"b"]}),
        None,
        b"A: b",
        "A: b",
        [("A", "b")],
        [(b"A", "b")],
        [("A", b"b")],
        [(b"A", 5)],
        [(b"A",)],
        [(b"A", b"b", b"c")],
        [b"A: b"],
        [b"Ab"],
        [None],
        5,
    ],
)
@pytest.mark.parametrize(
    "make",
    [
        lambda headers: Response(200, b"", headers),
        lambda headers: Upgrade(Protocol(), headers),
    ],
    ids=["response", "upgrade"],
)
def test_what_are_no_headers(make: Callable[[Any], object], headers: Any) -> None:
    if headers is None and isinstance(make(()), Upgrade):
        # The protocol answers by itself.
        return
    with pytest.raises(TypeError, match=re.escape('(b"Name", b"value")')):
        make(headers)


@pytest.mark.parametrize("status", ["200", b"200", 200.0, None])
def test_what_is_no_status(status: Any) -> None:
    with pytest.raises(TypeError, match="such as 200"):
        Response(status)


def test_a_status_of_the_standard_library() -> None:
    client = Connection(lambda request: Response(HTTPStatus.NOT_FOUND))
    client.send(get())
    assert client.take() == answer(b"", status=b"404 Not Found")


def test_what_is_no_length() -> None:
    for length in ("5", 5.0, -1, True):
        with pytest.raises(TypeError, match=re.escape(repr(length))):
            Response(200, pieces(), length=length)  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError, match="5 octets, not 6"):
        Response(200, b"hello", length=6)


def test_what_are_no_trailers() -> None:
    with pytest.raises(TypeError, match="lambda: \\[\\]"):
        Response(200, b"hello", trailers=[])  # type: ignore[arg-type]


def test_what_is_no_protocol() -> None:
    with pytest.raises(TypeError, match="buildProtocol"):
        Upgrade(EchoFactory())  # type: ignore[arg-type]


def test_what_is_no_handler() -> None:
    with pytest.raises(TypeError, match="Response"):
        HTTPFactory(Response(200))  # type: ignore[arg-type]
