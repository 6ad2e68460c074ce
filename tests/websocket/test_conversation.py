"""
What is told of WebSockets that are over.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.logger import LogEvent
from twisted.python.failure import Failure

from netkit.websocket import Conversation, WebSocketFactory
from netkit.wire.websocket.connection import Connection

from .helpers import HANDSHAKE, Application, Echo, Link


class Server:
    """
    A connection to a server of which conversations are told.
    """

    def __init__(self, done: Any = None, **options: Any) -> None:
        self.clock = Clock()
        self.done: list[Conversation] = []
        factory = WebSocketFactory(
            Application(Echo),
            conversationDone=done or self.done.append,
            clock=self.clock,
            **options,
        )
        self.protocol: Any = factory.buildProtocol(None)
        self.link = Link()
        self.protocol.makeConnection(self.link)
        self.wire = Connection(client=True)

    def receive(self, octets: bytes) -> None:
        self.protocol.dataReceived(octets)

    def lose(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionLost()))

    def told(self) -> Conversation:
        [told] = self.done
        return told


def test_one_that_was_closed() -> None:
    server = Server()
    server.receive(HANDSHAKE % b"")
    server.clock.advance(2.5)
    for octets in (server.wire.send_text("one"), server.wire.send_bytes(b"two")):
        server.receive(octets)
    server.receive(server.wire.send_piece("thr", False) + server.wire.send_piece("ee", True))
    server.receive(server.wire.close(1000, ""))
    assert server.done == []
    server.lose()
    told = server.told()
    assert told.head is not None
    assert told.head.target == b"/chat"
    assert (told.status, told.code, told.seconds) == (101, 1000, 2.5)
    assert (told.messagesReceived, told.messagesSent) == (3, 3)
    assert told.transport is server.link


def test_one_that_was_lost() -> None:
    server = Server()
    server.receive(HANDSHAKE % b"")
    # The clock is set back.
    server.clock.advance(-1)
    server.lose()
    assert (server.told().code, server.told().seconds) == (1006, 0.0)


def test_one_that_broke_the_protocol() -> None:
    server = Server()
    server.receive(HANDSHAKE % b"")
    server.receive(b"\x81\x00")
    server.lose()
    assert server.told().code == 1002


def test_a_refusal() -> None:
    server = Server(path=b"/other")
    server.receive(HANDSHAKE % b"")
    server.lose()
    told = server.told()
    assert told.head is not None
    assert (told.status, told.code, told.octets) == (404, None, 0)


def test_what_is_no_handshake() -> None:
    server = Server()
    server.receive(b"no HTTP\r\n\r\n")
    server.lose()
    told = server.told()
    assert (told.status, told.head) == (400, None)
    assert told.octets > 0


def test_nothing_at_all() -> None:
    server = Server()
    server.lose()
    assert server.done == []


def test_one_who_is_told_and_fails(logged: list[LogEvent]) -> None:
    def fail(conversation: Conversation) -> None:
        raise RuntimeError("no room")

    server = Server(done=fail)
    server.receive(HANDSHAKE % b"")
    server.lose()
    [event] = [event for event in logged if event.get("log_failure") is not None]
    assert event["log_failure"].check(RuntimeError)
    logged.remove(event)


def test_who_cannot_be_told() -> None:
    with pytest.raises(TypeError, match="conversationDone"):
        WebSocketFactory(Application(Echo), conversationDone="log")  # type: ignore[arg-type]
