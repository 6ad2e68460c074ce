"""
Tests for connections that go over to another protocol: RFC 9110 section 7.8.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import LogEvent
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer

from netkit.echo import EchoFactory
from netkit.http import Request, Response, Upgrade
from netkit.services.websocket import EchoApplication
from netkit.websocket import WebSocketFactory

from .connected import Connection, answer, get, post
from .test_protocol import takeFailure

UPGRADING = get(b"/", b"Connection: upgrade", b"Upgrade: other")
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nUpgrade: other\r\n\r\n"


class Other(Protocol):
    """
    What goes on.
    """

    def __init__(self) -> None:
        self.received = b""
        self.events: list[str] = []

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.events.append("lost")


@implementer(IHalfCloseableProtocol)
class HalfCloseableOther(Other):
    def readConnectionLost(self) -> None:
        self.events.append("read lost")

    def writeConnectionLost(self) -> None:
        self.events.append("write lost")


def upgrading(other: Protocol, **settings: Any) -> Connection:
    return Connection(lambda request: Upgrade(other, [(b"Upgrade", b"other")]), **settings)


@pytest.mark.parametrize("rest", [b"", b"more"])
def test_the_connection_is_handed_over(rest: bytes) -> None:
    other = Other()
    client = upgrading(other)
    client.send(UPGRADING + rest)
    assert client.take() == SWITCHED
    assert other.transport is client.transport
    assert client.transport.producer is None
    assert client.transport.producerState == "producing"
    client.send(get())
    assert other.received == rest + get()
    assert client.take() == b""
    client.lose(ConnectionLost())
    assert other.events == ["lost"]
    assert not client.factory.connections


def test_the_handler_may_take_its_time() -> None:
    waiting = Deferred[Response | Upgrade]()
    client = Connection(lambda request: waiting)
    client.send(UPGRADING + b"m" * 10**5)
    assert client.transport.producerState == "paused"
    other = Other()
    waiting.callback(Upgrade(other, [(b"Upgrade", b"other")]))
    assert client.take() == SWITCHED
    assert other.received == b"m" * 10**5
    assert client.transport.producerState == "producing"


def test_a_request_with_content_is_upgraded_when_that_is_there() -> None:
    other = Other()
    client = upgrading(other)
    client.send(post(b"abc", b"Connection: upgrade", b"Upgrade: other") + b"more")
    assert client.take() == SWITCHED
    assert other.received == b"more"


@pytest.mark.parametrize(
    "octets",
    [get(), post(b"a", b"Connection: upgrade", b"Upgrade: other", length=10**6)],
)
def test_rfc9110_7_8_no_upgrade_that_was_not_offered(
    octets: bytes, logged: list[LogEvent]
) -> None:
    other = Other()
    client = upgrading(other)
    client.send(octets)
    assert client.statuses() == [500]
    assert "cannot be answered by an upgrade" in str(takeFailure(logged))
    assert other.transport is None


def test_a_client_that_offers_may_be_answered_in_http() -> None:
    client = Connection()
    client.send(UPGRADING + get())
    assert client.take() == answer() * 2


def test_a_protocol_that_answers_by_itself() -> None:
    """
    It gets the request as it was sent, as if the connection had been its own.
    """
    other = EchoFactory(clock=Connection().clock).buildProtocol(None)
    client = Connection(lambda request: Upgrade(other))
    client.send(UPGRADING + b"more")
    client.send(b" and more")
    assert client.take() == UPGRADING + b"more and more"
    client.end()
    assert client.transport.disconnecting


@pytest.mark.parametrize("rest", [b"", b"more"])
def test_a_protocol_that_answers_by_itself_gets_the_content(rest: bytes) -> None:
    other = Other()
    client = Connection(lambda request: Upgrade(other))
    client.send(post(b"abc", length=6))
    assert other.received == post(b"abc", length=6)
    client.send(b"def" + rest)
    assert other.received == post(b"abcdef") + rest
    client.lose()


def test_content_that_was_read_cannot_be_handed_over(logged: list[LogEvent]) -> None:
    async def handler(request: Request) -> Upgrade:
        await anext(request.content)
        return Upgrade(Other())

    client = Connection(handler)
    client.send(post(b"abc", length=6))
    assert client.statuses() == [500]
    takeFailure(logged)


class Legacy(Resource):
    """
    A page of a twisted.web application.
    """

    isLeaf = True

    def render_POST(self, request: IRequest) -> bytes:
        content: bytes = request.content.read()
        uri: bytes = request.uri
        return b"legacy " + uri + b" " + content


def test_twisted_web_on_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Its site takes over the connection, as if that had been its own from the start.
    """
    site = Site(Legacy())

    def handler(request: Request) -> Response | Upgrade:
        if request.path.startswith(b"/legacy"):
            return Upgrade(site.buildProtocol(request.peer))
        return Response(200, b"hello")

    client = Connection(handler)
    monkeypatch.setattr(client.transport, "loseConnection", lambda: None)
    client.send(get() + post(b"ab", length=4).replace(b"/", b"/legacy", 1))
    assert client.take() == answer()
    client.send(b"cd")
    told = client.take()
    assert told.startswith(b"HTTP/1.1 200 OK\r\n")
    assert told.endswith(b"\r\n\r\nlegacy /legacy abcd")
    client.lose()


