"""
Tests for L{netkit.websocket.resource}.
"""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.logger import LogEvent
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Site

from netkit.websocket import (
    Acceptance,
    Rejection,
    WebSocketClientEndpoint,
    WebSocketClosed,
    WebSocketResource,
)
from netkit.wire.websocket.connection import Connection
from netkit.wire.websocket.events import Close
from tests.conftest import Listen
from tests.recording import Records

from .helpers import HANDSHAKE, Application, Echo, Link, Recorder, Waiters, lost


class Channel:
    """
    A connection to a site with a WebSocket at C{/chat}.
    """

    def __init__(
        self, application: Any = None, *, records: Records | None = None, **arguments: Any
    ) -> None:
        self.clock = Clock()
        self.application = application if application is not None else Application(Echo)
        self.resource = WebSocketResource(self.application, clock=self.clock, **arguments)
        self.root = root = Resource()
        root.putChild(b"chat", self.resource)
        self.link = Link()
        site = Site(root, reactor=self.clock)
        factory: Any = site if records is None else records.of(site)
        self.channel = factory.buildProtocol(self.link.getPeer())
        self.channel.makeConnection(self.link)

    def request(self, fields: bytes = b"", old: bytes = b"", new: bytes = b"") -> bytes:
        """
        Send a request, and give what answers it.
        """
        self.channel.dataReceived((HANDSHAKE % fields).replace(old, new))
        octets: bytes = self.link.value()
        return octets


def test_messages() -> None:
    site = Channel()
    assert site.request().startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    site.link.clear()
    client = Connection(client=True)
    site.channel.dataReceived(client.send_text("héllo"))
    assert list(client.receive_data(site.link.value())) == ["héllo"]
    (request,) = site.application.requests
    assert request.uri == b"/chat"
    site.channel.connectionLost(Failure(ConnectionDone()))
    assert site.application.made[0].lost is not None
    assert not site.resource.webSocketFactory.connections


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Upgrade: websocket\r\n", b""),
        (b"13", b"12"),
        (b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
def test_no_handshake(old: bytes, new: bytes) -> None:
    answer = Channel().request(old=old, new=new)
    assert answer.split(b" ", 2)[1] == b"400"
    assert answer.endswith(b"websocket protocol negotiation error")


def test_origin_and_subprotocol() -> None:
    origins = ["https://example.com"]
    assert Channel(origins=origins).request(b"Origin: null\r\n").startswith(b"HTTP/1.1 403 ")
    good = b"Origin: https://example.com\r\nSec-WebSocket-Protocol: a, b\r\n"
    answer = Channel(origins=origins, subprotocols=["b"]).request(good)
    assert b"\r\nSec-WebSocket-Protocol: b\r\n" in answer


class Acceptor(Application):
    """
    Decides as it is told.
    """

    def __init__(self, decision: Any) -> None:
        super().__init__()
        self._decision = decision

    def acceptConnection(self, request: Any) -> Any:
        if isinstance(self._decision, Exception):
            raise self._decision
        return self._decision


def test_decisions() -> None:
    answer = Channel(Acceptor(Acceptance(headers=((b"X-A", b"b"),)))).request()
    assert b"\r\nX-A: b\r\n" in answer
    rejection = Rejection(status=410, headers=((b"X-A", b"b"),), body=b"gone")
    answer = Channel(Acceptor(succeed(rejection))).request()
    assert answer.startswith(b"HTTP/1.1 410 Gone\r\n")
    assert b"\r\nX-A: b\r\n" in answer
    assert b"gone" in answer


def test_a_decision_that_fails(logged: list[LogEvent]) -> None:
    assert Channel(Acceptor(KeyError())).request().startswith(b"HTTP/1.1 500 ")
    failures = [event for event in logged if event.get("log_failure") is not None]
    assert len(failures) == 1
    logged.remove(failures[0])


class Failing(Echo):
    """
    An application with a mistake in it.
    """

    def textMessageReceived(self, message: str) -> None:
        raise KeyError(message)


@pytest.mark.parametrize(
    ("application", "old", "noted"),
    [
        (Application(Echo), b"13", "refused with 400: "),
        (Acceptor(succeed(Rejection(status=410))), b"", "refused with 410: "),
        (Acceptor(KeyError()), b"", "the application failed: refused with 500"),
    ],
)
def test_why_it_is_refused_is_recorded(
    application: Any, old: bytes, noted: str, logged: list[LogEvent]
) -> None:
    records = Records("http")
    Channel(application, records=records).request(old=old, new=b"")
    [note] = records.notes
    assert note.startswith(noted)
    logged[:] = [event for event in logged if event.get("log_failure") is None]


def test_that_there_are_too_many_is_recorded() -> None:
    records = Records("http")
    site = Channel(records=records, maxConnections=1)
    assert site.request().startswith(b"HTTP/1.1 101 ")
    site.link = Link()
    site.channel = records.of(Site(site.root, reactor=site.clock)).buildProtocol(None)
    site.channel.makeConnection(site.link)
    assert site.request().startswith(b"HTTP/1.1 503 ")
    assert records.notes == ["refused with 503: too many connections are open"]


def test_that_the_application_failed_is_recorded(logged: list[LogEvent]) -> None:
    records = Records("http")
    site = Channel(Application(Failing), records=records)
    site.request()
    site.channel.dataReceived(Connection(client=True).send_text("hello"))
    assert records.notes == ["the application failed: closed with 1011"]
    logged[:] = [event for event in logged if event.get("log_failure") is None]


def test_lost_while_deciding() -> None:
    cancelled: list[Any] = []
    site = Channel(Acceptor(Deferred(cancelled.append)))
    assert site.request() == b""
    site.channel.connectionLost(Failure(ConnectionDone()))
    assert len(cancelled) == 1
    assert site.link.value() == b""


def test_too_many() -> None:
    site = Channel(maxConnections=1)
    site.resource.webSocketFactory.connections.add(None)  # type: ignore[arg-type]
    assert site.request().startswith(b"HTTP/1.1 503 ")


@pytest_twisted.ensureDeferred
async def test_on_a_real_site(listen: Listen) -> None:
    from twisted.internet import reactor

    servers = Waiters()
    resource = WebSocketResource(servers)
    root = Resource()
    root.putChild(b"chat", resource)
    over = await listen(Site(root, reactor=reactor))
    client = await WebSocketClientEndpoint.over(over, "ws://x/chat").connect(Waiters())
    (server,) = servers.made
    for message in ("x" * 200_000, "done"):
        client.transport.sendTextMessage(message)
        assert await server.next() == message
        server.transport.sendTextMessage(message)
        assert await client.next() == message
    await resource.webSocketFactory.closeConnections(5.0)
    for end in (client, server):
        reason = await lost(end)
        assert isinstance(reason, WebSocketClosed)
        assert reason.code == 1001


def test_producers_can_be_attached_on_a_channel_that_has_one() -> None:
    site = Channel(Application(Recorder))
    assert site.link.producer is not None
    site.request()
    app = site.application.made[0]
    app.transport.attachProducer(site.link)
    assert site.link.producer is site.link
    app.transport.detachProducer()
    app.transport.loseConnection()
    site.link.clear()
    client = Connection(client=True)
    site.channel.dataReceived(client.send_close())
    assert site.link.disconnecting
    assert client.close_sent == Close(1000, "")
