"""
Tests for L{netkit.websocket.factory} and L{netkit.websocket.server}: the opening handshake.
"""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Callable
from dataclasses import fields
from math import inf, nan
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from netkit.websocket import (
    Acceptance,
    Rejection,
    WebSocketFactory,
    WebSocketOptions,
    WebSocketRequest,
    WebSocketResource,
)
from netkit.websocket.protocol import Decision

from .helpers import HANDSHAKE, Application, Link, Recorder, Server

COUNTS = (
    "maxMessageSize",
    "maxFragments",
    "maxHandshakeSize",
    "deflateLevel",
    "deflateWindowBits",
)
TIMES = ("openTimeout", "closeTimeout", "pingInterval", "pingTimeout")
FLAGS = ("deflate", "deflateContextTakeover")


def test_opening() -> None:
    server = Server(fields=b"X-Token: 1\r\nx-token: 2\r\nSec-WebSocket-Protocol: a, b\r\n")
    server.receive(server.request)
    assert server.response() == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"\r\n"
    )
    assert server.app.events == ["open"]
    (request,) = server.application.requests
    assert (request.method, request.uri, request.path) == (b"GET", b"/chat", b"/chat")
    assert request.subprotocols == ("a", "b")
    assert request.getClientAddress() == server.transport.getPeer()
    assert server.app.transport.subprotocol is None
    assert server.app.transport.getHost() == server.transport.getHost()


def test_tls_clients_are_told_what_is_spoken() -> None:
    factory = WebSocketFactory(Application(), clock=Clock())
    assert IProtocolNegotiationFactory.providedBy(factory)
    assert factory.acceptableProtocols() == [b"http/1.1"]


def test_opening_octet_by_octet_with_a_message_behind_it() -> None:
    server = Server()
    for octet in server.request + server.client.send_text("early"):
        server.receive(bytes([octet]))
    assert server.app.events == ["open", "early"]


def test_what_is_sent_at_once_goes_out_with_the_response() -> None:
    class Greeter(Recorder):
        def negotiationFinished(self) -> None:
            self.transport.sendTextMessage("welcome")
            self.transport.sendBytesMessage(b"!")

    server = Server(Application(Greeter))
    server.receive(server.request)
    assert server.transport.writes == 1
    head, rest = server.response().split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 101 ")
    assert list(server.client.receive_data(rest)) == ["welcome", b"!"]


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 426, b"Upgrade: websocket"),
        (HANDSHAKE.replace(b"13", b"8") % b"", 426, b'version 13 here, not "8"'),
        (HANDSHAKE.replace(b"GET", b"POST") % b"", 405, b"a GET"),
        (b"no HTTP\r\n\r\n", 400, b""),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000, 431, b""),
    ],
)
def test_refused(request_: bytes, status: int, words: bytes, logged: list[LogEvent]) -> None:
    server = Server()
    server.receive(request_)
    assert server.response().startswith(b"HTTP/1.1 %d " % status)
    assert words in server.response()
    assert server.protocol.lingering
    (event,) = [event for event in logged if event.get("status") == status]
    assert event["peer"]
    sent = server.response()
    # What still arrives is dropped.
    server.receive(HANDSHAKE % b"")
    assert server.response() == sent
    assert not server.application.made
    server.lose(ConnectionDone())
    assert not server.clock.getDelayedCalls()


def refusal(server: Server, logged: list[LogEvent]) -> str:
    """
    Let a server refuse its request, and give the reason that it logs.
    """
    server.receive(server.request)
    (event,) = [event for event in logged if "status" in event]
    assert server.response().startswith(b"HTTP/1.1 %d " % event["status"])
    logged.remove(event)
    reason = event["reason"]
    assert isinstance(reason, str)
    return reason


