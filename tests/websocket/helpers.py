"""
Both ends of a WebSocket connection, in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from netkit.websocket import (
    WebSocketFactory,
    WebSocketProtocol,
    WebSocketRequest,
    WebSocketTransport,
)
from netkit.websocket.server import WebSocketServerConnection
from netkit.wire.websocket.connection import Connection
from netkit.wire.websocket.events import Event

HANDSHAKE = (
    b"GET /chat HTTP/1.1\r\n"
    b"Host: localhost\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"%b\r\n"
)


class Recorder(WebSocketProtocol):
    """
    An application that keeps what happens to it.
    """

    transport: WebSocketTransport

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.lost: Failure | None = None

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self.transport = transport

    def negotiationFinished(self) -> None:
        self.events.append("open")

    def textMessageReceived(self, message: str) -> None:
        self.events.append(message)

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        self.events.append(bytes(data))

    def pongReceived(self, payload: bytes) -> None:
        self.events.append(("pong", payload))

    def connectionLost(self, reason: Failure) -> None:
        assert self.lost is None
        self.lost = reason


class Echo(Recorder):
    """
    An application that sends back what it receives.
    """

    def textMessageReceived(self, message: str) -> None:
        super().textMessageReceived(message)
        self.transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        super().bytesMessageReceived(data)
        self.transport.sendBytesMessage(data)


class Link(StringTransport):
    """
    A transport with a half-close, that counts the writes.

    @ivar wrote: called after each write.
    """

    halfClosed = False
    writes = 0

    def __init__(self) -> None:
        super().__init__()
        self.wrote: Callable[[], None] = lambda: None

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)
        self.wrote()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseWriteConnection(self) -> None:
        """
        Half-close.
        """
        self.halfClosed = True


class Application:
    """
    Makes applications of one class, and keeps them and their requests.
    """

    def __init__(self, protocol: type[Recorder] = Recorder) -> None:
        self._protocol = protocol
        self.made: list[Recorder] = []
        self.requests: list[WebSocketRequest] = []

    def buildProtocol(self, request: WebSocketRequest) -> Recorder | None:
        """
        Make one.
        """
        self.requests.append(request)
        self.made.append(self._protocol())
        return self.made[-1]


class Server:
    """
    A connection to a server, of which the test plays the client.
    """

    def __init__(self, application: Any = None, *, fields: bytes = b"", **arguments: Any) -> None:
        self.clock: Clock = arguments.setdefault("clock", Clock())
        self.application = application if application is not None else Application()
        self.factory: WebSocketFactory = arguments.get("factory") or WebSocketFactory(
            self.application, **arguments
        )
        protocol = self.factory.buildProtocol(None)
        assert isinstance(protocol, WebSocketServerConnection)
        self.protocol = protocol
        self.transport = Link()
        self.protocol.makeConnection(self.transport)
        self.client = Connection(client=True)
        self.request = HANDSHAKE % fields

    def open(self) -> Server:
        """
        Do the opening handshake.
        """
        self.protocol.dataReceived(self.request)
        assert self.response().startswith(b"HTTP/1.1 101 "), self.response()
        self.transport.clear()
        return self

    def response(self) -> bytes:
        """
        What the server answered.
        """
        octets: bytes = self.transport.value()
        return octets

    @property
    def app(self) -> Recorder:
        """
        The application's side of this connection.
        """
        made = self.application.made
        assert isinstance(made, list)
        app = made[-1]
        assert isinstance(app, Recorder)
        return app

    def receive(self, octets: bytes) -> None:
        """
        Let the server receive octets.
        """
        self.protocol.dataReceived(octets)

    def sent(self) -> list[Event]:
        """
        What the server sent since the last time.
        """
        octets = self.transport.value()
        self.transport.clear()
        return list(self.client.receive_data(octets))

    def lose(self, reason: Exception) -> None:
        """
        Lose the connection.
        """
        self.protocol.connectionLost(Failure(reason))


class Waiter(WebSocketProtocol):
    """
    An application whose events are waited for.
    """

    transport: WebSocketTransport

    def __init__(self) -> None:
        self._events: DeferredQueue[Any] = DeferredQueue()
        self.lost: Deferred[tuple[BaseException | None]] = Deferred()

    async def next(self) -> Any:
        """
        The next event.
        """
        return await self._events.get()

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self.transport = transport

    def textMessageReceived(self, message: str) -> None:
        self._events.put(message)

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        self._events.put(bytes(data))

    def pongReceived(self, payload: bytes) -> None:
        self._events.put(("pong", payload))

    def connectionLost(self, reason: Failure) -> None:
        self.lost.callback((reason.value,))


class Waiters:
    """
    Makes them, and says when one is made.
    """

    def __init__(self) -> None:
        self.made: list[Waiter] = []
        self.urls: list[Any] = []

    def buildProtocol(self, url: Any) -> Waiter:
        """
        Make one, for a client or a server.
        """
        self.urls.append(url)
        self.made.append(Waiter())
        return self.made[-1]


async def lost(waiter: Waiter) -> Exception:
    """
    Wait until a connection is lost, and say why.
    """
    (reason,) = await waiter.lost
    assert isinstance(reason, Exception)
    return reason
