"""
The inspector's API.
"""

from __future__ import annotations

import json
from typing import Any

import pytest_twisted
from twisted.internet.task import deferLater

from netkit.echo import EchoFactory
from netkit.services.websocket import EchoApplication
from netkit.websocket import WebSocketFactory
from netkit.wire.recording import Octets, Opened, RecordingReader


@pytest_twisted.ensureDeferred
async def test_an_exchange(inspected: Any) -> None:
    await inspected.ask("/200?x=1", "POST", b"sent", port=inspected.http, cookie="private=2")
    listed = (await inspected.ask("/api/exchanges")).json
    (row,) = listed["exchanges"]
    assert (row["id"], row["type"], row["service"]) == ("1.0", "http", "http")
    assert (row["method"], row["target"], row["status"]) == ("POST", "/200?x=1", 200)
    assert listed["total"] == 1
    assert listed["next"] is None
    found = (await inspected.ask("/api/exchanges/1.0")).json
    request, response = found["request"], found["response"]
    assert request["line"] == "POST /200?x=1 HTTP/1.1"
    assert {"name": "Cookie", "value": "********", "masked": True} in request["fields"]
    assert response["content"]["length"] == 4
    assert response["line"] == "HTTP/1.1 200 OK"
    content = await inspected.ask("/api/exchanges/1.0/response/content")
    assert content.content == b"sent"
    assert content.fields["content-type"] == "application/octet-stream"
    part = await inspected.ask("/api/exchanges/1.0/request/content", range="bytes=1-2")
    assert (part.status, part.content) == (206, b"en")
    assert part.fields["content-range"] == "bytes 1-2/4"
    octets = (await inspected.ask("/api/exchanges/1.0/request/octets")).content
    assert b"\r\nCookie: *********\r\n" in octets
    octets = (await inspected.ask("/api/exchanges/1.0/request/octets?secrets=1")).content
    assert b"\r\nCookie: private=2\r\n" in octets
    assert len(octets) == row["requestLength"]


@pytest_twisted.ensureDeferred
async def test_what_is_sent_again_is_compared(inspected: Any) -> None:
    await inspected.ask("/200", "POST", b"sent", port=inspected.http, authorization="Basic x")
    sent = await inspected.ask("/api/send", "POST", {"exchange": "1.0"})
    assert sent.status == 201
    again = await settled(inspected, sent.json["exchange"])
    assert (again["again"], again["role"], again["status"]) == ("1.0", "client", 200)
    assert again["differences"] == []
    edited = {
        "exchange": "1.0",
        "target": "/404",
        "fields": [{"name": "Host", "value": "x"}, {"name": "Authorization", "masked": True}],
        "content": {"text": "other"},
    }
    sent = await inspected.ask("/api/send", "POST", edited)
    again = await settled(inspected, sent.json["exchange"])
    assert "status 404, 200 recorded" in again["differences"][0]
    octets = await inspected.ask(f"/api/exchanges/{again['id']}/request/octets?secrets=1")
    assert octets.content == (
        b"POST /404 HTTP/1.1\r\nHost: x\r\nAuthorization: Basic x\r\n"
        b"Content-Length: 5\r\n\r\nother"
    )


@pytest_twisted.ensureDeferred
async def test_a_websocket_is_sent_again(inspected: Any) -> None:
    port = await inspected.serve("websocket", WebSocketFactory(EchoApplication()))
    messages = [{"text": "hello"}, {"base64": "AAE="}]
    what = {"type": "websocket", "to": f"tcp:127.0.0.1:{port}", "messages": messages}
    first = (await inspected.ask("/api/send", "POST", what)).json["exchange"]
    await settled(inspected, first)
    found = await said(inspected, first)
    assert [text for text, fromClient in found if fromClient] == ["hello", "\0\1"]
    assert [text for text, fromClient in found if not fromClient] == ["hello", "\0\1"]
    sent = (await inspected.ask("/api/send", "POST", {"exchange": first})).json["exchange"]
    again = await settled(inspected, sent)
    assert again["differences"] == []
    edited = {"exchange": first, "messages": [{"text": "other"}]}
    sent = (await inspected.ask("/api/send", "POST", edited)).json["exchange"]
    again = await settled(inspected, sent)
    assert await said(inspected, sent) == [("other", True), ("other", False)]
    assert again["differences"]
    content = await inspected.ask(f"/api/exchanges/{first}/messages/0/content", range="bytes=1-")
    assert content.content == b"ello"


async def said(inspected: Any, id: str) -> list[tuple[str, bool]]:
    found = (await inspected.ask(f"/api/exchanges/{id}/messages")).json["messages"]
    return [(each["text"], each["fromClient"]) for each in found if each["kind"] == "message"]


@pytest_twisted.ensureDeferred
async def test_a_dialogue_is_sent_again(inspected: Any) -> None:
    port = await inspected.serve("echo", EchoFactory())
    what = {"type": "tcp", "to": f"tcp:127.0.0.1:{port}", "octets": {"text": "hello"}}
    first = (await inspected.ask("/api/send", "POST", what)).json
    await settled(inspected, first["exchange"])
    pieces = (await inspected.ask(f"/api/connections/{first['connection']}/pieces")).json
    assert [(each["text"], each["direction"]) for each in pieces["pieces"][:3]] == [
        ("hello", "sent"),
        (None, "sent"),
        ("hello", "received"),
    ]
    sent = (await inspected.ask("/api/send", "POST", {"exchange": first["exchange"]})).json
    again = await settled(inspected, sent["exchange"])
    assert again["differences"] == []
    stream = await inspected.ask(
        f"/api/connections/{sent['connection']}/octets?direction=received"
    )
    assert stream.content == b"hello"


@pytest_twisted.ensureDeferred
async def test_nobody_to_send_to(inspected: Any) -> None:
    what = {"type": "http", "to": "tcp:127.0.0.1:1"}
    answer = await inspected.ask("/api/send", "POST", what)
    assert answer.status == 502
    what = {"type": "http", "to": "capture:tcp\\:127.0.0.1\\:1"}
    assert (await inspected.ask("/api/send", "POST", what)).status == 400


async def settled(inspected: Any, id: str) -> Any:
    """
    A row that is sent again, when that is over.
    """
    while True:
        row = (await inspected.ask(f"/api/exchanges/{id}")).json
        if row["state"] != "open" and (row["differences"] is not None or row["again"] is None):
            return row
        await deferLater(inspected.reactor, 0.01)


@pytest_twisted.ensureDeferred
async def test_exports(inspected: Any) -> None:
    await inspected.ask("/200", port=inspected.http, cookie="private=2")
    await inspected.ask("/404", port=inspected.http)
    har = await inspected.ask("/api/export?format=har&ids=1.0")
    assert har.fields["content-disposition"].startswith('attachment; filename="netkit-')
    (entry,) = json.loads(har.content)["log"]["entries"]
    assert entry["response"]["status"] == 200
    assert b"private" not in har.content
    whole = await inspected.ask("/api/export?format=har&filter=path:/200&secrets=1")
    assert b"private=2" in whole.content
    recording = (await inspected.ask("/api/export?format=pcapng")).content
    events = list(RecordingReader().feed(recording))
    octets = b"".join(event.data for event in events if isinstance(event, Octets))
    assert b"GET /200" in octets
    assert b"GET /404" in octets
    assert b"Cookie: *********\r\n" in octets
    posted = {"format": "pcapng", "ids": ["2.0"], "secrets": True}
    recording = (await inspected.ask("/api/export", "POST", posted)).content
    opened = [each for each in RecordingReader().feed(recording) if isinstance(each, Opened)]
    assert len(opened) == 1
