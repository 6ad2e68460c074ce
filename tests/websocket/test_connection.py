"""
Tests for L{netkit.websocket.connection}: an open connection, of which the test plays the client.
"""

from __future__ import annotations

import pickle
from copy import copy
from typing import Any
from unittest.mock import patch

import pytest
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IPushProducer
from twisted.logger import LogEvent
from zope.interface import implementer

from netkit.websocket import (
    NotConnected,
    State,
    WebSocketClosed,
    WebSocketOptions,
    broadcast,
)
from netkit.websocket.protocol import WebSocketTransport
from netkit.wire.websocket.events import Close, Ping, Pong

from ..narrow import present
from .helpers import Application, Echo, Recorder, Server


def opened(protocol: type[Recorder] = Recorder, **arguments: Any) -> Server:
    """
    An open connection.
    """
    return Server(Application(protocol), **arguments).open()


def test_messages_in_and_out() -> None:
    server = opened(Echo)
    server.receive(server.client.send_text("héllo") + server.client.send_bytes(b"\xff" * 70_000))
    assert server.app.events == ["open", "héllo", b"\xff" * 70_000]
    assert server.sent() == ["héllo", b"\xff" * 70_000]
    server.app.transport.sendTextMessage("unasked")
    server.app.transport.sendBytesMessage(memoryview(b"view"))
    assert server.sent() == ["unasked", b"view"]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("size", [6, 70_000])
def test_each_kind_of_message_takes_its_own_type(compressed: bool, size: int) -> None:
    offer = b"Sec-WebSocket-Extensions: permessage-deflate\r\n" if compressed else b""
    server = Server(Application(), fields=offer).open()
    transport: Any = server.app.transport
    for send, message in (
        (transport.sendTextMessage, b"x" * size),
        (transport.sendBytesMessage, "x" * size),
    ):
        with pytest.raises(TypeError, match="Message"):
            send(message)
    assert server.transport.value() == b""


def test_what_arrives_together_is_answered_together() -> None:
    server = opened(Echo)
    server.transport.writes = 0
    server.receive(b"".join(server.client.send_text(f"{i}") for i in range(64)))
    assert server.transport.writes == 1
    assert server.sent() == [f"{i}" for i in range(64)]


def test_large_messages_are_written_without_a_copy() -> None:
    server = opened()
    large = bytes(70_000)
    with patch.object(
        server.transport, "writeSequence", wraps=server.transport.writeSequence
    ) as write:
        server.app.transport.sendBytesMessage(b"small")
        server.app.transport.sendBytesMessage(large)
        server.app.transport.sendTextMessage("l" * 70_000)
        server.app.transport.sendBytesMessage(b"small")
    assert any(part is large for call in write.call_args_list for part in call.args[0])
    assert server.sent() == [b"small", large, "l" * 70_000, b"small"]


def test_large_batches_go_out_in_between() -> None:
    server = opened(Echo)
    server.transport.writes = 0
    messages = ["a", "b" * 5000, "c", *["d"] * 600]
    server.receive(b"".join(map(server.client.send_text, messages)))
    assert server.sent() == messages
    assert server.transport.writes == 4


def test_pings_are_answered() -> None:
    class Interested(Recorder):
        def pingReceived(self, payload: bytes) -> None:
            self.events.append(("ping", payload))

    server = opened(Interested)
    server.receive(server.client.send_ping(b"1") + server.client.send_pong(b"2"))
    assert server.sent() == [Pong(b"1")]
    assert server.app.events == ["open", ("ping", b"1"), ("pong", b"2")]
    server.app.transport.ping(b"3")
    assert server.sent() == [Ping(b"3")]


