"""
What authors of applications do wrong at first is answered by one line that says what to do.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, formatEvent

from netkit import net
from netkit.http import HTTPFactory, Request, Response
from netkit.server import ServerFactory, ServerProtocol
from netkit.service import ListeningService
from netkit.websocket import NotConnected, WebSocket, WebSocketApplication, WebSocketFactory
from tests.conftest import Listen

from .http.connected import Connection, get, post
from .websocket.helpers import Server


def answer(request: Request) -> Response:
    return Response()


async def readTwice(request: Request) -> Response:
    await request.read()
    return Response.json(await request.json())


async def awaitsNothing(request: Request) -> Any:
    return Response(200, succeed(b"later"))  # type: ignore[arg-type]


def givesText(request: Request) -> Response:
    return Response(200, "h\xe9")  # type: ignore[arg-type]


def givesTextInFields(request: Request) -> Response:
    return Response(200, b"", [("X", "y")])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("handler", "octets", "line"),
    [
        # Another type is returned.
        (lambda request: "hello", get(), "the handler returned 'hello': a Response or an Upgrade"),
        (lambda request: None, get(), "the handler returned None: a Response or an Upgrade"),
        # An await is forgotten.
        (awaitsNothing, get(), "not <Deferred at .*: await it$"),
        # Text is given for octets.
        (givesText, get(), "not 'h\xe9': write 'h\xe9'.encode()"),
        (
            givesTextInFields,
            get(),
            "a field is a pair of bytes, .* not \\('X', 'y'\\)",
        ),
        # A content is read twice.
        (readTwice, post(b"[1]"), "read already: keep what the first read returned"),
    ],
)
def test_what_handlers_do(handler: Any, octets: bytes, line: str, logged: list[LogEvent]) -> None:
    connection = Connection(handler)
    connection.send(octets)
    assert connection.statuses() == [500]
    [event] = [event for event in logged if event.get("log_failure") is not None]
    logged.clear()
    message = str(event["log_failure"].value)
    assert re.search(line, message), message
    assert "\n" not in message


def test_a_future_of_asyncios_on_a_reactor_that_is_not(
    logged: list[LogEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whichever the tests run on.
    monkeypatch.setattr(asyncio, "_get_running_loop", lambda: None)
    loop = asyncio.new_event_loop()
    future = loop.create_future()
    loop.close()

    async def handler(request: Request) -> Any:
        return await future

    connection = Connection(handler)
    connection.send(get())
    assert connection.statuses() == [500]
    [event] = [event for event in logged if event.get("log_failure") is not None]
    logged.clear()
    assert "netkit.aio.run() or twistd --reactor=asyncio" in str(event["log_failure"].value)


@pytest.mark.parametrize("later", [False, True])
def test_a_handler_that_blocks(later: bool, logged: list[LogEvent]) -> None:
    def sleepy(request: Request) -> Response:
        clock.advance(2)
        return Response()

    async def sleepyLater(request: Request) -> Response:
        return sleepy(request)

    clock = Clock()
    connection = Connection(factory=HTTPFactory(sleepyLater if later else sleepy, clock=clock))
    connection.send(get(b"/slow"))
    [line] = [formatEvent(event) for event in logged if "blocked" in formatEvent(event)]
    assert re.search(r"sleepy(Later)? blocked all connections for 2.0 s.*GET /slow.* await", line)


@pytest_twisted.ensureDeferred
async def test_closed_sockets(listen: Listen) -> None:
    socket = await net.createConnection(await listen(ServerFactory.forProtocol(ServerProtocol)))
    await socket.end()
    with pytest.raises(net.WriteAfterEndError, match=r"^[^\n]+$"):
        await socket.write(b"late")
    socket.destroy()
    websockets: list[WebSocket] = []
    over: Deferred[None] = Deferred()

    async def handler(ws: WebSocket) -> None:
        websockets.append(ws)
        await over

    Server(WebSocketApplication(handler)).open()
    [ws] = websockets
    ws.close()
    with pytest.raises(NotConnected, match=r"^[^\n]+$"):
        ws.send("late")
    over.callback(None)


def test_super_is_not_called() -> None:
    class Forgetful(ServerProtocol):
        def connectionMade(self) -> None:
            self.transport.write(b"hello")

    factory = ServerFactory()
    factory.protocol = Forgetful
    protocol = factory.buildProtocol(None)
    assert protocol is not None
    transport = StringTransport()
    protocol.makeConnection(transport)
    # All that the parent's would have done is done.
    assert transport.value() == b"hello"
    assert len(factory.connections) == 1


@pytest.mark.parametrize(
    ("call", "line"),
    [
        # The endpoint is none.
        (lambda: ListeningService("8080", HTTPFactory(answer)), "'8080' is not a server endpoint"),
        (lambda: ListeningService(8080, HTTPFactory(answer)), "8080 is not a server endpoint"),  # type: ignore[arg-type]
        # What makes protocols is none.
        (lambda: ListeningService("tcp:0", answer), r"as HTTPFactory\(handler\) does, not <func"),  # type: ignore[arg-type]
        (lambda: WebSocketFactory(answer), r"has no buildProtocol\(request\): a factory such as"),  # type: ignore[arg-type]
        (lambda: HTTPFactory(Response()), r"not <Response 200>; write lambda request: response"),  # type: ignore[arg-type]
        # Options are of other types.
        (lambda: HTTPFactory(answer, maxConnections="10"), "a whole number, not '10'"),  # type: ignore[arg-type]
        (lambda: HTTPFactory(answer, idleTimeout="10"), "a number of seconds, not '10'"),  # type: ignore[arg-type]
        (lambda: HTTPFactory(answer, limits=5), r"not 5: write Limits\(content=1000\)"),  # type: ignore[arg-type]
        (lambda: net.createServer("hello"), "callback is a function, not 'hello'"),  # type: ignore[arg-type]
        (lambda: WebSocketApplication(None), "handler is a function, not None"),  # type: ignore[arg-type]
    ],
)
def test_what_is_given(call: Callable[[], object], line: str) -> None:
    with pytest.raises((TypeError, ValueError), match=line) as raised:
        call()
    assert "\n" not in str(raised.value)
