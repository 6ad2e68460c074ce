"""
The life of a connection up to its end, as transcripts: what arrives, what is told, what is sent,
and who closes. Each is gone through in both roles, whole and octet by octet.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from netkit.wire.errors import LocalProtocolError, WebSocketProtocolError
from netkit.wire.websocket.codec import serialize_frame
from netkit.wire.websocket.codes import FIN, Opcode
from netkit.wire.websocket.connection import Connection
from netkit.wire.websocket.events import Close, Event, Ping
from netkit.wire.websocket.lifecycle import Closure, NotConnected, State

KEY = b"\x0f\xf0\x33\xcc"

#: What has to be done about the transport: nothing, close it, or wait for so long for its end.
NOTHING, CLOSE, WAIT = "nothing", "close", "wait"


@dataclass
class Step:
    """
    Something that happens to a connection, and what comes of it.

    @ivar arrives: frames that arrive.
    @ivar done: what the application does, which gives octets to send.
    @ivar told: the events that come of it.
    @ivar sent: what is sent.
    @ivar state: the state after it.
    @ivar server: what a server has to do then.
    @ivar client: what a client has to do then.
    """

    state: State
    arrives: Sequence[tuple[int, bytes]] = ()
    done: Callable[[Connection], bytes] | None = None
    told: list[Event] = field(default_factory=list)
    sent: list[Event] = field(default_factory=list)
    server: str = NOTHING
    client: str = NOTHING


def text(message: str) -> tuple[int, bytes]:
    return FIN | Opcode.TEXT, message.encode()


def ping(payload: bytes) -> tuple[int, bytes]:
    return FIN | Opcode.PING, payload


def close(code: int, reason: str = "") -> tuple[int, bytes]:
    return FIN | Opcode.CLOSE, code.to_bytes(2, "big") + reason.encode()


RESERVED = FIN | 0x3, b""

BAD = "a frame has the reserved opcode 0x3"

TRANSCRIPTS: dict[str, tuple[list[Step], Closure | None]] = {
    "the peer closes": (
        [
            Step(State.OPEN, [text("one")], told=["one"]),
            Step(
                State.CLOSING,
                [close(3000, "bye"), text("too late"), RESERVED],
                told=[Close(3000, "bye")],
                sent=[Close(3000, "")],
                server=CLOSE,
                client=WAIT,
            ),
        ],
        Closure(3000, "bye", True),
    ),
    "the peer closes without a code": (
        [
            Step(
                State.CLOSING,
                [(FIN | Opcode.CLOSE, b"")],
                told=[Close()],
                sent=[Close()],
                server=CLOSE,
                client=WAIT,
            )
        ],
        Closure(1005, "", True),
    ),
    "we close": (
        [
            Step(
                State.CLOSING,
                done=lambda wire: wire.close(4000, "enough"),
                sent=[Close(4000, "enough")],
                server=WAIT,
                client=WAIT,
            ),
            # What was under way is dropped, and has no answers any more.
            Step(
                State.CLOSING,
                [text("crossing"), ping(b"?"), (Opcode.BINARY, b"\xff" * 300)],
                server=WAIT,
                client=WAIT,
            ),
            Step(
                State.CLOSING,
                [(Opcode.CONTINUATION, b""), close(4000)],
                told=[Close(4000, "")],
                server=CLOSE,
                client=WAIT,
            ),
        ],
        Closure(4000, "enough", False),
    ),
    "we close within a message": (
        [
            Step(State.OPEN, [(Opcode.TEXT, b"\xc3")]),
            Step(
                State.CLOSING,
                done=lambda wire: wire.close(),
                sent=[Close(1000, "")],
                server=WAIT,
                client=WAIT,
            ),
            # It is not looked at any more.
            Step(
                State.CLOSING,
                [
                    (Opcode.CONTINUATION, b"\xff"),
                    (FIN | Opcode.CONTINUATION, b"\xff"),
                    close(1000),
                ],
                told=[Close(1000, "")],
                server=CLOSE,
                client=WAIT,
            ),
        ],
        Closure(1000, "", False),
    ),
    "both close at once": (
        [
            Step(
                State.CLOSING,
                done=lambda wire: wire.close(4000),
                sent=[Close(4000, "")],
                server=WAIT,
                client=WAIT,
            ),
            Step(State.CLOSING, [close(4001)], told=[Close(4001, "")], server=CLOSE, client=WAIT),
        ],
        Closure(4000, "", False),
    ),
    "we send nothing more, and receive on": (
        [
            Step(
                State.CLOSING,
                done=lambda wire: wire.send_close(1000),
                sent=[Close(1000, "")],
            ),
            Step(State.CLOSING, [text("still"), ping(b"?")], told=["still", Ping(b"?")]),
            Step(State.CLOSING, [close(1000)], told=[Close(1000, "")], server=CLOSE, client=WAIT),
        ],
        Closure(1000, "", False),
    ),
    "we send nothing more, and then want nothing more": (
        [
            Step(State.CLOSING, done=lambda wire: wire.send_close(1000), sent=[Close(1000, "")]),
            Step(State.CLOSING, done=lambda wire: wire.close(4000), server=WAIT, client=WAIT),
            Step(State.CLOSING, [text("no more")], server=WAIT, client=WAIT),
        ],
        None,
    ),
    "the peer breaks the protocol": (
        [
            Step(
                State.CLOSING,
                [text("good"), RESERVED, text("ignored")],
                told=["good"],
                sent=[Close(1002, BAD)],
                server=CLOSE,
                client=WAIT,
            ),
            Step(State.CLOSING, [text("ignored"), close(1002)], server=CLOSE, client=WAIT),
        ],
        Closure(1002, BAD, False),
    ),
    "the peer breaks the protocol after our Close frame": (
        [
            Step(
                State.CLOSING,
                done=lambda wire: wire.close(),
                sent=[Close(1000, "")],
                server=WAIT,
                client=WAIT,
            ),
            Step(State.CLOSING, [RESERVED], server=CLOSE, client=WAIT),
        ],
        Closure(1002, BAD, False),
    ),
    "the connection is lost": ([Step(State.OPEN, [text("one")], told=["one"])], None),
}


class Side:
    """
    One side of a connection, which answers as it should.
    """

    def __init__(self, client: bool) -> None:
        self.client = client
        self.wire = Connection(client=client, state=State.CONNECTING)
        self._peer = Connection(client=not client)
        self.told: list[Event] = []
        self.sent: list[Event] = []

    def send(self, octets: bytes) -> None:
        """
        Let the peer read octets.
        """
        self.sent += self._peer.receive_data(octets)

    def receive(self, octets: bytes) -> None:
        """
        Receive octets.
        """
        try:
            for event in self.wire.receive_data(octets):
                self.told.append(event)
                if isinstance(event, Ping):
                    self.send(self.wire.answer_ping(event.payload))
                elif isinstance(event, Close):
                    self.send(self.wire.answer_close())
        except WebSocketProtocolError as error:
            self.send(self.wire.fail(error))

    @property
    def next(self) -> str:
        """
        What has to be done about the transport.
        """
        lifecycle = self.wire.lifecycle
        assert not (lifecycle.must_close and lifecycle.close_expected)
        return CLOSE if lifecycle.must_close else WAIT if lifecycle.close_expected else NOTHING


@pytest.mark.parametrize("client", [False, True], ids=["server", "client"])
@pytest.mark.parametrize("segments", ["whole", "octets"])
@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_transcripts(name: str, segments: str, client: bool) -> None:
    steps, closure = TRANSCRIPTS[name]
    side = Side(client)
    assert side.wire.state is State.CONNECTING
    side.wire.open()
    for step in steps:
        side.told, side.sent = [], []
        if step.done is not None:
            side.send(step.done(side.wire))
        octets = b"".join(
            serialize_frame(*frame, None if client else KEY) for frame in step.arrives
        )
        if segments == "whole":
            side.receive(octets)
        else:
            for octet in octets:
                side.receive(bytes([octet]))
        assert (side.told, side.sent) == (step.told, step.sent)
        assert side.wire.state is step.state
        assert side.next == (step.client if client else step.server)
    assert side.wire.lifecycle.closure == closure
    side.wire.lost()
    assert side.wire.lifecycle.state == State.CLOSED
    assert side.next == NOTHING
    assert side.wire.lifecycle.closure == closure


@pytest.mark.parametrize("client", [False, True])
def test_the_answer_may_wait(client: bool) -> None:
    """
    Until it is given, messages can be sent.
    """
    side = Side(client)
    side.wire.open()
    octets = serialize_frame(*close(1001, "moving"), None if client else KEY)
    assert list(side.wire.receive_data(octets)) == [Close(1001, "moving")]
    assert side.wire.state is State.CLOSING
    assert side.next == NOTHING
    side.send(side.wire.send_text("one more"))
    side.send(side.wire.close(1000))
    assert side.sent == ["one more", Close(1000, "")]
    assert side.next == (WAIT if client else CLOSE)
    assert side.wire.lifecycle.closure == Closure(1001, "moving", True)


@pytest.mark.parametrize("client", [False, True])
def test_messages_that_arrived_with_what_makes_us_close_are_dropped(client: bool) -> None:
    side = Side(client)
    side.wire.open()
    key = None if client else KEY
    octets = b"".join(serialize_frame(*text(message), key) for message in ("1", "2", "3"))
    events = iter(side.wire.receive_data(octets + serialize_frame(*close(1000), key)))
    assert next(events) == "1"
    side.wire.close()
    assert list(events) == [Close(1000, "")]


@pytest.mark.parametrize("client", [False, True])
def test_nothing_arrives_once_it_was_aborted(client: bool) -> None:
    side = Side(client)
    side.wire.open()
    key = None if client else KEY
    octets = serialize_frame(*text("1"), key) * 2 + serialize_frame(*close(1000), key)
    events = iter(side.wire.receive_data(octets))
    assert next(events) == "1"
    side.wire.abort()
    assert list(events) == []
    assert list(side.wire.receive_data(octets)) == []
    assert side.wire.lifecycle.closure is None


def ended(how: Callable[[Connection], object]) -> Connection:
    """
    A connection at its end.
    """
    wire = Connection(client=False)
    how(wire)
    return wire


@pytest.mark.parametrize(
    ("wire", "state", "problem"),
    [
        (Connection(client=True, state=State.CONNECTING), 0, "before the opening handshake"),
        (ended(lambda wire: wire.send_close()), 2, "after the Close frame"),
        (ended(lambda wire: wire.close()), 2, "after the Close frame"),
        (ended(lambda wire: wire.abort()), 2, "the connection is gone"),
        (ended(lambda wire: wire.lost()), 3, "the connection is gone"),
    ],
)
def test_sending_while_nothing_can_be_sent(wire: Connection, state: int, problem: str) -> None:
    for send in (
        lambda: wire.send_text("x"),
        lambda: wire.send_bytes(b"x"),
        lambda: wire.send_large(b"x"),
        lambda: wire.send_piece("x", False),
        lambda: wire.send_ping(),
        lambda: wire.send_pong(b""),
        lambda: wire.send_close(),
    ):
        with pytest.raises(NotConnected, match=problem) as raised:
            send()
        assert raised.value.state is wire.state is State(state)
    assert wire.answer_ping(b"") == b""


def test_a_code_that_is_not_for_sending_closes_nothing() -> None:
    wire = Connection(client=False)
    with pytest.raises(LocalProtocolError, match="1006"):
        wire.close(1006)
    assert wire.state is State.OPEN
    assert wire.send_text("x")


def test_memory_of_a_message_that_nobody_wants_is_free() -> None:
    for end in (Connection.close, Connection.abort, Connection.lost):
        for pieces in (2, 100):
            wire = Connection(client=True)
            octets = serialize_frame(Opcode.BINARY, bytes(1000))
            octets += serialize_frame(FIN | Opcode.CONTINUATION, bytes(1000))
            assert list(wire.receive_data(octets[:-pieces])) == []
            assert wire.buffered >= 1900
            end(wire)
            assert wire.buffered == 0
            assert list(wire.receive_data(octets[-pieces:])) == []


PROGRAM = """
import sys
from netkit.wire.http.connection import RequestReceiver, ResponseReceiver
from netkit.wire.websocket.connection import Connection
from netkit.wire.websocket.handshake import ClientHandshake, accept, read_request
from netkit.wire.websocket.lifecycle import State

client = Connection(client=True, state=State.CONNECTING)
server = Connection(client=False, state=State.CONNECTING)
handshake = ClientHandshake(b"localhost", b"/")
requests, responses = RequestReceiver(), ResponseReceiver()
requests.receive(handshake.request)
response, agreement = accept(read_request(requests.next_event()))
server.open(deflate=agreement.deflate)
responses.request_sent(b"GET")
responses.receive(response)
agreement = handshake.read_response(responses.next_final_head().fields)
client.open(deflate=agreement.deflate)
print(*server.receive_data(client.send_text("hello")))
print(*client.receive_data(server.close(1001, "bye")))
print(*server.receive_data(client.answer_close()))
print(server.lifecycle.must_close, client.lifecycle.close_expected)
print([name for name in sys.modules if name.partition(".")[0] == "twisted"])
"""


def test_from_the_beginning_to_the_end_without_twisted() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "hello",
        "Close(code=1001, reason='bye')",
        "Close(code=1001, reason='')",
        "True True",
        "[]",
    ]