def test_pieces() -> None:
    class Pieces(Recorder):
        def textPieceReceived(self, text: str, finished: bool) -> None:
            self.events.append((text, finished))

        def bytesPieceReceived(self, data: bytes, finished: bool) -> None:
            self.events.append((bytes(data), finished))

    server = opened(Pieces)
    octets = server.client.send_text("one")
    server.receive(octets[:-1])
    server.receive(octets[-1:] + server.client.send_bytes(b"two"))
    assert server.app.events == [
        "open",
        *[("on", False), ("e", False), ("", True)],
        *[(b"two", False), (b"", True)],
    ]
    server.app.transport.sendTextPiece("th", False)
    server.app.transport.sendTextPiece("ree", True)
    server.app.transport.sendBytesPiece(b"four", True)
    assert server.sent() == ["three", b"four"]


def test_the_peer_closes() -> None:
    server = opened()
    server.receive(server.client.send_close(3001, "enough"))
    assert server.sent() == [Close(3001, "")]
    assert server.transport.disconnecting
    assert server.app.lost is None
    server.lose(ConnectionDone())
    assert server.app.lost is not None
    closed = server.app.lost.value
    assert isinstance(closed, WebSocketClosed)
    assert (closed.code, closed.reason, closed.byPeer) == (3001, "enough", True)
    assert str(closed) == "closed by the peer with code 3001: enough"
    assert isinstance(closed, ConnectionDone)
    again = pickle.loads(pickle.dumps(copy(closed)))
    assert (again.code, again.reason, again.byPeer) == (3001, "enough", True)


def test_we_close() -> None:
    server = opened(Echo)
    server.receive(server.client.send_text("last"))
    transport = server.app.transport
    assert transport.state is State.OPEN
    transport.loseConnection(4000, "bye")
    transport.loseConnection()
    transport.loseWriteConnection()
    trySending(transport, "after the Close frame", State.CLOSING)
    assert server.sent() == ["last", Close(4000, "bye")]
    assert not server.transport.disconnecting
    # What was on its way to us is dropped.
    server.receive(server.client.send_text("crossing") + server.client.send_ping())
    assert server.app.events == ["open", "last"]
    server.receive(server.client.send_close(4000))
    assert server.transport.disconnecting
    assert server.sent() == []
    server.lose(ConnectionDone())
    assert server.app.lost is not None
    closed = server.app.lost.value
    assert isinstance(closed, WebSocketClosed)
    assert (closed.code, closed.byPeer) == (4000, False)
    assert str(closed) == "closed by us with code 4000: bye"
    trySending(transport, "after the Close frame", State.CLOSED)
    assert not server.clock.getDelayedCalls()


def test_we_close_while_messages_come() -> None:
    class Once(Echo):
        def textMessageReceived(self, message: str) -> None:
            super().textMessageReceived(message)
            self.transport.loseConnection()

    server = opened(Once)
    octets = server.client.send_text("1") + server.client.send_text("2")
    server.receive(octets + server.client.send_close())
    assert server.app.events == ["open", "1"]
    assert server.sent() == ["1", Close(1000, "")]
    assert server.transport.disconnecting


def test_the_peer_does_not_answer_our_close() -> None:
    server = opened(options=WebSocketOptions(closeTimeout=2.0))
    server.app.transport.loseConnection()
    server.clock.advance(1.9)
    assert not server.transport.disconnected
    server.clock.advance(0.2)
    assert server.transport.disconnected
    server.lose(ConnectionAborted())
    assert server.app.lost is not None
    assert server.app.lost.check(ConnectionAborted)


@pytest.mark.parametrize("reason", [ConnectionDone(), ConnectionLost()])
def test_lost_without_a_close_frame(reason: Exception) -> None:
    server = opened()
    server.lose(reason)
    assert server.app.lost is not None
    assert server.app.lost.value is reason
    assert not server.factory.connections
    assert not server.clock.getDelayedCalls()


def test_aborted() -> None:
    server = opened()
    server.app.transport.abortConnection()
    trySending(server.app.transport, "the connection is gone", State.CLOSING)
    assert server.transport.disconnected
    assert server.sent() == []


