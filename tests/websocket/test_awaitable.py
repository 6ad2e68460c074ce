"""
Tests for L{netkit.websocket.WebSocket} and L{netkit.websocket.WebSocketApplication}.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import LogEvent

from netkit.websocket import (
    NotConnected,
    State,
    WebSocket,
    WebSocketApplication,
    WebSocketClientEndpoint,
    WebSocketClosed,
    WebSocketFactory,
    broadcast,
)
from netkit.wire.websocket.events import Close
from tests.conftest import Listen

from ..narrow import present
from .helpers import Server


def serve(handler: Callable[[WebSocket], Coroutine[Any, Any, object]], **options: Any) -> Server:
    """
    A connection that a coroutine answers.
    """
    return Server(WebSocketApplication(handler), **options).open()


class Held:
    """
    A connection whose handler leaves all to the test.
    """

    def __init__(self, **options: Any) -> None:
        self.ws: WebSocket
        self.done: Deferred[None] = Deferred()

        async def hold(ws: WebSocket) -> None:
            self.ws = ws
            await self.done

        self.server = serve(hold, **options)

    def receive(self, *messages: str | bytes) -> None:
        """
        Let the server receive messages, together.
        """
        client = self.server.client
        self.server.receive(
            b"".join(
                client.send_text(message)
                if isinstance(message, str)
                else client.send_bytes(message)
                for message in messages
            )
        )


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


def failure(waiting: Deferred[Any]) -> BaseException:
    """
    What a Deferred failed with.
    """
    failures: list[Any] = []
    waiting.addErrback(failures.append)
    error: BaseException = failures[0].value
    return error


def result(waiting: Deferred[Any]) -> Any:
    """
    What a Deferred fired with.
    """
    results: list[Any] = []
    waiting.addCallback(results.append)
    return results[0]


def test_messages_of_either_kind_in_any_pieces() -> None:
    server = serve(echo)
    client = server.client
    octets = client.send_text("a") + client.send_bytes(b"b") + client.send_text("")
    server.receive(octets)
    for i in range(len(octets)):
        server.receive(octets[i : i + 1])
    assert server.sent() == ["a", b"b", ""] * 2


@pytest_twisted.ensureDeferred
async def test_both_ends(listen: Listen) -> None:
    closes: list[Deferred[Exception]] = []

    async def shout(ws: WebSocket) -> None:
        assert ws.request.path == b"/shout"
        closes.append(ws.closed)
        async for message in ws:
            assert isinstance(message, str)
            await ws.send(message.upper())
        # The end came in good order: there is nothing to send to any more.
        with pytest.raises(NotConnected):
            ws.send("late")

    factory = WebSocketFactory(WebSocketApplication(shout), subprotocols=["loud"])
    endpoint: IStreamClientEndpoint = await listen(factory)
    client = WebSocketClientEndpoint.over(endpoint, "ws://localhost/shout", subprotocols=["loud"])
    async with await client.open() as ws:
        assert (ws.state, ws.subprotocol, ws.request) == (State.OPEN, "loud", None)
        [connection] = factory.connections
        if isinstance(connection.transport.getHost(), IPv4Address):
            # A message does not wait until the last one is acknowledged.
            assert connection.transport.getTcpNoDelay()
        for word in ("a", "b" * 200_000):
            await ws.send(word)
            assert await ws.receive() == word.upper()
        assert broadcast("c", [ws]) == 1
        assert await ws.receive() == "C"
        closed = ws.close(3000, "enough")
    for end, byPeer in ((closed, False), (closes[0], True)):
        error = await end
        assert isinstance(error, WebSocketClosed)
        assert (error.code, error.reason, error.byPeer) == (3000, "enough", byPeer)
    assert ws.state is State.CLOSED
    # Also once it is gone, and without an end to wait for.
    assert await ws.close() is await ws.closed
    with pytest.raises(NotConnected):
        ws.send("late")


@pytest.mark.parametrize("code", [1000, 1001, None])
def test_iteration_ends_where_the_end_is_in_order(code: int | None) -> None:
    ended: list[object] = []

    async def handler(ws: WebSocket) -> None:
        ended.extend([message async for message in ws])
        ended.append(None)

    server = serve(handler)
    octets = server.client.send_text("a")
    octets += b"\x88\x80key!" if code is None else server.client.send_close(code)
    server.receive(octets)
    server.lose(ConnectionLost())
    assert ended == ["a", None]


@pytest.mark.parametrize("code", [3000, None])
def test_iteration_fails_where_it_is_not(code: int | None) -> None:
    raised: list[BaseException] = []

    async def handler(ws: WebSocket) -> None:
        try:
            async for _ in ws:
                pass
        except Exception as error:
            raised.append(error)
            raise

    server = serve(handler)
    if code is not None:
        server.receive(server.client.send_close(code, "why"))
    # Whose handler lets that through failed at nothing: the log says nothing.
    server.lose(ConnectionLost("cut"))
    (error,) = raised
    if code is None:
        assert isinstance(error, ConnectionLost)
    else:
        assert isinstance(error, WebSocketClosed)
        assert error.code == code


def test_what_arrived_is_received_after_the_end() -> None:
    held = Held()
    held.receive("a", "b")
    held.server.lose(ConnectionLost("cut"))
    assert [result(held.ws.receive()) for _ in range(2)] == ["a", "b"]
    assert isinstance(failure(held.ws.receive()), ConnectionLost)
    held.done.callback(None)


def test_nobody_receives() -> None:
    """
    The peer is read from no more; what waits counts, and arrives when somebody does.
    """
    held = Held()
    held.receive(*["x" * 20_000] * 5, "last")
    transport = held.server.transport
    assert transport.producerState == "paused"
    factory = held.server.factory
    assert factory.budget.used > 80_000
    received = [result(held.ws.receive()) for _ in range(6)]
    assert received == ["x" * 20_000] * 5 + ["last"]
    assert transport.producerState == "producing"
    assert factory.budget.used == 0


def test_more_than_all_may_keep() -> None:
    held = Held(maxBuffered=50_000)
    held.receive(*["x" * 20_000] * 5)
    (close,) = held.server.sent()
    assert isinstance(close, Close)
    assert close.code == 1013


def test_small_messages_count_as_well() -> None:
    held = Held()
    held.receive(*[""] * 2_000)
    assert held.server.transport.producerState == "paused"


def test_receiving_can_be_cancelled() -> None:
    held = Held()
    waiting = held.ws.receive()
    assert isinstance(failure(held.ws.receive()), RuntimeError)
    waiting.cancel()
    assert isinstance(failure(waiting), CancelledError)
    held.receive("a")
    assert result(held.ws.receive()) == "a"


def test_sending_waits_for_a_peer_that_does_not_read() -> None:
    held = Held()
    producer = present(held.server.transport.producer)
    producer.pauseProducing()
    sending = held.ws.send("a")
    assert not sending.called
    # It is on its way all the same.
    assert held.server.sent() == ["a"]
    assert held.ws.bufferedAmount > 0
    assert broadcast("b", [held.ws], dropSlow=True) == 0
    producer.resumeProducing()
    assert sending.called
    assert held.ws.bufferedAmount == 0


def test_the_end_comes_while_sending_waits() -> None:
    held = Held()
    present(held.server.transport.producer).pauseProducing()
    sending = [held.ws.send("a"), held.ws.send("b")]
    held.server.lose(ConnectionLost("cut"))
    assert all(isinstance(failure(one), ConnectionLost) for one in sending)


def test_a_producer_takes_over_while_sending_waits() -> None:
    held = Held()
    present(held.server.transport.producer).pauseProducing()
    sending = held.ws.send("a")
    held.ws.transport.attachProducer(present(held.server.transport.producer))
    assert sending.called


def test_the_handler_returns() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send("bye")

    server = serve(handler)
    client = server.client
    assert list(client.receive_data(server.response())) == []


def test_the_handler_returns_later() -> None:
    held = Held()
    held.done.callback(None)
    (close,) = held.server.sent()
    assert isinstance(close, Close)
    assert close.code == 1000


@pytest.mark.parametrize("later", [False, True])
def test_the_handler_fails(later: bool, logged: list[LogEvent]) -> None:
    done: Deferred[None] = Deferred()

    async def handler(ws: WebSocket) -> None:
        if later:
            await done
        raise ZeroDivisionError

    server = Server(WebSocketApplication(handler))
    server.receive(server.request)
    if later:
        done.callback(None)
    octets = server.response().partition(b"\r\n\r\n")[2]
    (close,) = server.client.receive_data(octets)
    assert isinstance(close, Close)
    assert close.code == 1011
    (event,) = [event for event in logged if event.get("log_failure") is not None]
    logged.remove(event)
    assert event["log_failure"].check(ZeroDivisionError)


def test_what_is_no_coroutine_function(logged: list[LogEvent]) -> None:
    noFunction: Any = 3
    with pytest.raises(TypeError, match="handler"):
        WebSocketApplication(noFunction)
    noCoroutine: Any = lambda ws: None  # noqa: E731
    server = Server(WebSocketApplication(noCoroutine))
    server.receive(server.request)
    (event,) = [event for event in logged if event.get("log_failure") is not None]
    logged.remove(event)
    assert "write async def" in str(event["log_failure"].value)


def test_what_is_no_message() -> None:
    held = Held()
    noMessage: Any = {"text": "a"}
    with pytest.raises(TypeError, match=r"json.dumps\(\) makes text"):
        held.ws.send(noMessage)
    assert "OPEN" in repr(held.ws)
    assert held.ws.latency is None


def test_another_coroutine_goes_on_where_one_was_cancelled() -> None:
    held = Held()

    async def first() -> Any:
        async for message in held.ws:
            return message
        return None

    cancelled = Deferred.fromCoroutine(first())
    cancelled.cancel()
    assert isinstance(failure(cancelled), CancelledError)
    for message in ("one", "two"):
        waiting = Deferred.fromCoroutine(first())
        held.receive(message)
        assert result(waiting) == message


def test_one_iterates_after_another() -> None:
    told: list[Any] = []
    passed: Deferred[WebSocket] = Deferred()
    over: Deferred[None] = Deferred()

    async def handler(ws: WebSocket) -> None:
        async for message in ws:
            told.append(message)
            if message == "yours":
                passed.callback(ws)
                await over

    async def other() -> None:
        ws = await passed
        async for message in ws:
            told.append((message,))
            if message == "mine":
                return

    waiting = Deferred.fromCoroutine(other())
    server = serve(handler)
    for text in ("a", "yours", "b", "mine"):
        server.receive(server.client.send_text(text))
    assert result(waiting) is None
    over.callback(None)
    for text in ("c", "d"):
        server.receive(server.client.send_text(text))
    assert told == ["a", "yours", ("b",), ("mine",), "c", "d"]


def test_a_handler_goes_on_where_what_it_awaits_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asyncios: Any = asyncio.Future(loop=asyncio.new_event_loop())
    # On a reactor that runs on no loop of asyncio's, whichever the tests run on.
    monkeypatch.setattr(asyncio, "_get_running_loop", lambda: None)
    later: Deferred[None] = Deferred()

    async def handler(ws: WebSocket) -> None:
        for awaited in (later, asyncios):
            try:
                await awaited
            except (ZeroDivisionError, TypeError) as error:
                await ws.send(str(error))

    server = serve(handler)
    later.errback(ZeroDivisionError("later"))
    asyncios.get_loop().close()
    first, second, closed = server.sent()
    assert "later" in str(first)
    assert "cannot be awaited here, where Deferreds can" in str(second)
    assert isinstance(closed, Close)
