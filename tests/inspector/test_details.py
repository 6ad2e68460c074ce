"""
What there is to see of a row.
"""

from __future__ import annotations

import gzip
from typing import Any

import pytest
import pytest_twisted

from netkit.wire.recording import Closed, Direction, End, Event, Note, Octets, Opened, Role
from tests.inspector.conftest import Inspected, Make

RECEIVED, SENT = Direction
OPENED = Opened(1, 10**18, Role.SERVER, "http", ("127.0.0.1", 5000), ("127.0.0.1", 80))


def piece(direction: Direction, data: bytes) -> Octets:
    return Octets(1, 10**18, direction, data, len(data))


def put(its: Inspected, *events: Event) -> None:
    its.ring.take([OPENED, *events], 1000)


async def detail(its: Inspected, id: str = "1.0", query: str = "") -> Any:
    answer = await its.ask(f"/api/exchanges/{id}{query}")
    assert answer.status == 200, answer.content
    return answer.json


@pytest_twisted.ensureDeferred
async def test_what_was_refused_and_where(inspect: Make) -> None:
    its: Inspected = await inspect()
    head = b"GET / HTTP/1.1\r\nHost: x\r\nbad line\r\nAuthorization: Basic abc\r\n\r\n"
    answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    note = Note(1, 10**18, "refused with 400: a line is wrong")
    put(its, piece(RECEIVED, head), note, piece(SENT, answer), Closed(1, 10**18, End.DONE))
    found = await detail(its)
    assert found["request"]["wrongAt"] == head.index(b"bad line")
    assert "bad line" in found["request"]["wrong"]
    assert found["marks"] == ["error", "refused"]
    assert found["state"] == "failed"
    assert found["status"] == 400
    assert [each["text"] for each in found["notes"]] == ["refused with 400: a line is wrong"]
    octets = (await its.ask("/api/exchanges/1.0/request/octets")).content
    assert octets == head.replace(b"Basic abc", b"*********")


@pytest_twisted.ensureDeferred
async def test_codings_are_undone(inspect: Make) -> None:
    its: Inspected = await inspect()
    coded = gzip.compress(b"hello " * 100)
    answer = (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: image/png\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\nX: y\r\n\r\n" % (len(coded), coded)
    )
    put(its, piece(RECEIVED, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), piece(SENT, answer))
    found = (await detail(its))["response"]
    assert found["content"]["length"] == len(coded)
    assert found["content"]["decoded"] == 600
    assert found["trailers"] == [{"name": "X", "value": "y"}]
    assert found["length"] == len(answer)
    target = "/api/exchanges/1.0/response/content"
    assert (await its.ask(target)).content == coded
    shown = await its.ask(f"{target}?decoded=1&image=1")
    assert shown.content == b"hello " * 100
    assert shown.fields["content-type"] == "image/png"
    assert (await its.ask("/api/exchanges/ids?filter=text:hello")).json["ids"] == ["1.0"]
    request = "/api/exchanges/1.0/request/content?image=1"
    assert (await its.ask(request)).status == 409


@pytest_twisted.ensureDeferred
async def test_a_long_connection_whose_start_is_gone(inspect: Make) -> None:
    its: Inspected = await inspect(size=10_000)
    asked = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
    its.ring.take([OPENED], 200)
    for number in range(1, 101):
        its.ring.take([piece(RECEIVED, asked % number), piece(SENT, answer)], 500)
        assert (await its.ask("/api")).json["behind"] == 0
    listed = (await its.ask("/api/exchanges?limit=1")).json
    assert listed["total"] == 100
    (last,) = listed["exchanges"]
    found = await detail(its, last["id"])
    assert found["request"]["line"] == "GET /100 HTTP/1.1"
    assert found["gone"]["received"] > 0
    assert (await its.ask("/api/exchanges/1.5")).json["startGone"] is True
    gone = await its.ask("/api/exchanges/1.5/request/octets")
    assert gone.status == 410
    first = int((await its.ask("/api/connections/1/octets?direction=sent")).fields["netkit-first"])
    assert first == found["gone"]["sent"]


@pytest_twisted.ensureDeferred
async def test_what_was_missed_is_found_again(inspect: Make) -> None:
    """
    Nobody looked while most of it went by.
    """
    its: Inspected = await inspect(size=10_000)
    asked = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
    its.ring.take([OPENED], 200)
    for number in range(1, 101):
        its.ring.take([piece(RECEIVED, asked % number), piece(SENT, answer)], 500)
    found = (await its.ask("/api/exchanges?filter=is:http")).json["exchanges"]
    assert found[0]["target"] == "/100"
    assert len(found) == 20
    assert (await detail(its, found[0]["id"]))["response"]["content"]["length"] == 1


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("name", ["<script>", "\u202e", "\0", "\x1b[2J"])
async def test_hostile_octets_are_json(inspect: Make, name: str) -> None:
    its: Inspected = await inspect()
    hostile = name.encode()
    put(
        its,
        piece(RECEIVED, hostile * 100),
        piece(SENT, b"\xff\xfe"),
        Closed(1, 1, End.RESET, name),
    )
    for path in ("exchanges", "exchanges/1.0", "connections/1", "connections/1/pieces"):
        answer = await its.ask(f"/api/{path}")
        assert answer.status == 200
        assert answer.json
        assert "sandbox" in answer.fields["content-security-policy"]


@pytest_twisted.ensureDeferred
async def test_many_fields(inspect: Make) -> None:
    its: Inspected = await inspect()
    fields = b"".join(b"X-%d: <script>\r\n" % number for number in range(10_000))
    put(its, piece(RECEIVED, b"GET / HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n"))
    assert len((await detail(its))["request"]["fields"]) == 10_001


@pytest_twisted.ensureDeferred
async def test_answers_and_faults(inspect: Make) -> None:
    its: Inspected = await inspect()
    await its.serveHTTP()
    at = "/api/services/http"
    changed = await its.ask(f"{at}/answer", "PUT", {"status": 503, "content": {"text": "no"}})
    assert changed.json["status"] == 503
    assert its.handler.answerJSON()["content"] == {"text": "no"}
    assert (await its.ask(f"{at}/answer", "PUT", {"status": 99})).status == 400
    assert (await its.ask(f"{at}/answer", "PUT", {"delay": -1})).status == 400
    assert (await its.ask(f"{at}/answer", "DELETE")).json["status"] == 200
    fault = {"type": "latency", "attributes": {"delay": "100ms"}, "name": "slow"}
    assert (await its.ask(f"{at}/faults", "POST", fault)).status == 201
    assert (await its.ask(f"{at}/faults", "POST", fault)).status == 409
    (armed,) = its.faults
    assert str(armed.fault) == "latency:delay=0.1"
    change = {"toxicity": 0.5, "attributes": {"jitter": "50ms"}}
    patched = (await its.ask(f"{at}/faults/slow", "PATCH", change)).json
    assert patched["specification"] == "latency:jitter=0.05,delay=0.1,probability=0.5"
    assert (await its.ask(f"{at}/faults/none", "DELETE")).status == 404
    assert (await its.ask(f"{at}/faults", "DELETE")).status == 204
    assert not list(its.faults)
    kinds = (await its.ask("/api/faults")).json["types"]
    assert "latency" in [each["type"] for each in kinds]