def test_the_peer_breaks_the_protocol(logged: list[LogEvent]) -> None:
    server = opened(Echo)
    server.receive(server.client.send_text("good") + b"\x83\x80\0\0\0\0")
    assert server.app.events == ["open", "good"]
    assert server.sent() == ["good", Close(1002, "a frame has the reserved opcode 0x3")]
    assert server.protocol.lingering
    (event,) = [event for event in logged if event.get("code") == 1002]
    assert event["reason"] == "a frame has the reserved opcode 0x3"
    server.receive(server.client.send_text("ignored"))
    assert server.app.events == ["open", "good"]
    trySending(server.app.transport, "after the Close frame", State.CLOSING)
    assert server.sent() == []
    server.lose(ConnectionDone())
    assert server.app.lost is not None
    closed = server.app.lost.value
    assert isinstance(closed, WebSocketClosed)
    assert (closed.code, closed.byPeer) == (1002, False)
    assert not server.clock.getDelayedCalls()


def test_the_peer_breaks_the_protocol_after_our_close() -> None:
    server = opened()
    server.app.transport.loseConnection()
    server.receive(b"\x83\x80\0\0\0\0")
    assert server.sent() == [Close(1000, "")]
    assert server.protocol.lingering


def test_limits() -> None:
    server = opened(options=WebSocketOptions(maxMessageSize=100, maxFragments=2))
    server.receive(server.client.send_text("x" * 101))
    (close,) = server.sent()
    assert isinstance(close, Close)
    assert close.code == 1009


def test_the_application_fails(logged: list[LogEvent]) -> None:
    class Broken(Recorder):
        def textMessageReceived(self, message: str) -> None:
            raise KeyError(message)

    server = opened(Broken)
    server.receive(server.client.send_text("x") + server.client.send_text("y"))
    assert server.sent() == [Close(1011, "")]
    failures = [event for event in logged if event.get("log_failure") is not None]
    assert [event["log_failure"].value.args for event in failures] == [("x",)]
    logged.remove(failures[0])
    server.receive(server.client.send_close(1011))
    assert server.transport.disconnecting


def test_the_application_fails_at_once(logged: list[LogEvent]) -> None:
    class Broken(Recorder):
        def negotiationFinished(self) -> None:
            raise KeyError

    server = opened(Broken)
    failures = [event for event in logged if event.get("log_failure") is not None]
    assert len(failures) == 1
    logged.remove(failures[0])
    server.lose(ConnectionDone())


def trySending(transport: WebSocketTransport, problem: str, state: State) -> None:
    """
    See that nothing can be sent.
    """
    for send in (
        lambda: transport.sendTextMessage("x"),
        lambda: transport.sendTextMessage("x" * 70_000),
        lambda: transport.sendBytesMessage(b"x"),
        lambda: transport.sendTextPiece("x", True),
        lambda: transport.sendBytesPiece(b"x", True),
        lambda: transport.ping(),
    ):
        with pytest.raises(NotConnected, match=problem) as raised:
            send()
        assert raised.value.state is transport.state is state
    assert broadcast("x", [transport]) == 0


def test_nothing_can_be_sent_before_the_handshake() -> None:
    class Early(Recorder):
        def negotiationStarted(self, transport: WebSocketTransport) -> None:
            super().negotiationStarted(transport)
            trySending(transport, "before the opening handshake", State.CONNECTING)
            with pytest.raises(NotConnected):
                transport.loseWriteConnection()

        def negotiationFinished(self) -> None:
            assert self.transport.state is State.OPEN

    server = opened(Early)
    assert server.sent() == []


def test_closed_before_the_handshake() -> None:
    class Unwilling(Recorder):
        def negotiationStarted(self, transport: WebSocketTransport) -> None:
            transport.loseConnection()

    server = Server(Application(Unwilling))
    server.receive(server.request)
    assert server.transport.disconnecting


