"""
Tests for L{netkit.faults.following}: faults that come while a service of ours answers, which tells
where its messages end.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from netkit.capture.recorded import RecordedFactory
from netkit.capture.recorder import Recorder
from netkit.faults import Faults, FaultyFactory, parseFault
from netkit.http import HTTPFactory, Request, Response
from tests.faults.test_faulty import PEER, REQUEST, Transport

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /"


class Answering:
    """
    A connection to a service that answers with what was asked for, or when the test says so.
    """

    def __init__(self, recorded: bool = False) -> None:
        self.waiting: Deferred[Response] | None = None
        self.faults = Faults(seed=1)
        clock = Clock()
        factory: Any = HTTPFactory(self.answer, clock=clock)
        if recorded:
            factory = RecordedFactory(factory, Recorder([], clock), "http")
        factory = FaultyFactory(factory, self.faults, clock)
        factory.doStart()
        self.protocol = factory.buildProtocol(PEER)
        self.transport = Transport()
        self.protocol.makeConnection(self.transport)

    def answer(self, request: Request) -> Any:
        if request.path == b"/later":
            self.waiting = Deferred()
            return self.waiting
        if request.path == b"/large":
            return Response(200, bytes(100_000))
        return Response(200, request.path)

    def ask(self, octets: bytes) -> bytes:
        self.transport.clear()
        self.protocol.dataReceived(octets)
        sent: bytes = self.transport.value()
        return sent

    def add(self, fault: str) -> None:
        self.faults.add(parseFault(fault), "late")


@pytest.mark.parametrize("before", [b"", REQUEST % b"/a", REQUEST % b"/large", POST])
@pytest.mark.parametrize("request_", [REQUEST % b"/b", POST])
def test_the_next_response(before: bytes, request_: bytes) -> None:
    """
    Wherever in a request the fault comes, its response is struck, and faults that go leave the
    connection as it was.
    """
    for at in range(0, request_.index(b"\r\n\r\n") + 4, 5):
        scene = Answering()
        assert scene.ask(before).startswith(b"HTTP/1.1 200 " if before else b"")
        scene.ask(request_[:at])
        scene.add("status:status=503")
        assert scene.ask(request_[at:]).startswith(b"HTTP/1.1 503 ")
        assert scene.ask(REQUEST % b"/c").startswith(b"HTTP/1.1 503 ")
        scene.faults.remove("late")
        assert scene.ask(REQUEST % b"/d").endswith(b"\r\n\r\n/d")
        scene.add("status:status=502,path=/f")
        assert scene.ask(REQUEST % b"/e").endswith(b"\r\n\r\n/e")
        assert scene.ask(REQUEST % b"/f").startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize("recorded", [False, True])
def test_what_is_under_way(recorded: bool) -> None:
    """
    A response that begins after the fault came is struck, and one that was whole before is not,
    though its request is not.
    """
    scene = Answering(recorded)
    scene.ask(REQUEST % b"/a")
    scene.ask(REQUEST % b"/later" + REQUEST % b"/b")
    scene.add("status:status=503,first=1")
    assert scene.waiting is not None
    scene.waiting.callback(Response(200, b"late"))
    late, after = scene.transport.value().split(b"HTTP/1.1 ")[1:]
    assert late.startswith(b"503 ")
    assert after.endswith(b"\r\n\r\n/b")
    scene.faults.remove("late")
    assert scene.ask(POST[:-5]).startswith(b"HTTP/1.1 200 ")
    scene.add("status:status=503,first=1")
    assert scene.ask(POST[-5:]) == b""
    assert scene.ask(REQUEST % b"/c").startswith(b"HTTP/1.1 503 ")


def test_long_messages() -> None:
    """
    What is kept of a message under way is bounded, and it is followed then.
    """
    scene = Answering()
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"
    for _ in range(2):
        assert scene.ask(head).startswith(b"HTTP/1.1 200 ")
        for _ in range(5):
            scene.ask(b"GET / HTTP/1.1\r\n" + bytes(9_984))
        scene.add("status:status=503")
        scene.ask(bytes(10_000))
        assert scene.ask(REQUEST % b"/").startswith(b"HTTP/1.1 503 ")
        scene.faults.remove("late")
