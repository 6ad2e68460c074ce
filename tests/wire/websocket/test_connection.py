"""
Messages, from octets and to octets, from either side.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netkit.wire.errors import LocalProtocolError, WebSocketProtocolError
from netkit.wire.websocket.codec import serialize_frame, serialize_header
from netkit.wire.websocket.codes import FIN, MASK, RSV1, CloseCode, Opcode
from netkit.wire.websocket.connection import Connection
from netkit.wire.websocket.deflate import PerMessageDeflate
from netkit.wire.websocket.events import Close, Event, Piece, Ping, Pong
from netkit.wire.websocket.lifecycle import State

KEY = b"\x12\x34\x56\x78"

# DEFLATE data that inflates to nothing. At a message's end, one octet of it is all that is sent.
EMPTY_BLOCK = b"\0\0\0\xff\xff"

ROLES = pytest.mark.parametrize("client", [False, True])


def frame(client: bool, first: int, payload: bytes) -> bytes:
    """
    A frame for a side to receive.
    """
    return serialize_frame(first, payload, None if client else KEY)


def receive(connection: Connection, *segments: bytes) -> list[Event]:
    """
    What a side makes of what arrives.
    """
    return [event for segment in segments for event in connection.receive_data(segment)]


def octetByOctet(data: bytes) -> list[bytes]:
    """
    Data in segments of one octet.
    """
    return [bytes([octet]) for octet in data]


def fail(connection: Connection, *segments: bytes) -> tuple[list[Event], WebSocketProtocolError]:
    """
    What a side makes of what arrives, up to the error that ends it.
    """
    events: list[Event] = []
    try:
        for segment in segments:
            for event in connection.receive_data(segment):
                events.append(event)
    except WebSocketProtocolError as error:
        return events, error
    raise AssertionError(f"no error after {events}")


@ROLES
@pytest.mark.parametrize(
    "message",
    [
        "",
        "a",
        "é" * 62,
        "x" * 125,
        "x" * 126,
        "€" * 40_000,
        b"",
        b"\0\xff",
        bytes(126),
        bytes(70_000),
    ],
    ids=lambda message: f"{type(message).__name__}-{len(message)}",
)
def test_messages_arrive_as_they_were_sent(client: bool, message: str | bytes) -> None:
    sender = Connection(client=not client)
    octets = sender.send_text(message) if isinstance(message, str) else sender.send_bytes(message)
    pings = sender.send_ping(b"then")
    assert receive(Connection(client=client), octets) == [message]
    segments = octetByOctet(octets + pings)
    assert receive(Connection(client=client), *segments) == [message, Ping(b"then")]
    both = octets + pings + octets
    assert receive(Connection(client=client), both) == [message, Ping(b"then"), message]


@ROLES
def test_fragments_with_control_frames_between(client: bool) -> None:
    octets = b"".join(
        frame(client, *part)
        for part in [
            (Opcode.TEXT, "né".encode()[:2]),
            (FIN | Opcode.PING, b"1"),
            (Opcode.CONTINUATION, "né".encode()[2:]),
            (FIN | Opcode.PONG, b"2"),
            (Opcode.CONTINUATION, b""),
            (FIN | Opcode.CONTINUATION, b"!"),
            (Opcode.BINARY, b"\xff"),
            (FIN | Opcode.CONTINUATION, b"\xfe"),
        ]
    )
    expected = [Ping(b"1"), Pong(b"2"), "né!", b"\xff\xfe"]
    assert receive(Connection(client=client), octets) == expected
    assert receive(Connection(client=client), *octetByOctet(octets)) == expected


def test_a_message_in_pieces() -> None:
    sender = Connection(client=False)
    octets = sender.send_piece("né"[:1], False) + sender.send_piece("é", False)
    octets += sender.send_ping(b"p") + sender.send_piece("", True)
    octets += sender.send_piece(b"\xff", False) + sender.send_piece(b"\xfe", True)
    assert receive(Connection(client=True), octets) == [Ping(b"p"), "né", b"\xff\xfe"]
    pieces = receive(Connection(client=True, pieces=True), octets)
    assert pieces == [
        Piece("n", False),
        Piece("é", False),
        Ping(b"p"),
        Piece("", False),
        Piece("", True),
        Piece(b"\xff", False),
        Piece(b"\xfe", False),
        Piece(b"", True),
    ]


def test_pieces_come_as_they_arrive() -> None:
    connection = Connection(client=True, pieces=True)
    octets = frame(True, FIN | Opcode.BINARY, b"abcdef")
    assert receive(connection, octets[:5]) == [Piece(b"abc", False)]
    assert receive(connection, octets[5:]) == [Piece(b"def", False), Piece(b"", True)]
    short = frame(True, FIN | Opcode.TEXT, b"hi")
    assert receive(connection, short) == [Piece("hi", False), Piece("", True)]


@ROLES
@pytest.mark.parametrize(
    ("parts", "code", "problem"),
    [
        ([(FIN | Opcode.CONTINUATION, b"")], 1002, "continues nothing"),
        ([(Opcode.TEXT, b""), (FIN | Opcode.TEXT, b"")], 1002, "within a fragmented one"),
        ([(FIN | Opcode.CLOSE, b"\x03")], 1002, "half a close code"),
        ([(FIN | Opcode.CLOSE, b"\x03\xed")], 1002, "1005, which must not be sent"),
        ([(FIN | Opcode.CLOSE, b"\x13\x88")], 1002, "5000"),
        ([(FIN | Opcode.CLOSE, b"\x03\xe8\xff")], 1007, "not UTF-8"),
        ([(FIN | Opcode.TEXT, b"\xff")], 1007, "not UTF-8: invalid start byte: ff"),
        ([(FIN | Opcode.TEXT, b"x" * 200 + b"\xff")], 1007, "not UTF-8"),
        ([(FIN | Opcode.TEXT, b"\xe2\x82")], 1007, "unexpected end of data"),
        ([(Opcode.TEXT, b"\xe2\x82"), (FIN | Opcode.CONTINUATION, b"")], 1007, "end of data"),
        ([(Opcode.TEXT, b"\xed\xa0")], 1007, "not UTF-8"),
        ([(FIN | RSV1 | Opcode.TEXT, b"")], 1002, "reserved bits"),
    ],
)
def test_what_breaks_the_protocol(
    client: bool, parts: list[tuple[int, bytes]], code: int, problem: str
) -> None:
    good = frame(client, FIN | Opcode.TEXT, b"good")
    bad = b"".join(frame(client, *part) for part in parts)
    for segments in ([good + bad], [good, bad], octetByOctet(good + bad)):
        events, error = fail(Connection(client=client), *segments)
        assert events == ["good"]
        assert error.code == code
        assert problem in str(error)


@pytest.mark.parametrize("bad", ["80", "c0", "f5", "e0 80", "ed a0", "f0 8f", "f4 90", "e2 82 41"])
def test_text_is_refused_at_the_octet_that_is_wrong(bad: str) -> None:
    octets = frame(False, FIN | Opcode.TEXT, b"caf" + bytes.fromhex(bad) + b"more to come")
    connection = Connection(client=False)
    end = 6 + 3 + len(bytes.fromhex(bad))
    assert receive(connection, octets[: end - 1]) == []
    assert fail(connection, octets[end - 1 : end])[1].code == CloseCode.INVALID_PAYLOAD


@ROLES
@pytest.mark.parametrize("deflate", [None, PerMessageDeflate()], ids=["plain", "deflate"])
def test_limits(client: bool, deflate: PerMessageDeflate | None) -> None:
    """
    They hold for what is not compressed also where it might have been.
    """

    def connection() -> Connection:
        return Connection(client=client, max_message_size=10, max_fragments=3, deflate=deflate)

    whole = frame(client, FIN | Opcode.TEXT, b"x" * 10)
    assert receive(connection(), whole) == ["x" * 10]
    large = frame(client, FIN | Opcode.TEXT, b"x" * 11)
    assert fail(connection(), large)[1].code == CloseCode.MESSAGE_TOO_BIG
    parts = [frame(client, Opcode.BINARY, b"12345"), frame(client, Opcode.CONTINUATION, b"678901")]
    assert fail(connection(), *parts)[1].code == CloseCode.MESSAGE_TOO_BIG
    start, more = frame(client, Opcode.BINARY, b""), frame(client, Opcode.CONTINUATION, b"")
    end = frame(client, FIN | Opcode.CONTINUATION, b"")
    assert receive(connection(), start, more, end) == [b""]
    assert fail(connection(), start, more, more, end)[1].code == CloseCode.POLICY_VIOLATION
    unlimited = Connection(client=client, max_message_size=0, max_fragments=0)
    assert receive(unlimited, start, *[more] * 1000, end) == [b""]
    assert receive(unlimited, frame(client, FIN | Opcode.TEXT, b"x" * 125)) == ["x" * 125]


@ROLES
@pytest.mark.parametrize("pieces", [False, True])
def test_compressed_frames_have_the_same_limit(client: bool, pieces: bool) -> None:
    """
    Whatever they inflate to, a message of more octets is refused at the header that says so.
    """

    def connection() -> Connection:
        return Connection(
            client=client, max_message_size=100, deflate=PerMessageDeflate(), pieces=pieces
        )

    empty = frame(client, FIN | RSV1 | Opcode.BINARY, EMPTY_BLOCK * 19 + b"\0")
    assert receive(connection(), empty)[-1] == (Piece(b"", True) if pieces else b"")
    large = frame(client, FIN | RSV1 | Opcode.BINARY, EMPTY_BLOCK * 20 + b"\0")
    header = large[: 2 if client else 6]
    for segments in ([large], [header], octetByOctet(header)):
        events, error = fail(connection(), *segments)
        assert (events, error.code) == ([], CloseCode.MESSAGE_TOO_BIG)
    boundless = serialize_header(FIN | RSV1 | Opcode.BINARY, 2**62, 0 if client else MASK) + KEY
    assert fail(connection(), boundless)[1].code == CloseCode.MESSAGE_TOO_BIG


def test_what_cannot_be_compressed_may_have_the_limit() -> None:
    sender = Connection(client=True, deflate=PerMessageDeflate())
    noise = Random(7692).randbytes(2**20)
    octets = sender.send_bytes(noise)
    assert len(octets) > 2**20 + 2000
    server = Connection(client=False, max_message_size=2**20, deflate=PerMessageDeflate())
    assert receive(server, octets) == [noise]
    assert fail(server, sender.send_bytes(noise + b"\0"))[1].code == CloseCode.MESSAGE_TOO_BIG


@ROLES
@pytest.mark.parametrize("first", [Opcode.BINARY, RSV1 | Opcode.BINARY])
def test_fragments_have_it_together(client: bool, first: int) -> None:
    def connection() -> Connection:
        return Connection(client=client, max_message_size=100, deflate=PerMessageDeflate())

    start = frame(client, first, EMPTY_BLOCK * 12)
    ping = frame(client, FIN | Opcode.PING, bytes(125))
    last = frame(client, FIN | Opcode.CONTINUATION, EMPTY_BLOCK * 7 + b"\0")
    # It is the message that has a limit, not all of them together.
    assert len(receive(connection(), *[start, ping, last] * 3)) == 6
    more = frame(client, Opcode.CONTINUATION, EMPTY_BLOCK * 9)
    header = more[: 2 if client else 6]
    for segments in ([start, ping, header], octetByOctet(start + ping + header)):
        events, error = fail(connection(), *segments)
        assert (events, error.code) == ([Ping(bytes(125))], CloseCode.MESSAGE_TOO_BIG)
        assert "a frame of 45 octets takes its message over the limit of 100" in str(error)


@ROLES
@pytest.mark.parametrize(
    "close",
    [Close(), Close(1000, ""), Close(1011, "née"), Close(3000, "x" * 123), Close(4999, "")],
)
def test_closing(client: bool, close: Close) -> None:
    us, peer = Connection(client=client), Connection(client=not client)
    octets = peer.send_close(*close)
    assert peer.close_sent == close
    # What follows a Close frame is dropped.
    assert receive(us, octets + b"\xff\xff\xff") == [close]
    assert us.close_received == close
    assert receive(us, b"\xff\xff\xff") == []
    assert receive(peer, us.send_close(close.code)) == [Close(close.code, "")]


def test_a_long_reason_is_cut_between_characters() -> None:
    peer = Connection(client=True)
    octets = Connection(client=False).send_close(1000, "€" * 100)
    assert receive(peer, octets) == [Close(1000, "€" * 41)]


@pytest.mark.parametrize("code", [0, 999, 1004, 1006, 1015, 2999, 5000])
def test_codes_that_are_not_for_sending(code: int) -> None:
    with pytest.raises(LocalProtocolError, match=f"close code {code} is not for sending"):
        Connection(client=False).send_close(code)


def test_misuse() -> None:
    connection = Connection(client=False)
    with pytest.raises(LocalProtocolError, match="lone surrogate"):
        connection.send_text("a\ud800")
    with pytest.raises(LocalProtocolError, match="ping carries 126 octets"):
        connection.send_ping(bytes(126))
    connection.send_piece("a", False)
    send: Callable[[], object]
    for send in (lambda: connection.send_text("b"), lambda: connection.send_bytes(b"b")):
        with pytest.raises(LocalProtocolError, match="in pieces is not finished"):
            send()
    with pytest.raises(LocalProtocolError, match="began as text cannot go on with bytes"):
        connection.send_piece(b"b", True)
    connection.send_piece("b", True)
    connection.send_close()
    for send in (
        lambda: connection.send_text("b"),
        lambda: connection.send_bytes(b"b"),
        lambda: connection.send_large(b"b"),
        lambda: connection.send_piece("b", True),
        lambda: connection.send_pong(b""),
        connection.send_close,
    ):
        with pytest.raises(LocalProtocolError, match="after the Close frame"):
            send()


def pair() -> tuple[Connection, Connection]:
    """
    A client and a server that agreed on compression.
    """
    return tuple(  # type: ignore[return-value]
        Connection(
            client=client,
            max_message_size=2**20,
            deflate=PerMessageDeflate(out_window_bits=12, in_window_bits=12),
        )
        for client in (True, False)
    )


def test_compressed_messages() -> None:
    client, server = pair()
    texts = ["compress me, compress me, " * 20, "", "é", "compress me, compress me, " * 20]
    for here, there in ((client, server), (server, client)):
        sizes = []
        for text in texts:
            octets = here.send_text(text)
            sizes.append(len(octets))
            assert receive(there, *octetByOctet(octets)) == [text]
        assert sizes[0] < 80
        # The last one is the first again, which its window still has.
        assert sizes[3] < sizes[0]
    octets = client.send_bytes(b"a" * 5000) + client.send_piece("pi", False)
    octets += client.send_ping(b"not compressed") + client.send_piece("ece", True)
    assert receive(server, octets) == [b"a" * 5000, Ping(b"not compressed"), "piece"]
    # A peer need not compress.
    plain = frame(False, FIN | Opcode.TEXT, b"x" * 200)
    assert receive(server, plain) == ["x" * 200]


def test_what_does_not_inflate() -> None:
    server = pair()[1]
    octets = frame(False, FIN | RSV1 | Opcode.TEXT, b"\xff\xff\xff")
    error = fail(server, octets)[1]
    assert error.code == CloseCode.INVALID_PAYLOAD
    assert "cannot be inflated" in str(error)


@ROLES
def test_a_message_alone_is_known_as_that(client: bool) -> None:
    connection = Connection(client=client)
    octets = frame(client, FIN | Opcode.TEXT, b"alone")
    assert connection.receive_data(octets) == ("alone",)
    assert not isinstance(connection.receive_data(octets * 2), tuple)


def test_when_a_message_is_sent_as_it_is() -> None:
    connection = Connection(client=False, state=State.CONNECTING)
    assert not connection.as_is
    connection.open()
    assert connection.as_is
    connection.send_piece("a", False)
    assert not connection.as_is
    connection.send_piece("b", True)
    assert connection.as_is
    # Until we sent ours.
    assert receive(connection, frame(False, FIN | Opcode.CLOSE, b"")) == [Close()]
    assert connection.as_is
    connection.answer_close()
    assert not connection.as_is
    ends: list[Callable[[Connection], object]]
    ends = [Connection.send_close, Connection.close, Connection.abort, Connection.lost]
    for end in ends:
        connection = Connection(client=False)
        end(connection)
        assert not connection.as_is
    assert not Connection(client=True).as_is
    assert not pair()[1].as_is


@ROLES
def test_when_a_whole_message_is_read(client: bool) -> None:
    octets = frame(client, FIN | Opcode.TEXT, b"alone")
    connection = Connection(client=client, state=State.CONNECTING)
    assert connection.read_whole(octets) is None
    connection.open()
    assert connection.read_whole(octets) == "alone"
    for end in range(len(octets)):
        assert connection.read_whole(octets[:end]) is None
    # Within a frame, and within a message.
    assert receive(connection, octets[:4]) == []
    assert connection.read_whole(octets) is None
    assert receive(connection, octets[4:]) == ["alone"]
    assert connection.read_whole(octets) == "alone"
    assert receive(connection, frame(client, Opcode.TEXT, b"in ")) == []
    assert connection.read_whole(octets) is None
    assert receive(connection, frame(client, FIN | Opcode.CONTINUATION, b"parts")) == ["in parts"]
    assert connection.read_whole(octets) == "alone"
    connection.close()
    assert connection.read_whole(octets) is None
    assert Connection(client=client, pieces=True).read_whole(octets) is None


@ROLES
def test_long_binary_messages_are_put_together_once(client: bool) -> None:
    """
    Where they will stay: they are no array that grew, and are given out without a copy.
    """
    octets = frame(client, FIN | Opcode.BINARY, bytes(100_000))
    [message] = receive(Connection(client=client), octets[:30_000], octets[30_000:])
    assert type(message) is bytes
    assert message == bytes(100_000)


@pytest.mark.parametrize("message", ["text", b"octets"])
def test_large_messages_are_sent_without_a_copy(message: str | bytes) -> None:
    """
    Where the payload goes out as it is, it is not copied; the octets are the same in any case.
    """
    for client, deflate in [(False, None), (True, None), (False, PerMessageDeflate())]:
        sender = Connection(client=client, deflate=deflate)
        parts = sender.send_large(message * 20_000)
        assert (len(parts) == 2) == (not client and deflate is None)
        receiver = Connection(client=not client, deflate=deflate and PerMessageDeflate())
        assert receive(receiver, b"".join(parts)) == [message * 20_000]
    payload = bytes(100_000)
    assert Connection(client=False).send_large(payload)[1] is payload


def test_inflated_size_is_limited_while_inflating() -> None:
    bomb = PerMessageDeflate().compress(bytes(2**30), True)
    octets = frame(False, FIN | RSV1 | Opcode.BINARY, bomb)
    assert len(bomb) < 1.1 * 2**20
    server = Connection(client=False, deflate=PerMessageDeflate())
    segments = [octets[start : start + 2**16] for start in range(0, len(octets), 2**16)]
    tracemalloc.start()
    try:
        _, error = fail(server, *segments)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert error.code == CloseCode.MESSAGE_TOO_BIG
    assert peak < 4 * 2**20


MESSAGES = st.lists(
    st.one_of(
        st.text(max_size=200),
        st.binary(max_size=200),
        st.builds(Ping, st.binary(max_size=125)),
        st.builds(Pong, st.binary(max_size=125)),
        st.integers(126, 3000).map(lambda size: "ü" * size),
    ),
    max_size=8,
)


def send(connection: Connection, event: Event) -> bytes:
    """
    Send what the peer is to receive.
    """
    if isinstance(event, str):
        return connection.send_text(event)
    if isinstance(event, Ping):
        return connection.send_ping(event.payload)
    if isinstance(event, Pong):
        return connection.send_pong(event.payload)
    assert isinstance(event, bytes)
    return connection.send_bytes(event)


@given(MESSAGES, st.booleans(), st.booleans(), st.data())
def test_any_split_gives_the_same_events(
    events: list[Event], client: bool, deflate: bool, data: st.DataObject
) -> None:
    def side(client: bool) -> Connection:
        return Connection(client=client, deflate=PerMessageDeflate() if deflate else None)

    sender = side(not client)
    octets = b"".join(send(sender, event) for event in events)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=10)))
    edges = [0, *cuts, len(octets)]
    segments = [octets[a:b] for a, b in pairwise(edges)]
    assert receive(side(client), *segments) == events


@settings(max_examples=settings().max_examples * 3)
@given(st.lists(st.binary(max_size=60), max_size=6), st.booleans(), st.booleans(), st.booleans())
def test_any_octets_give_events_or_one_error(
    segments: list[bytes], client: bool, deflate: bool, pieces: bool
) -> None:
    connection = Connection(
        client=client,
        max_message_size=1000,
        max_fragments=3,
        deflate=PerMessageDeflate() if deflate else None,
        pieces=pieces,
    )
    with suppress(WebSocketProtocolError):
        receive(connection, *segments)


@ROLES
@pytest.mark.parametrize(
    "message",
    ["", "text", "grüße", b"", b"octets", "long" * 40_000, bytes(2**16), bytes(2**18)],
    ids=lambda message: f"{type(message).__name__}-{len(message)}",
)
@pytest.mark.parametrize("takeover", [True, False])
def test_a_compressed_message_is_the_same_however_it_arrives(
    client: bool, message: str | bytes, takeover: bool
) -> None:
    def side(client: bool) -> Connection:
        deflate = PerMessageDeflate(in_takeover=takeover, out_takeover=takeover)
        return Connection(client=client, max_message_size=2**19, deflate=deflate)

    sender = side(not client)
    send = sender.send_text if isinstance(message, str) else sender.send_bytes
    # The second one refers to the first, where it may.
    octets = [send(message), send(message)]  # type: ignore[arg-type] # of the same type
    wanted = [message, message, Ping(b"behind")]
    behind = sender.send_ping(b"behind")
    assert receive(side(client), *octets, behind) == wanted
    assert receive(side(client), *octetByOctet(b"".join([*octets, behind]))) == wanted
    assert receive(side(client), b"".join([*octets, behind])) == wanted


@ROLES
@pytest.mark.parametrize(
    ("opcode", "message", "code"),
    [
        (Opcode.TEXT, b"caf\xc3", CloseCode.INVALID_PAYLOAD),
        (Opcode.TEXT, b"\xed\xa0\x80", CloseCode.INVALID_PAYLOAD),
        (Opcode.TEXT, bytes(101), CloseCode.MESSAGE_TOO_BIG),
        (Opcode.BINARY, bytes(101), CloseCode.MESSAGE_TOO_BIG),
        (Opcode.BINARY, bytes(2**20), CloseCode.MESSAGE_TOO_BIG),
        (Opcode.BINARY, None, CloseCode.INVALID_PAYLOAD),
    ],
)
def test_a_compressed_message_is_refused_the_same_however_it_arrives(
    client: bool, opcode: Opcode, message: bytes | None, code: CloseCode
) -> None:
    payload = b"\xff\xff" if message is None else PerMessageDeflate().compress(message, True)
    octets = frame(client, FIN | RSV1 | opcode, payload)
    said = set()
    for segments in ([octets], octetByOctet(octets)):
        connection = Connection(client=client, max_message_size=100, deflate=PerMessageDeflate())
        # An error is an event in its place: behind what came before.
        events, error = fail(connection, frame(client, FIN | Opcode.TEXT, b"before"), *segments)
        assert events == ["before"]
        said.add((error.code, str(error)))
    assert [code for code, _ in said] == [code]