def test_the_application_pauses() -> None:
    class Pausing(Recorder):
        def textMessageReceived(self, message: str) -> None:
            super().textMessageReceived(message)
            self.transport.pauseProducing()

    server = opened(Pausing)
    send = server.client.send_text
    server.receive(send("1") + send("2") + send("3"))
    assert server.app.events == ["open", "1"]
    assert server.transport.producerState == "paused"
    server.receive(send("4"))
    for seen in ("2", "3", "4"):
        server.app.transport.resumeProducing()
        assert server.app.events[-1] == seen
        assert server.transport.producerState == "paused"
    server.app.transport.resumeProducing()
    assert server.transport.producerState == "producing"
    server.receive(send("5"))
    assert server.app.events[-1] == "5"
    server.receive(send("6"))
    assert server.app.events[-1] == "5"
    # Who closes is not held up by that.
    server.receive(server.client.send_close())
    server.app.transport.loseConnection()
    assert server.app.events[-1] == "5"
    assert server.transport.disconnecting


def test_who_does_not_read_is_not_read_from() -> None:
    server = opened(Echo)
    producer = present(server.transport.producer)
    assert server.transport.streaming
    producer.pauseProducing()
    assert server.transport.producerState == "paused"
    server.receive(server.client.send_text("later"))
    assert server.app.events == ["open"]
    producer.resumeProducing()
    assert server.app.events == ["open", "later"]
    assert server.transport.producerState == "producing"
    producer.pauseProducing()
    server.app.transport.pauseProducing()
    producer.resumeProducing()
    assert server.transport.producerState == "paused"
    server.app.transport.resumeProducing()
    server.app.transport.resumeProducing()
    assert server.transport.producerState == "producing"
    producer.stopProducing()


def test_who_does_not_read_gets_no_more_answers_than_fit() -> None:
    server = opened(Echo)
    server.transport.writes = 0
    server.transport.wrote = present(server.transport.producer).pauseProducing
    server.receive(b"".join(server.client.send_bytes(bytes(5000)) for _ in range(50)))
    assert server.transport.writes == 1
    assert len(server.app.events) == 2


@pytest.mark.parametrize("kind", ["frame", "fragments", "text", "header", "paused"])
def test_what_all_connections_keep_together_is_limited(kind: str, logged: list[LogEvent]) -> None:
    application = Application()
    first = Server(application, maxBuffered=1000).open()
    app = first.app
    second = Server(application, factory=first.factory).open()
    client = second.client
    large = first.client.send_bytes(bytes(600))
    first.receive(large[:-1])
    octets = {
        "frame": lambda: client.send_bytes(bytes(500))[:-50],
        "fragments": lambda: b"".join(client.send_piece(bytes(10), False) for _ in range(45)),
        "text": lambda: client.send_text("ä" * 250)[:-50],
        "header": lambda: client.send_piece(bytes(396), False) + client.send_ping(bytes(9))[:7],
        "paused": lambda: client.send_bytes(bytes(100)) * 5,
    }[kind]()
    if kind == "paused":
        second.app.transport.pauseProducing()
    second.receive(octets[:300])
    assert second.sent() == []
    second.receive(octets[300:])
    reason = "the server keeps as much as it may for all its connections together: 1000 bytes"
    assert second.sent() == [Close(1013, reason)]
    assert second.protocol.lingering
    assert [event["reason"] for event in logged if event.get("code") == 1013] == [reason]
    # The other one lives, and has room.
    first.receive(large[-1:])
    first.receive(first.client.send_bytes(bytes(900))[:-1])
    assert first.sent() == []
    assert app.events == ["open", bytes(600)]
    second.lose(ConnectionDone())
    assert second.app.lost is not None
    assert "1013" in str(second.app.lost.value)


def test_what_is_kept_for_peers_that_do_not_read_is_limited() -> None:
    application = Application()
    first = Server(application, maxBuffered=1000).open()
    app = first.app
    second = Server(application, factory=first.factory).open()
    large = first.client.send_bytes(bytes(600))
    first.receive(large[:-1])
    producer = present(second.transport.producer)
    for _ in range(3):
        producer.pauseProducing()
        second.app.transport.sendBytesMessage(bytes(300))
        producer.resumeProducing()
    producer.pauseProducing()
    second.app.transport.sendBytesMessage(bytes(300))
    assert not second.transport.disconnected
    broadcast(bytes(300), [app.transport, second.app.transport])
    assert second.transport.disconnected
    assert not first.transport.disconnected
    second.lose(ConnectionAborted())
    assert second.app.lost is not None
    assert "1013" in str(second.app.lost.value)
    first.receive(large[-1:])
    first.lose(ConnectionDone())
    assert first.factory.budget.used == 0


