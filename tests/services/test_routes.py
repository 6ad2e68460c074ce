"""
Tests for L{netkit.services.routes}.
"""

from __future__ import annotations

import json

import pytest
from twisted.internet.task import Clock

from netkit.http import Response
from netkit.services.http import ConfiguredHandler
from netkit.wire.http import ResponseHead

from ..http.connected import Connection, get
from ..wire.http.feeding import parsed


def connection(
    *,
    fields: list[tuple[bytes, bytes]] | None = None,
    delay: float = 0.0,
    cors: bool = False,
) -> Connection:
    clock = Clock()
    fields = fields or []
    handler = ConfiguredHandler(
        Response(200, b"elsewhere", fields),
        fields,
        delay=delay,
        routes=True,
        cors=cors,
        clock=clock,
    )
    client = Connection(handler.answer)
    client.clock = clock
    return client


def answered(client: Connection) -> tuple[int, bytes, bytes | None]:
    """
    What the server wrote: one response's status, content and content type.
    """
    [message] = parsed(client.take(), methods=(b"GET",))
    assert isinstance(message.head, ResponseHead)
    return message.head.status, message.content, message.head.fields.get(b"content-type")


def got(target: bytes) -> tuple[int, bytes, bytes | None]:
    client = connection()
    client.send(get(target))
    return answered(client)


@pytest.mark.parametrize("status", [200, 404, 503, 999])
def test_status(status: int) -> None:
    assert got(b"/status/%d" % status)[:2] == (status, b"status %d\n" % status)


@pytest.mark.parametrize("status", [204, 205, 304])
def test_status_without_content(status: int) -> None:
    client = connection()
    client.send(get(b"/status/%d" % status) + get(b"/elsewhere"))
    head, content = client.take().split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert content.startswith(b"HTTP/1.1 200 OK\r\n")


def test_delay() -> None:
    client = connection()
    client.send(get(b"/delay/1.5"))
    client.clock.advance(1.4)
    assert client.take() == b""
    client.clock.advance(0.1)
    assert answered(client)[:2] == (200, b"after 1.5 seconds\n")


def test_delay_ends_when_the_client_goes_away() -> None:
    client = connection()
    client.send(get(b"/delay/10"))
    client.lose()
    assert client.clock.getDelayedCalls() == []