def test_path(logged: list[LogEvent]) -> None:
    assert Server(path=b"/chat").open()
    reason = refusal(Server(path=b"/other"), logged)
    assert reason == 'the path is "/chat", and the WebSocket\'s is "/other"'
    for target in (b"http://localhost/chat", b"ws://localhost:80/chat?x", b"/chat?"):
        server = Server(path=b"/chat")
        server.request = server.request.replace(b"/chat", target)
        assert server.open().application.requests[0].uri == target


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (b"Origin: https://Example.com\r\n", 101),
        (b"Origin: https://xn--bcher-kva.example\r\n", 101),
        (b"Origin: http://[::1]:8080\r\n", 101),
        (b"", 101),
        (b"Origin: https://evil.example\r\n", 403),
        (b"Origin: https://example.com.evil\r\n", 403),
        (b"Origin: http://example.com\r\n", 403),
        (b"Origin: https://example.com http://a\r\n", 403),
        (b"Origin: \r\n", 403),
        (b"Origin: null\r\n", 403),
        (b"Origin: https://example.com\r\norigin: https://example.com\r\n", 400),
    ],
)
def test_origins(origin: bytes, status: int) -> None:
    origins = ["HTTPS://example.COM:443", "https://bücher.example", "http://[::1]:8080"]
    server = Server(origins=origins, fields=origin)
    server.receive(server.request)
    assert server.response().startswith(b"HTTP/1.1 %d " % status)


def test_pages_out_of_files() -> None:
    Server(origins=["null"], fields=b"Origin: null\r\n").open()


def test_the_log_says_which_rule_refused(logged: list[LogEvent]) -> None:
    evil = b"Origin: https://evil.example\x80\r\n"
    reason = refusal(Server(origins=["https://a"], fields=evil), logged)
    assert reason == r'the origin "https://evil.example\x80" is none that is allowed'
    reason = refusal(Server(fields=b"Origin: a\r\nOrigin: b\r\n"), logged)
    assert reason == 'there is more than one Origin: "a, b"'
    assert refusal(Server(Acceptor(Rejection())), logged) == 'acceptConnection rejects "/chat"'


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"application": Recorder()}, TypeError, "has no buildProtocol"),
        ({"application": None}, TypeError, "None has no buildProtocol"),
        ({"origins": "https://a"}, TypeError, "not 'https://a'"),
        ({"origins": [b"https://a"]}, TypeError, "b'https://a' is none"),
        ({"origins": ["https://a", "b.example"]}, ValueError, "'b.example' is not a web origin"),
        ({"origins": ["https://a/"]}, ValueError, "'https://a/' is not"),
        ({"origins": ["https://*.a"]}, ValueError, "is not"),
        ({"origins": ["https://u@a"]}, ValueError, "is not"),
        ({"origins": ["https://a b"]}, ValueError, "is not"),
        ({"origins": [" https://a"]}, ValueError, "is not"),
        ({"origins": ["https://a:99999"]}, ValueError, "is not"),
        ({"origins": ["https://a?"]}, ValueError, "is not"),
        ({"origins": [""]}, ValueError, "'' is not"),
        ({"origins": 5}, TypeError, "not 5"),
        ({"path": "/chat"}, TypeError, "not '/chat'"),
        ({"path": b"chat"}, ValueError, "not b'chat'"),
        ({"path": b"/chat?a"}, ValueError, r"not b'/chat\?a'"),
        ({"path": b"/a b"}, ValueError, "not b'/a b'"),
        ({"path": b"/%"}, ValueError, "not b'/%'"),
        ({"path": b""}, ValueError, "not b''"),
        ({"subprotocols": "chat"}, TypeError, "not 'chat'"),
        ({"subprotocols": [b"chat"]}, TypeError, "b'chat' is none"),
        ({"subprotocols": ["a b"]}, ValueError, "'a b' is no name"),
        ({"subprotocols": ["a", "a"]}, ValueError, "'a' is given twice"),
        ({"options": {"maxMessageSize": 5}}, TypeError, "not {'maxMessageSize': 5}"),
        ({"options": None}, TypeError, "not None"),
        ({"httpFactory": object()}, TypeError, "httpFactory is a factory"),
        ({"maxConnections": None}, TypeError, "maxConnections is a whole number, not None"),
        ({"maxConnections": -1}, ValueError, "0 or more, not -1"),
        ({"idleTimeout": "5"}, TypeError, "idleTimeout is a number of seconds, not '5'"),
        ({"idleTimeout": nan}, ValueError, "idleTimeout is .*, not nan"),
    ],
)
def test_mistakes_are_told_at_once(
    arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    arguments = {"application": Application(), "clock": Clock(), **arguments}
    with pytest.raises(error, match=says):
        WebSocketFactory(**arguments)
    arguments["factory"] = arguments.pop("application")
    if not arguments.keys() & {"path", "httpFactory"}:
        with pytest.raises(error, match=says):
            WebSocketResource(**arguments)


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        *((field, value, TypeError) for field in COUNTS for value in (None, "5", 1.0, True)),
        *((field, value, ValueError) for field in COUNTS for value in (-1, -(2**70))),
        *((field, value, TypeError) for field in TIMES for value in (None, "5", False)),
        *((field, value, ValueError) for field in TIMES for value in (-0.1, inf, nan)),
        *((field, value, TypeError) for field in FLAGS for value in (None, 1, "no")),
        ("maxHandshakeSize", 0, ValueError),
        ("deflateLevel", 0, ValueError),
        ("deflateLevel", 99, ValueError),
        ("deflateWindowBits", 7, ValueError),
        ("deflateWindowBits", 16, ValueError),
        ("pingAnswered", "seconds", TypeError),
    ],
)
def test_mistakes_in_options(field: str, value: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"^{field} is .*, not {re.escape(repr(value))}$"):
        WebSocketOptions(**{field: value})  # type: ignore[arg-type]