def test_websocket_on_the_same_port() -> None:
    """
    So does the WebSocket service.
    """
    clock = Connection().clock
    websockets = WebSocketFactory(EchoApplication(), clock=clock)
    client = Connection(lambda request: Upgrade(websockets.buildProtocol(request.peer)))
    client.send(
        get(
            b"/",
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        )
    )
    told = client.take()
    assert told.startswith(b"HTTP/1.1 101 ")
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in told
    client.lose()


def test_other_requests_before_the_upgrade() -> None:
    other = Other()

    def handler(request: Request) -> Response | Upgrade:
        if request.headers.get(b"upgrade"):
            return Upgrade(other, [(b"Upgrade", b"other")])
        return Response(200, b"hello")

    client = Connection(handler)
    client.send(get() + UPGRADING + b"more")
    assert client.take() == answer() + SWITCHED
    assert other.received == b"more"


def test_half_closing() -> None:
    other = HalfCloseableOther()
    client = upgrading(other)
    client.send(UPGRADING)
    client.end()
    client.protocol.writeConnectionLost()
    assert other.events == ["read lost", "write lost"]
    assert not client.closing


def test_half_closing_of_a_protocol_that_knows_none() -> None:
    client = upgrading(Other())
    client.protocol.writeConnectionLost()
    client.send(UPGRADING)
    client.protocol.writeConnectionLost()
    client.end()
    assert client.closing


def test_a_half_close_before_the_upgrade() -> None:
    waiting = Deferred[Response | Upgrade]()
    client = Connection(lambda request: waiting, allowHalfOpen=True)
    client.send(UPGRADING)
    client.end()
    other = HalfCloseableOther()
    waiting.callback(Upgrade(other))
    assert other.events == ["read lost"]


def test_silence_is_for_the_other_protocol_to_judge() -> None:
    client = upgrading(Other(), idleTimeout=4.0)
    client.send(UPGRADING)
    client.clock.pump([1] * 100)
    assert not client.transport.aborted


def test_the_service_stops() -> None:
    client = upgrading(Other())
    client.send(UPGRADING)
    client.factory.closeConnections(5)
    assert client.transport.disconnecting
    client.lose()


def test_the_service_stops_as_the_other_protocol_likes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = EchoFactory(clock=Connection().clock).buildProtocol(None)
    stopped: list[bool] = []
    monkeypatch.setattr(other, "serviceStopping", lambda: stopped.append(True))
    client = Connection(lambda request: Upgrade(other))
    client.send(UPGRADING)
    client.factory.closeConnections(5)
    assert stopped == [True]
    client.lose()