@pytest.mark.parametrize("count", [0, 1, 300, 16384, 100_000])
def test_bytes(count: int) -> None:
    status, content, kind = got(b"/bytes/%d" % count)
    assert (status, kind) == (200, b"application/octet-stream")
    assert content == (bytes(range(256)) * (count // 256 + 1))[:count]


def test_stream() -> None:
    client = connection()
    client.send(get(b"/stream/2"))
    octets = client.take()
    assert octets.endswith(b"\r\n\r\n7\r\nline 0\n\r\n7\r\nline 1\n\r\n0\r\n\r\n")
    assert got(b"/stream/0")[1] == b""


def test_drip() -> None:
    client = connection()
    client.send(get(b"/drip?numbytes=4&duration=2"))
    head = client.take()
    assert b"content-length: 4\r\n" in head
    for _ in range(4):
        client.clock.advance(0.4)
        assert client.take() == b""
        client.clock.advance(0.1)
        assert client.take() == b"*"
    assert got(b"/drip?numbytes=0&duration=0")[:2] == (200, b"")
    client.send(get(b"/drip"))
    assert b"content-length: 10\r\n" in client.take()
    client.clock.pump([0.2] * 10)
    assert client.take() == b"*" * 10


@pytest.mark.parametrize("target", [b"/anything", b"/anything/else?a=b"])
def test_anything(target: bytes) -> None:
    client = connection()
    head = get(target, b"X-y:  z", b"B: \xff", b"Transfer-Encoding: chunked")
    client.send(head + b"3\r\nabc\r\n0\r\nT: u\r\n\r\n")
    status, content, kind = answered(client)
    assert (status, kind) == (200, b"application/json")
    told = json.loads(content)
    assert told["method"] == "GET"
    assert told["target"] == target.decode()
    assert told["version"] == "1.1"
    assert ["X-y", "z"] in told["headers"]
    assert ["B", {"base64": "/w=="}] in told["headers"]
    assert told["content"] == "abc"
    assert told["trailers"] == [["T", "u"]]
    assert "base64" in told["rawHead"]
    assert "192.168.1.1" in told["peer"]
    client.send(get(target))
    assert json.loads(answered(client)[1])["rawHead"] == get(target).decode()


@pytest.mark.parametrize(
    "target",
    [
        b"/status/",
        b"/status",
        b"/status/abc",
        b"/status/100",
        b"/status/1000",
        b"/status/-200",
        b"/status/200/1",
        b"/delay/abc",
        b"/delay/-1",
        b"/delay/nan",
        b"/delay/1e9",
        b"/bytes/9999999999999999",
        b"/bytes/%31",
        b"/stream/x",
        b"/drip?numbytes=x",
        b"/drip?duration=x",
        b"/drip?numbytes=%ff",
        b"/drip?numbytes=%c3%a4",
        b"/drip?numbytes=%b2",
        b"/drip?numbytes=%",
        b"/drip?numbytes=%D9%A3",
        b"/drip?numbytes=-1",
        b"/drip?duration=%ff",
        b"/drip?duration=%D9%A3",
        b"/drip?duration=inf",
    ],
)
def test_what_a_route_does_not_take(target: bytes) -> None:
    status, content, _ = got(target)
    assert status == 400
    assert content.endswith(b"\n")


@pytest.mark.parametrize("target", [b"/", b"/elsewhere", b"/Status/404", b"*"])
def test_other_paths(target: bytes) -> None:
    client = connection()
    method = b"OPTIONS" if target == b"*" else b"GET"
    client.send(get(target).replace(b"GET", method))
    assert answered(client)[:2] == (200, b"elsewhere")


def test_a_delay_before_every_answer() -> None:
    client = connection(delay=2.0)
    client.send(get(b"/status/404"))
    client.clock.advance(1.9)
    assert client.take() == b""
    client.clock.advance(0.1)
    assert answered(client)[0] == 404


@pytest.mark.parametrize(
    "query", [b"%ff=1&numbytes=2&duration=0", b"&=&&numbytes=2&duration=0&%=%"]
)
def test_a_query_with_nonsense_beside(query: bytes) -> None:
    client = connection()
    client.send(get(b"/drip?" + query))
    client.clock.pump([0, 0])
    assert client.take().endswith(b"\r\n\r\n**")


FIELDS = [(b"X-A", b"b"), (b"Content-Type", b"text/html")]


@pytest.mark.parametrize(
    "target",
    [b"/status/404", b"/status/x", b"/delay/0", b"/bytes/1", b"/stream/1", b"/anything", b"/"],
)
def test_fields_of_every_answer(target: bytes) -> None:
    client = connection(fields=FIELDS)
    client.send(get(target))
    client.clock.advance(0)
    [message] = parsed(client.take(), methods=(b"GET",))
    assert message.head.fields.all(b"X-A") == [b"b"]
    assert message.head.fields.all(b"Content-Type") == [b"text/html"]


PREFLIGHT = (
    b"OPTIONS /anything HTTP/1.1\r\nHost: a\r\nOrigin: https://b\r\n"
    b"Access-Control-Request-Method: PATCH\r\n%b\r\n"
)


@pytest.mark.parametrize(
    ("lines", "allowed"),
    [
        (b"", {}),
        (
            b"Access-Control-Request-Headers: authorization, x-a\r\n",
            {b"access-control-allow-headers": b"authorization, x-a"},
        ),
        (
            b"Access-Control-Request-Private-Network: true\r\n",
            {b"access-control-allow-private-network": b"true"},
        ),
    ],
)
def test_a_preflight(lines: bytes, allowed: dict[bytes, bytes]) -> None:
    client = connection(fields=[(b"Access-Control-Allow-Origin", b"https://b")], cors=True)
    client.send(PREFLIGHT % lines)
    [message] = parsed(client.take(), methods=(b"OPTIONS",))
    assert isinstance(message.head, ResponseHead)
    assert message.head.status == 204
    told = message.head.fields
    assert told.all(b"access-control-allow-origin") == [b"https://b"]
    assert told.get(b"access-control-allow-methods") == b"PATCH"
    for name in (b"access-control-allow-headers", b"access-control-allow-private-network"):
        assert told.get(name) == allowed.get(name)


def test_options_that_is_no_preflight() -> None:
    client = connection(cors=True)
    client.send(b"OPTIONS /elsewhere HTTP/1.1\r\nHost: a\r\nOrigin: https://b\r\n\r\n")
    assert answered(client)[:2] == (200, b"elsewhere")


def test_a_preflight_is_a_request_like_others_without_cors() -> None:
    client = connection()
    client.send(PREFLIGHT % b"")
    assert answered(client)[0] == 200
