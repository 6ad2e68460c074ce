"""
Tests for L{netkit.operation.figures}.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from netkit.faults import Faults, parseFault
from netkit.operation.figures import (
    Conversations,
    Figures,
    Pings,
    Requests,
    faultFigures,
    merge,
    past,
)
from netkit.websocket import Conversation


def test_websockets() -> None:
    conversations = Conversations()
    transport: Any = StringTransport()
    for code in (1000, 1000, 1006):
        conversations.count(
            Conversation(
                None, 101, transport, ended=1.0, code=code, messagesReceived=2, messagesSent=3
            )
        )
    conversations.count(Conversation(None, 403, transport, ended=1.0))
    assert conversations.figures("chat") == {
        ("messages", "chat", "received"): 6,
        ("messages", "chat", "sent"): 9,
        ("closed", "chat", "1000"): 2,
        ("closed", "chat", "1006"): 1,
        ("handshakes", "chat", "403"): 1,
    }


def test_faults() -> None:
    faults = Faults(parseFault("refuse:every=2"), seed=1)
    [armed] = faults
    for _ in range(4):
        armed.strikes()
    assert faultFigures("echo", faults) == {("faults", "echo", "refuse-1"): 2}


def test_counters_outlive_a_process_and_what_is_there_now_does_not() -> None:
    ended: Figures = {
        ("accepted", "echo"): 5.0,
        ("open", "echo"): 2.0,
        ("capture", "queued"): 100.0,
        ("capture", "events"): 7.0,
        ("lag",): 0.5,
        ("workers",): 1.0,
    }
    assert past(ended) == {("accepted", "echo"): 5.0, ("capture", "events"): 7.0}
    fresh: Figures = {("accepted", "echo"): 1.0, ("open", "echo"): 1.0}
    assert merge([past(ended), fresh])["accepted", "echo"] == 6.0


def test_requests() -> None:
    clock = Clock()
    requests = Requests(None, clock)
    connection = requests.observe(StringTransport())
    for method, status, seconds in (
        (b"GET", 200, 0.0),
        (b"GET", 204, 0.001),
        (b"GET", 404, 0.002),
        (b"BREW", 200, 20.0),
        (b"MAKE", 200, 0.0),
    ):
        head: Any = SimpleNamespace(
            line=method + b" / HTTP/1.1\r\n", fields=SimpleNamespace(raw=b"\r\n")
        )
        connection.begun()
        clock.advance(seconds)
        connection.done(head, status, 5)
    connection.done(None, 400, 5)
    connection.received(b"1234567")
    connection.sent(b"12")
    connection.sentFile(1)
    found = requests.figures("web")
    assert {key[2:]: number for key, number in found.items() if key[0] == "requests"} == {
        ("GET", "2xx"): 2,
        ("GET", "4xx"): 1,
        ("other", "2xx"): 2,
        ("other", "4xx"): 1,
    }
    assert found["octets", "web", "received"] == 7
    assert found["octets", "web", "sent"] == 3
    assert found["seconds", "requests", "web"] == pytest.approx(20.003)
    bounds = ("0.001", "0.0025", "10.0", "+Inf")
    assert [found["bucket", "requests", "web", bound] for bound in bounds] == [4, 5, 5, 6]


def test_pings() -> None:
    pings = Pings()
    for seconds in (0.001, 0.002, 60.0):
        pings.count(seconds)
    found = pings.figures("chat")
    assert found["seconds", "pings", "chat"] == 60.003
    assert [found["bucket", "pings", "chat", bound] for bound in ("0.001", "0.0025", "10.0")] == [
        *(1, 2),
        2,
    ]
    assert found["bucket", "pings", "chat", "+Inf"] == 3
