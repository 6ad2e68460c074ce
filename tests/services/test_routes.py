"""
Tests for L{netkit.services.routes}.
"""

from __future__ import annotations

import json

import pytest
from twisted.internet.task import Clock

from netkit.http import Response
from netkit.services.http import Answers
from netkit.wire.http import ResponseHead

from ..http.connected import Connection, get
from ..wire.http.feeding import parsed


def connection(*, delay: float = 0.0) -> Connection:
    clock = Clock()
    answers = Answers(Response(200, b"elsewhere"), delay=delay, routes=True, clock=clock)
    client = Connection(answers.answer)
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