def test_what_is_collected_for_a_peer_that_does_not_read_is_counted() -> None:
    server = opened(Echo, maxBuffered=20_000)
    server.transport.wrote = present(server.transport.producer).pauseProducing
    server.app.transport.sendBytesMessage(bytes(10))
    broadcast(bytes(15_000), [server.app.transport])
    assert not server.transport.disconnected
    server.app.transport.sendTextMessage("x" * 70_000)
    assert server.transport.disconnected


@implementer(IPushProducer)
class Producer:
    """
    A producer that an application attaches.
    """

    def __init__(self) -> None:
        self.events: list[str] = []

    def pauseProducing(self) -> None:
        self.events.append("pause")

    def resumeProducing(self) -> None:
        self.events.append("resume")

    def stopProducing(self) -> None:
        self.events.append("stop")


def test_what_is_sent_first_holds_up_what_is_received() -> None:
    class Greeting(Recorder):
        def negotiationFinished(self) -> None:
            super().negotiationFinished()
            self.transport.sendBytesMessage(bytes(70_000))

    producer = opened(Greeting).transport.producer
    assert IPushProducer.providedBy(producer)


def test_attached_producers() -> None:
    server = opened(Echo)
    producer = Producer()
    transport: WebSocketTransport = server.app.transport
    transport.attachProducer(producer)
    assert server.transport.producer is producer
    server.receive(server.client.send_text("x"))
    assert server.transport.producer is producer
    transport.detachProducer()
    assert server.transport.producer is None
    # Our own is back as soon as it may be needed.
    server.receive(server.client.send_text("y"))
    assert server.transport.producer is not None


def test_producers_that_come_and_go_leave_the_order() -> None:
    """
    Also where what is sent is still collected, as while several messages are taken at once.
    """

    class Changing(Recorder):
        def textMessageReceived(self, message: str) -> None:
            self.transport.sendTextMessage(f"{message} first")
            self.transport.attachProducer(Producer())
            self.transport.sendTextMessage(f"{message} second")
            self.transport.detachProducer()
            self.transport.sendTextMessage(f"{message} third")

    server = opened(Changing)
    server.receive(server.client.send_text("a") + server.client.send_text("b"))
    assert server.sent() == [
        f"{message} {place}" for message in "ab" for place in ("first", "second", "third")
    ]


def test_producers_attached_while_the_peer_does_not_read() -> None:
    """
    From there on they are held up, and reading is not.
    """
    server = opened()
    present(server.transport.producer).pauseProducing()
    server.receive(server.client.send_text("x"))
    assert server.app.events == ["open"]
    server.app.transport.attachProducer(Producer())
    assert server.app.events == ["open", "x"]
    assert server.transport.producerState == "producing"


@pytest.mark.parametrize("attached", [False, True])
def test_a_client_that_ends_its_half(attached: bool) -> None:
    """
    It can send no Close frame any more. What was sent still goes out, and then ours is ended: no
    producer may be in the way of that, which TLS and faults would wait for.
    """
    server = opened(Echo)
    if attached:
        server.app.transport.attachProducer(Producer())
    server.receive(server.client.send_text("x"))
    assert server.transport.producer is not None
    server.protocol.readConnectionLost()
    assert server.transport.producer is None
    assert server.transport.disconnecting
    assert server.sent() == ["x"]
    server.lose(ConnectionDone())
    assert present(server.app.lost).check(ConnectionDone)


