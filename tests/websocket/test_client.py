"""
Tests for L{netkit.websocket.endpoint} and L{netkit.websocket.client}.
"""

from __future__ import annotations

import random
import re
import zlib
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import (
    AccumulatingProtocol,
    MemoryReactorClock,
    StringTransport,
)
from twisted.logger import LogEvent
from twisted.web.client import URI
from zope.interface import implementer

from netkit.websocket import (
    Acceptance,
    ConnectionRejected,
    HandshakeFailed,
    Rejection,
    WebSocketClientEndpoint,
    WebSocketClosed,
    WebSocketFactory,
    WebSocketOptions,
    WebSocketRequest,
)
from netkit.websocket.client import WebSocketClientConnection
from netkit.wire.http.connection import RequestReceiver
from netkit.wire.http.head import RequestHead
from netkit.wire.websocket.connection import Connection
from netkit.wire.websocket.events import Close
from netkit.wire.websocket.handshake import accept, accept_key, read_request
from tests.conftest import Listen

from .helpers import Link, Recorder, Waiters, lost


@pytest_twisted.ensureDeferred
async def test_both_ends(listen: Listen) -> None:
    servers, clients = Waiters(), Waiters()
    factory = WebSocketFactory(servers, subprotocols=["b"])
    endpoint = WebSocketClientEndpoint.over(
        await listen(factory),
        "ws://example.com/x?y=z",
        subprotocols=["a", "b"],
        headers=[(b"X-More", b"yes")],
    )
    client = await endpoint.connect(clients)
    (server,) = servers.made
    assert clients.urls == ["ws://example.com/x?y=z"]
    (request,) = servers.urls
    assert request.uri == b"/x?y=z"
    assert request.getHeader(b"host") == b"example.com"
    assert request.getHeader(b"x-more") == b"yes"
    assert client.transport.subprotocol == server.transport.subprotocol == "b"
    for message in ("text", b"bytes", "x" * 100_000, b"\0" * 2**20):
        for here, there in ((client, server), (server, client)):
            if isinstance(message, str):
                here.transport.sendTextMessage(message)
            else:
                here.transport.sendBytesMessage(message)
            assert await there.next() == message
    client.transport.ping(b"!")
    assert await client.next() == ("pong", b"!")
    server.transport.loseConnection(3000, "bye")
    for end, byPeer in ((client, True), (server, False)):
        reason = await lost(end)
        assert isinstance(reason, WebSocketClosed)
        assert (reason.code, reason.byPeer) == (3000, byPeer)
    assert not factory.connections


@pytest_twisted.ensureDeferred
async def test_the_client_closes(listen: Listen) -> None:
    servers = Waiters()
    endpoint = WebSocketClientEndpoint.over(await listen(WebSocketFactory(servers)))
    client = await endpoint.connect(Waiters())
    client.transport.loseConnection()
    for end in (client, *servers.made):
        reason = await lost(end)
        assert isinstance(reason, WebSocketClosed)
        assert reason.code == 1000


class _Refusing:
    """
    Refuses with a response.
    """

    def __init__(self, rejection: Rejection) -> None:
        self._rejection = rejection

    def acceptConnection(self, request: WebSocketRequest) -> Rejection:
        return self._rejection

    def buildProtocol(self, request: WebSocketRequest) -> None:
        raise AssertionError


@pytest_twisted.ensureDeferred
async def test_refused(listen: Listen) -> None:
    rejection = Rejection(status=401, headers=((b"WWW-Authenticate", b"Basic"),), body=b"who?")
    endpoint = WebSocketClientEndpoint.over(await listen(WebSocketFactory(_Refusing(rejection))))
    clients = Waiters()
    with pytest.raises(ConnectionRejected, match="the server answers 401 Unauthorized") as raised:
        await endpoint.connect(clients)
    response = raised.value.response
    assert response.code == 401
    assert response.headers.getRawHeaders(b"www-authenticate") == [b"Basic"]
    body = AccumulatingProtocol()
    body.closedDeferred = Deferred()
    response.deliverBody(body)
    if body.closedReason is None:
        await body.closedDeferred
    assert body.data == b"who?"
    await clients.made[0].lost