def test_all_options_are_checked() -> None:
    assert {field.name for field in fields(WebSocketOptions)} == {
        *COUNTS,
        *TIMES,
        *FLAGS,
        "pingAnswered",
    }


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (
            lambda: Rejection(status=101),
            ValueError,
            "status is a whole number, 200 to 599, not 101",
        ),
        (lambda: Rejection(status="403"), TypeError, "not '403'"),  # type: ignore[arg-type]
        (lambda: Rejection(body="no"), TypeError, "not 'no'"),  # type: ignore[arg-type]
        (lambda: Rejection(headers={b"a": b"b"}), TypeError, "b'a'"),  # type: ignore[arg-type]
        (lambda: Acceptance(headers=(("a", "b"),)), TypeError, "'a'"),  # type: ignore[arg-type]
        (lambda: Acceptance(headers=((b"a", b"b\r\n"),)), ValueError, "control character"),
        (lambda: Acceptance(headers=((b"Upgrade", b"x"),)), ValueError, "Upgrade cannot be set"),
        (lambda: Rejection(headers=((b"content-length", b"9"),)), ValueError, "cannot be set"),
    ],
)
def test_mistakes_in_decisions(
    make: Callable[[], object], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        make()


def test_subprotocols() -> None:
    server = Server(subprotocols=["b", "c"], fields=b"Sec-WebSocket-Protocol: a, c, b\r\n")
    server.receive(server.request)
    assert b"\r\nSec-WebSocket-Protocol: c\r\n" in server.response()
    assert server.app.transport.subprotocol == "c"
    server = Server(subprotocols=["b", "c"], fields=b"Sec-WebSocket-Protocol: a\r\n").open()
    assert server.app.transport.subprotocol is None


class Acceptor(Application):
    """
    Decides as it is told.
    """

    def __init__(self, decision: Any) -> None:
        super().__init__()
        self._decision = decision

    def acceptConnection(self, request: WebSocketRequest) -> Any:
        self.requests.append(request)
        if isinstance(self._decision, Exception):
            raise self._decision
        return self._decision


def test_acceptance() -> None:
    acceptance = Acceptance(subprotocol="b", headers=((b"Set-Cookie", b"a=b"),))
    server = Server(Acceptor(acceptance), fields=b"Sec-WebSocket-Protocol: a, b\r\n")
    server.receive(server.request)
    assert b"\r\nSec-WebSocket-Protocol: b\r\nSet-Cookie: a=b\r\n" in server.response()
    assert server.app.transport.subprotocol == "b"
    assert Server(Acceptor(None)).open().app.events == ["open"]


def test_rejection() -> None:
    rejection = Rejection(status=401, headers=((b"WWW-Authenticate", b"Basic"),), body=b"who?")
    server = Server(Acceptor(rejection))
    server.receive(server.request)
    assert server.response() == (
        b"HTTP/1.1 401 Unauthorized\r\n"
        b"Connection: close\r\n"
        b"Content-Length: 4\r\n"
        b"WWW-Authenticate: Basic\r\n"
        b"\r\n"
        b"who?"
    )
    assert not server.application.made
    assert server.protocol.lingering


def test_a_decision_that_takes_time() -> None:
    deciding: Deferred[Decision] = Deferred()
    server = Server(Acceptor(deciding))
    server.receive(server.request)
    server.receive(server.client.send_text("early"))
    assert server.response() == b""
    deciding.callback(None)
    assert server.response().startswith(b"HTTP/1.1 101 ")
    assert server.app.events == ["open", "early"]


def test_a_coroutine_decides() -> None:
    looked: Deferred[bytes] = Deferred()

    class Coroutine(Application):
        async def acceptConnection(self, request: WebSocketRequest) -> Decision:
            return Rejection(status=403, body=await looked)

    server = Server(Coroutine())
    server.receive(server.request)
    assert server.response() == b""
    looked.callback(b"no")
    assert server.response().startswith(b"HTTP/1.1 403 ")
    assert server.response().endswith(b"\r\n\r\nno")


class Session(bytearray):
    """
    What a decision has in a variable.
    """


def test_nothing_of_a_decision_outlives_the_connection() -> None:
    """
    Not even up to the next collection.
    """
    sessions: list[weakref.ref[Session]] = []

    class Coroutine(Application):
        async def acceptConnection(self, request: WebSocketRequest) -> Decision:
            session = Session()
            sessions.append(weakref.ref(session))
            await Deferred()
            return Rejection(body=bytes(session))

    server = Server(Coroutine())
    server.receive(server.request)
    gc.collect()
    gc.disable()
    try:
        server.lose(ConnectionLost())
        assert [session() for session in sessions] == [None]
    finally:
        gc.enable()


@pytest.mark.parametrize("closing", [False, True])
def test_a_connection_that_is_over_is_freed_at_once(closing: bool) -> None:
    """
    Cycles that it left would keep its memory, and the collector busy, connection by connection.
    """
    server = Server().open()
    server.receive(server.client.send_text("a message"))
    if closing:
        server.app.transport.loseConnection()
    watched = [weakref.ref(part) for part in (server.app, server.app.transport, server.protocol)]
    gc.collect()
    gc.disable()
    try:
        server.lose(ConnectionLost())
        server.application.made.clear()
        del server
        assert [part() for part in watched] == [None, None, None]
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "decision", [KeyError("x"), Acceptance(subprotocol="not offered"), True, b""]
)
def test_a_decision_that_fails(decision: object, logged: list[LogEvent]) -> None:
    server = Server(Acceptor(decision))
    server.receive(server.request)
    assert server.response().startswith(b"HTTP/1.1 500 ")
    failures = [event for event in logged if event.get("log_failure") is not None]
    assert len(failures) == 1
    logged.remove(failures[0])


