"""
The inspector's API.
"""

from __future__ import annotations

from typing import Any

import pytest_twisted


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