def test_answers_to_pings_are_told(logged: list[LogEvent]) -> None:
    """
    Whoever fails to hear it does not harm the connection.
    """
    told: list[float] = []

    def answered(seconds: float) -> None:
        told.append(seconds)
        raise ValueError("told")

    server = opened(options=WebSocketOptions(pingInterval=8.0, pingAnswered=answered))
    server.clock.pump([1.0] * 8)
    (ping,) = server.sent()
    assert isinstance(ping, Ping)
    server.clock.advance(0.25)
    server.receive(server.client.send_pong(ping.payload))
    server.receive(server.client.send_pong(b"of its own"))
    assert told == [0.25]
    assert server.app.events == ["open", ("pong", b"of its own")]
    (failed,) = logged
    assert failed["log_failure"].check(ValueError)
    logged.clear()


def test_keepalive() -> None:
    server = opened(options=WebSocketOptions(pingInterval=8.0, pingTimeout=16.0))
    server.clock.pump([1.0] * 7)
    assert server.sent() == []
    server.clock.advance(1.0)
    (ping,) = server.sent()
    assert isinstance(ping, Ping)
    assert server.app.transport.latency is None
    server.clock.advance(0.5)
    server.receive(server.client.send_pong(ping.payload))
    assert server.app.transport.latency == 0.5
    # That pong was ours, this one is not.
    server.receive(server.client.send_pong(ping.payload))
    assert server.app.events == ["open", ("pong", ping.payload)]
    server.clock.pump([1.0] * 9)
    (again,) = server.sent()
    assert again != ping
    server.clock.pump([1.0] * 14)
    assert not server.transport.disconnected
    server.clock.pump([1.0] * 2)
    assert server.transport.disconnected
    assert server.sent() == []
    server.lose(ConnectionAborted())
    assert server.app.lost is not None
    assert "a ping was not answered" in str(server.app.lost.value)
    assert not server.clock.getDelayedCalls()


def test_keepalive_does_not_blame_the_peer_for_our_pause() -> None:
    server = opened(
        options=WebSocketOptions(pingInterval=1.0, pingTimeout=1.0, closeTimeout=0.0),
        idleTimeout=0,
    )
    server.app.transport.pauseProducing()
    server.clock.pump([1.0] * 10)
    assert not server.transport.disconnected
    server.app.transport.resumeProducing()
    server.app.transport.loseConnection()
    server.clock.pump([1.0] * 10)
    assert not server.transport.disconnected


def test_no_keepalive() -> None:
    server = opened(options=WebSocketOptions(pingInterval=0), idleTimeout=0)
    assert not server.clock.getDelayedCalls()


def test_idle_for_too_long() -> None:
    server = opened(options=WebSocketOptions(pingInterval=0), idleTimeout=8.0)
    server.clock.pump([1.0] * 11)
    assert server.sent() == [Close(1001, "idle for too long")]


def test_what_arrives_ends_idleness() -> None:
    server = opened(Echo, options=WebSocketOptions(pingInterval=1.0), idleTimeout=8.0)
    for i in range(5):
        server.clock.pump([1.0] * 6)
        # Pings that nobody answers, and no message of the peer's.
        assert Close(1001, "idle for too long") not in server.sent()
        server.receive(server.client.send_text(f"{i}") if i % 2 else server.client.send_ping())
    server.clock.pump([1.0] * 11)
    assert Close(1001, "idle for too long") in server.sent()


def test_the_service_stops() -> None:
    server = opened()
    waiting = Server(clock=server.clock)
    from twisted.internet.defer import ensureDeferred

    done = ensureDeferred(server.factory.closeConnections(5.0))
    waiting.protocol.serviceStopping()
    assert waiting.transport.disconnecting
    assert server.sent() == [Close(1001, "the service stops")]
    assert not done.called
    server.receive(server.client.send_close(1001))
    server.lose(ConnectionDone())
    assert done.called


def test_lost_while_octets_are_kept_back() -> None:
    server = opened()
    server.app.transport.pauseProducing()
    server.receive(server.client.send_text("never seen"))
    server.lose(ConnectionLost())
    assert server.app.events == ["open"]
    server.app.transport.resumeProducing()
    assert server.app.events == ["open"]