class _Paths:
    """
    Redirects all paths but one to the next.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[bytes, bytes | None]] = []

    def acceptConnection(self, request: WebSocketRequest) -> Rejection | Acceptance:
        self.seen.append((request.uri, request.getHeader(b"authorization")))
        if request.uri == b"/end":
            return Acceptance()
        location = {b"/a": b"b?c=d", b"/b?c=d": b"/end", b"/wrong": b"http://", b"/no": b"x:y"}
        return Rejection(status=302, headers=((b"Location", location[request.uri]),))

    def buildProtocol(self, request: WebSocketRequest) -> Recorder:
        return Recorder()


@pytest_twisted.ensureDeferred
async def test_redirections(listen: Listen) -> None:
    paths = _Paths()
    over = await listen(WebSocketFactory(paths))

    def endpoint(path: str, redirects: int) -> WebSocketClientEndpoint:
        there = WebSocketClientEndpoint.over(over, f"ws://h{path}")
        return WebSocketClientEndpoint(
            there.endpointFactory,
            there.url,
            headers=[(b"Authorization", b"secret")],
            redirects=redirects,
        )

    client = await endpoint("/a", 2).connect(Waiters())
    assert paths.seen == [(path, b"secret") for path in (b"/a", b"/b?c=d", b"/end")]
    client.transport.loseConnection()
    await lost(client)
    for path, redirects in (("/a", 1), ("/a", 0), ("/wrong", 5), ("/no", 5)):
        with pytest.raises(ConnectionRejected) as raised:
            await endpoint(path, redirects).connect(Waiters())
        raised.value.response._transport.abortConnection()


@pytest.mark.parametrize(
    ("here", "there", "url", "headers"),
    [
        ("ws://a/", b"ws://a/b", "ws://a/b", [b"Host", b"Cookie", b"X"]),
        ("ws://a/", b"http://a/b", "http://a/b", [b"Host", b"Cookie", b"X"]),
        ("ws://a/", b"ws://b/", "ws://b/", [b"X"]),
        ("ws://a/", b"wss://a:81/", "wss://a:81/", [b"X"]),
        ("wss://a/", b"ws://a/", None, []),
        ("wss://a/", b"https://a/", "https://a/", [b"Host", b"Cookie", b"X"]),
        ("ws://a/", b"\xff", None, []),
    ],
)
def test_where_credentials_go(
    here: str, there: bytes, url: str | None, headers: list[bytes]
) -> None:
    endpoint = WebSocketClientEndpoint.new(
        MemoryReactorClock(),
        here,
        redirects=1,
        headers=[(b"Host", b"b"), (b"Cookie", b"secret"), (b"X", b"y")],
    )

    class Response:
        code = 307

        class headers:
            @staticmethod
            def getRawHeaders(name: bytes, default: object) -> list[bytes]:
                return [there]

    found = endpoint._redirection(ConnectionRejected(Response()))  # type: ignore[arg-type]
    if url is None:
        assert found is None
    else:
        assert found is not None
        assert found.url == url
        assert found.redirects == 0
        assert [name for name, value in found.headers] == headers


@pytest.mark.parametrize(
    ("url", "host", "target", "where"),
    [
        ("ws://example.com", b"example.com", b"/", b"http://example.com/"),
        ("wss://example.com/a?b#c", b"example.com", b"/a?b", b"https://example.com/a?b"),
        ("ws://example.com:8080/", b"example.com:8080", b"/", b"http://example.com:8080/"),
        ("http://u:p@[::1]:443/é", b"[::1]:443", b"/%C3%A9", b"http://[::1]:443/%C3%A9"),
        (
            "wss://bücher.example/",
            b"xn--bcher-kva.example",
            b"/",
            b"https://xn--bcher-kva.example/",
        ),
    ],
)
def test_urls(url: str, host: bytes, target: bytes, where: bytes) -> None:
    asked: list[bytes] = []
    sent = StringTransport()

    class Endpoint:
        def connect(self, factory: Any) -> Deferred[Any]:
            protocol = factory.buildProtocol(None)
            protocol.makeConnection(sent)
            return Deferred()

    class Endpoints:
        def endpointForURI(self, uri: URI) -> Any:
            asked.append(uri.toBytes())
            return Endpoint()

    endpoint = WebSocketClientEndpoint(Endpoints(), url, clock=Clock())  # type: ignore[arg-type]
    connecting = Deferred.fromCoroutine(endpoint.connect(Waiters()))
    assert asked == [where]
    assert sent.value().startswith(b"GET %b HTTP/1.1\r\nHost: %b\r\n" % (target, host))
    assert (b"\r\nAuthorization: Basic dTpw\r\n" in sent.value()) == ("u:p@" in url)
    assert not connecting.called


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://x/", "example.com", "ws:///x", "ws:x", "", "ws://a b/", "ws://a<b/", "ws://%zz/"),
        *("ws://x:0/", "ws://x:65536/", "ws://x:y/", "ws://[::1/", "ws://[x]/", "ws://a..é/"),
    ],
)
def test_no_urls(url: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(repr(url))} is not a URL such as ws://"):
        WebSocketClientEndpoint.new(MemoryReactorClock(), url)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"headers": [(b"a", b"b\r\nc: d")]}, ValueError, "control character"),
        ({"headers": [(b"a b", b"c")]}, ValueError, "no token"),
        ({"headers": {b"a": b"b"}}, TypeError, "not {b'a': b'b'}"),
        ({"headers": [("a", "b")]}, TypeError, r"not \('a', 'b'\)"),
        ({"headers": [(b"Host", b"a"), (b"host", b"a")]}, ValueError, "more than one Host"),
        ({"subprotocols": "chat"}, TypeError, "not 'chat'"),
        ({"subprotocols": ["a b"]}, ValueError, "'a b' is no name"),
        ({"subprotocols": ["a", "a"]}, ValueError, "'a' is given twice"),
        ({"options": None}, TypeError, "not None"),
        ({"redirects": -1}, ValueError, "redirects is a whole number, 0 or more, not -1"),
        ({"redirects": None}, TypeError, "not None"),
        ({"proxy": "proxy:3128"}, ValueError, "'proxy:3128' is not the URL of a proxy"),
        ({"url": b"ws://x/"}, TypeError, "b'ws://x/' is not a URL"),
    ],
)
def test_mistakes_are_told_at_once(
    arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        WebSocketClientEndpoint.new(MemoryReactorClock(), **{"url": "ws://x/", **arguments})


def request(url: str, headers: list[tuple[bytes, bytes]]) -> bytes:
    """
    The request of a client.
    """
    linked = _Linked(Link())
    endpoint = WebSocketClientEndpoint.over(linked, url, headers=headers, clock=Clock())
    Deferred.fromCoroutine(endpoint.connect(Waiters()))
    octets: bytes = linked.link.value()
    return octets


@pytest.mark.parametrize(
    ("given", "goes"),
    [
        ((b"Host", b"final.example"), True),
        ((b"hOST", b"[::1]:80"), True),
        ((b"Authorization", b"Bearer x"), True),
        ((b"User-Agent", b"x"), True),
        ((b"Connection", b"close"), False),
        ((b"upgrade", b"h2c"), False),
        ((b"Sec-WebSocket-Key", b"x"), False),
        ((b"Sec-WebSocket-Version", b"8"), False),
        ((b"Sec-WebSocket-Protocol", b"chat"), False),
        ((b"Sec-WebSocket-Extensions", b"x"), False),
        ((b"Content-Length", b"5"), False),
        ((b"Transfer-Encoding", b"chunked"), False),
    ],
)
def test_a_field_takes_the_place_of_ours(
    given: tuple[bytes, bytes], goes: bool, logged: list[LogEvent]
) -> None:
    receiver = RequestReceiver()
    receiver.receive(request("ws://user:password@x/", [given]))
    head = receiver.next_event()
    assert isinstance(head, RequestHead)
    # It still is a handshake, and no field is there twice.
    read_request(head)
    assert len({name.lower() for name, _ in head.fields}) == len(head.fields)
    assert (given in head.fields.pairs) == goes
    assert head.fields.pairs[0][0].lower() == b"host"
    said = [event for event in logged if event.get("name") == given[0].decode().lower()]
    assert bool(said) != goes


def test_others_may_be_there_more_than_once() -> None:
    octets = request("ws://x/", [(b"Cookie", b"a=b"), (b"Cookie", b"c=d")])
    assert octets.count(b"\r\nCookie: ") == 2


@pytest_twisted.ensureDeferred
async def test_nobody_listens() -> None:
    from twisted.internet import reactor

    with pytest.raises(ConnectionRefusedError):
        await WebSocketClientEndpoint.new(reactor, "ws://127.0.0.1:1/").connect(Waiters())


@pytest_twisted.ensureDeferred
async def test_the_global_reactor_tells_the_time(listen: Listen) -> None:
    endpoint = WebSocketClientEndpoint.over(await listen(WebSocketFactory(Waiters())))
    assert endpoint.clock is None
    client = await endpoint.connect(Waiters())
    client.transport.loseConnection()
    await lost(client)


class Client:
    """
    A client's connection, of which the test plays the server.
    """

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.app = Recorder()
        self.link = Link()
        self.connecting: Deferred[Recorder] = Deferred()
        self.server = Connection(client=False)
        options.setdefault("deflate", False)

        def build(url: str) -> Recorder:
            return self.app

        factory: Any = type("F", (), {"buildProtocol": staticmethod(build)})()
        linked = _Linked(self.link)
        endpoint = WebSocketClientEndpoint.over(
            linked,
            options=WebSocketOptions(**options),
            clock=self.clock,
        )
        self.connecting = Deferred.fromCoroutine(endpoint.connect(factory))
        assert isinstance(linked.protocol, WebSocketClientConnection)
        self.protocol = linked.protocol

    def response(self) -> bytes:
        """
        What answers the request.
        """
        receiver = RequestReceiver()
        receiver.receive(self.link.value())
        head = receiver.next_event()
        assert isinstance(head, RequestHead)
        return accept(read_request(head))[0]

    def open(self) -> Client:
        """
        Do the opening handshake.
        """
        self.protocol.dataReceived(self.response())
        self.link.clear()
        return self

    def sent(self) -> list[Any]:
        """
        What the client sent.
        """
        octets = self.link.value()
        self.link.clear()
        return list(self.server.receive_data(octets))

    def failure(self) -> BaseException:
        """
        Why there is no connection.
        """
        failures: list[Any] = []
        self.connecting.addErrback(failures.append)
        assert failures
        value = failures[0].value
        assert isinstance(value, BaseException)
        return value


@implementer(IStreamClientEndpoint)
class _Linked:
    protocol: object = None

    def __init__(self, link: Link) -> None:
        self.link = link

    def connect(self, factory: Any) -> Deferred[Any]:
        from twisted.internet.defer import succeed

        protocol = factory.buildProtocol(None)
        self.protocol = protocol
        protocol.makeConnection(self.link)
        return succeed(protocol)


def test_octet_by_octet_with_a_message_behind_it() -> None:
    client = Client()
    interim = (100, 102, 103, 199)
    octets = b"".join(b"HTTP/1.1 %d Wait\r\nLink: x\r\n\r\n" % status for status in interim)
    octets += client.response()
    for octet in octets + client.server.send_text("early"):
        client.protocol.dataReceived(bytes([octet]))
    assert client.connecting.called
    assert client.app.events == ["open", "early"]


@pytest.mark.parametrize(
    "extensions",
    [
        # gorilla/websocket and Java-WebSocket, whatever they are offered; and the shortest answer.
        b"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        b"permessage-deflate",
    ],
)
def test_a_server_that_ignores_what_is_wished_of_it(extensions: bytes) -> None:
    client = Client(deflate=True)
    request = client.link.value()
    assert b"Sec-WebSocket-Extensions: permessage-deflate; server_max" in request
    (key,) = re.findall(rb"\r\nSec-WebSocket-Key: (.*)\r\n", request)
    client.protocol.dataReceived(
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n"
        b"Sec-WebSocket-Extensions: %b\r\n"
        b"\r\n" % (accept_key(key), extensions)
    )
    assert client.connecting.called
    message = random.Random(2).randbytes(30_000) * 2
    deflater = zlib.compressobj(wbits=-15)
    payload = (deflater.compress(message) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
    client.protocol.dataReceived(b"\xc2\x7e" + len(payload).to_bytes(2, "big") + payload)
    assert client.app.events == ["open", message]


def test_the_server_closes() -> None:
    client = Client(closeTimeout=3.0).open()
    client.protocol.dataReceived(client.server.send_close(1001, "away"))
    assert client.sent() == [Close(1001, "")]
    # It is for the server to close the TCP connection.
    assert not client.link.disconnecting
    client.clock.advance(3.1)
    assert client.link.disconnected


def test_the_server_breaks_the_protocol() -> None:
    client = Client(closeTimeout=3.0).open()
    client.protocol.dataReceived(b"\x81\x80\0\0\0\0")
    assert client.sent() == [Close(1002, "a server's frame is masked")]
    assert not client.link.disconnected
    client.clock.advance(3.1)
    assert client.link.disconnected


def test_the_client_stops() -> None:
    client = Client().open()
    client.protocol.serviceStopping()
    assert client.sent() == [Close(1001, "the client stops")]


def test_keepalive() -> None:
    client = Client(pingInterval=4.0, pingTimeout=4.0).open()
    client.clock.pump([1.0] * 5)
    assert len(client.sent()) == 1
    client.clock.pump([1.0] * 5)
    assert client.link.disconnected


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "Upgrade field"),
        (b"what?\r\n\r\n", "not a status line"),
        (b"\x16\x03\x01", ""),
        (b"HTTP/1.1 102 Processing\r\n\r\n" * 100, "more than 64 interim responses"),
    ],
)
def test_answers_that_open_nothing(answer: bytes, problem: str) -> None:
    client = Client()
    client.protocol.dataReceived(answer + b"\r\n" * 2)
    error = client.failure()
    assert isinstance(error, HandshakeFailed)
    assert problem in str(error)
    assert client.link.disconnected
    client.protocol.dataReceived(b"more")
    client.protocol.connectionLost()
    assert client.app.lost is not None


def test_no_answer() -> None:
    client = Client(openTimeout=2.0)
    client.clock.advance(2.1)
    error = client.failure()
    assert isinstance(error, HandshakeFailed)
    assert "no answer to the handshake in 2.0 seconds" in str(error)
    assert client.link.disconnected


def test_redirections_have_the_time_together() -> None:
    servers: list[Any] = []

    class Endpoints:
        def endpointForURI(self, uri: URI) -> Any:
            servers.append(_Linked(Link()))
            return servers[-1]

    clock = Clock()
    endpoint = WebSocketClientEndpoint(
        Endpoints(),  # type: ignore[arg-type]
        "ws://a/",
        options=WebSocketOptions(openTimeout=4.0),
        redirects=1,
        clock=clock,
    )
    failures: list[Any] = []
    connecting = Deferred.fromCoroutine(endpoint.connect(Waiters()))
    connecting.addErrback(failures.append)
    clock.advance(3.0)
    servers[0].protocol.dataReceived(b"HTTP/1.1 302 Found\r\nLocation: ws://b/\r\n\r\n")
    assert len(servers) == 2
    clock.advance(0.9)
    assert not failures
    clock.advance(0.2)
    assert failures[0].check(HandshakeFailed)
    assert servers[1].link.disconnected


def test_the_content_of_a_refusal_that_never_ends() -> None:
    client = Client(openTimeout=2.0)
    client.protocol.dataReceived(b"HTTP/1.1 403 Forbidden\r\n\r\nno")
    assert isinstance(client.failure(), ConnectionRejected)
    client.clock.advance(1.9)
    assert not client.link.disconnected
    client.clock.advance(0.2)
    assert client.link.disconnected


def test_closed_without_an_answer() -> None:
    client = Client()
    client.protocol.connectionLost()
    assert isinstance(client.failure(), ConnectionLost)
    assert client.app.lost is not None
    assert not client.clock.getDelayedCalls()


def test_given_up() -> None:
    client = Client()
    client.connecting.cancel()
    assert isinstance(client.failure(), CancelledError)
    assert client.link.disconnected


@pytest.mark.parametrize(
    ("framing", "sent", "complete"),
    [
        (b"Content-Length: 5\r\n\r\n", b"hello", True),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", True),
        (b"\r\n", b"hello", False),
    ],
)
def test_the_content_of_a_refusal(framing: bytes, sent: bytes, complete: bool) -> None:
    client = Client()
    for octet in b"HTTP/1.1 404 Not Found\r\n" + framing + sent:
        client.protocol.dataReceived(bytes([octet]))
    error = client.failure()
    assert isinstance(error, ConnectionRejected)
    assert client.link.disconnecting == complete
    body = AccumulatingProtocol()
    client.link.disconnecting = False
    error.response.deliverBody(body)
    client.protocol.connectionLost()
    assert body.data == b"hello"
    assert body.closedReason is not None


def test_the_content_of_a_refusal_is_no_http() -> None:
    client = Client()
    client.protocol.dataReceived(
        b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\nnothing\r\n"
    )
    assert isinstance(client.failure(), ConnectionRejected)
    assert client.link.disconnected