def test_the_application_may_decline() -> None:
    class Nobody(Application):
        def buildProtocol(self, request: WebSocketRequest) -> Recorder | None:
            return None

    server = Server(Nobody())
    server.receive(server.request)
    assert server.response().startswith(b"HTTP/1.1 403 ")


def test_lost_while_deciding() -> None:
    cancelled: list[Deferred[Decision]] = []
    deciding: Deferred[Decision] = Deferred(cancelled.append)
    server = Server(Acceptor(deciding))
    server.receive(server.request)
    server.lose(ConnectionLost())
    assert cancelled == [deciding]
    assert server.response() == b""
    assert not server.clock.getDelayedCalls()
    assert not server.factory.connections


def test_too_much_while_deciding() -> None:
    server = Server(Acceptor(Deferred()), options=WebSocketOptions(maxHandshakeSize=1000))
    server.receive(server.request)
    server.receive(bytes(1000))
    assert server.response() == b""
    server.receive(b"x")
    assert server.response().startswith(b"HTTP/1.1 413 ")


def test_all_heads_together_have_a_limit(logged: list[LogEvent]) -> None:
    server = Server(maxBuffered=1000)
    server.receive(server.request[:100])
    other = server.factory.buildProtocol(None)
    link = Link()
    other.makeConnection(link)
    other.dataReceived(b"GET /" + bytes(b"a" * 890))
    assert link.value() == b""
    other.dataReceived(b"a" * 10)
    assert link.value().startswith(b"HTTP/1.1 503 ")
    assert b"as much as it may" in link.value()
    assert [event["status"] for event in logged if "status" in event] == [503]
    # The others live, and have what that one had.
    server.receive(server.request[100:])
    assert server.app.events == ["open"]
    assert server.factory.budget.used == 0


def test_opening_takes_too_long() -> None:
    server = Server(options=WebSocketOptions(openTimeout=3.0))
    server.receive(server.request[:-1])
    server.clock.advance(2.9)
    assert not server.transport.disconnected
    server.clock.advance(0.2)
    assert server.transport.disconnected
    server.lose(ConnectionAborted())
    assert not server.clock.getDelayedCalls()
    forever = Server(options=WebSocketOptions(openTimeout=0, pingInterval=0), idleTimeout=0)
    assert not forever.clock.getDelayedCalls()
