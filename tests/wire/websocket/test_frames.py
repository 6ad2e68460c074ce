"""
Frames: octets to frames and back.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.wire.errors import WebSocketProtocolError
from netkit.wire.websocket.codec import serialize_frame
from netkit.wire.websocket.codes import FIN, RSV1, CloseCode, Opcode
from netkit.wire.websocket.frames import FrameReader, MaskingKeys

KEY = b"\x37\xfa\x21\x3d"
TEXT = FIN | Opcode.TEXT
BINARY = FIN | Opcode.BINARY
PING = FIN | Opcode.PING


def read(reader: FrameReader, *segments: bytes) -> list[tuple[int, bytes]]:
    """
    Read what arrives in segments; the parts of each frame put together.
    """
    frames = []
    payload = b""
    for segment in segments:
        for first, part, finished in reader.read(segment):
            payload += part
            if finished:
                frames.append((first, payload))
                payload = b""
    return frames


# RFC 6455 section 5.7.
@pytest.mark.parametrize(
    ("octets", "masked", "frames"),
    [
        ("81 05 48 65 6c 6c 6f", False, [(TEXT, b"Hello")]),
        ("81 85 37 fa 21 3d 7f 9f 4d 51 58", True, [(TEXT, b"Hello")]),
        (
            "01 03 48 65 6c 80 02 6c 6f",
            False,
            [(Opcode.TEXT, b"Hel"), (FIN | Opcode.CONTINUATION, b"lo")],
        ),
        ("89 05 48 65 6c 6c 6f", False, [(PING, b"Hello")]),
        ("8a 85 37 fa 21 3d 7f 9f 4d 51 58", True, [(FIN | Opcode.PONG, b"Hello")]),
        ("82 7e 01 00" + "61" * 256, False, [(BINARY, b"a" * 256)]),
        ("82 7f 00 00 00 00 00 01 00 00" + "61" * 65536, False, [(BINARY, b"a" * 65536)]),
    ],
)
def test_examples_of_the_rfc(octets: str, masked: bool, frames: list[tuple[int, bytes]]) -> None:
    data = bytes.fromhex(octets)
    assert read(FrameReader(masked=masked), data) == frames
    assert read(FrameReader(masked=masked), *[bytes([octet]) for octet in data]) == frames
    trailing = data + data
    assert read(FrameReader(masked=masked), trailing) == frames * 2
    key = KEY if masked else None
    assert b"".join(serialize_frame(first, payload, key) for first, payload in frames) == data


@pytest.mark.parametrize("length", [0, 1, 3, 125, 126, 1199, 1200, 1203, 65535, 65536, 300_001])
@pytest.mark.parametrize("key", [None, KEY])
def test_every_length_is_read_as_written(length: int, key: bytes | None) -> None:
    payload = bytes(range(256)) * (length // 256 + 1)
    payload = payload[:length]
    data = serialize_frame(BINARY, payload, key)
    masked = key is not None
    assert read(FrameReader(masked=masked), data) == [(BINARY, payload)]
    for cut in (1, 2, 3, 4, 5, 8, 11, 15, length // 2):
        reader = FrameReader(masked=masked)
        assert read(reader, data[:cut], data[cut:]) == [(BINARY, payload)]
        assert reader.between_frames


def test_masking_keys_differ() -> None:
    keys = MaskingKeys()
    made = [keys.next() for _ in range(2000)]
    assert {len(key) for key in made} == {4}
    assert len(set(made)) > 1990


@pytest.mark.parametrize(
    ("octets", "masked", "problem"),
    [
        ("91 00", False, "reserved bits"),
        ("c1 00", False, "reserved bits that mean nothing here: 0x40"),
        ("83 00", False, "reserved opcode 0x3"),
        ("8f 00", False, "reserved opcode 0xf"),
        ("09 00", False, "control frame is fragmented"),
        ("89 7e 00 7e", False, "more than 125 octets"),
        ("89 fe 00 7e", True, "more than 125 octets"),
        ("81 7e 00 7d", False, "125 is written in 2 octets"),
        ("81 7f 00 00 00 00 00 00 ff ff", False, "65535 is written in 8 octets"),
        ("81 7f 80 00 00 00 00 01 00 00", False, "most significant bit"),
        ("81 05 48", True, "client's frame is not masked"),
        ("81 85 48", False, "server's frame is masked"),
    ],
)
def test_invalid_frames(octets: str, masked: bool, problem: str) -> None:
    data = bytes.fromhex(octets)
    good = serialize_frame(PING, b"before", KEY if masked else None)
    for segments in ([good + data], [good, *(bytes([octet]) for octet in data)]):
        reader = FrameReader(masked=masked)
        seen: list[tuple[int, bytes]] = []
        with pytest.raises(WebSocketProtocolError, match=problem) as raised:
            seen.extend(frame for segment in segments for frame in read(reader, segment))
        assert raised.value.code == CloseCode.PROTOCOL_ERROR
        if len(segments) > 1:
            assert seen == [(PING, b"before")]


def test_reserved_bit_of_deflate() -> None:
    def reader() -> FrameReader:
        return FrameReader(masked=False, rsv1=True)

    assert read(reader(), b"\xc1\x01a") == [(TEXT | RSV1, b"a")]
    for first in (0xC0, 0x40, 0xC9, 0xA1, 0x91):
        with pytest.raises(WebSocketProtocolError, match="reserved bits"):
            read(reader(), bytes((first, 0)))


def test_payload_over_the_limit_is_refused_by_its_header() -> None:
    header = serialize_frame(BINARY, bytes(101))[:2]
    for data in (header, header + bytes(101)):
        with pytest.raises(
            WebSocketProtocolError,
            match="a frame of 101 octets takes its message over the limit of 100",
        ) as e:
            read(FrameReader(masked=False, max_size=100), data)
        assert e.value.code == CloseCode.MESSAGE_TOO_BIG
    whole = serialize_frame(BINARY, bytes(100))
    assert read(FrameReader(masked=False, max_size=100), whole) == [(BINARY, bytes(100))]
    # The limit is one on data: a ping is no part of it.
    ping = serialize_frame(PING, bytes(100))
    assert read(FrameReader(masked=False, max_size=10), ping) == [(PING, bytes(100))]


def test_what_earlier_frames_of_the_message_carried_counts() -> None:
    reader = FrameReader(masked=False, max_size=100)
    reader.message_size = 60
    assert read(reader, serialize_frame(BINARY, bytes(40))) == [(BINARY, bytes(40))]
    with pytest.raises(WebSocketProtocolError, match="a frame of 41 octets"):
        read(reader, serialize_frame(BINARY, bytes(41))[:2])


FRAMES = st.lists(
    st.tuples(
        st.sampled_from([TEXT, BINARY, int(Opcode.CONTINUATION), PING]),
        st.one_of(st.binary(max_size=125), st.integers(126, 70_000)),
    ).map(
        lambda frame: (
            frame[0],
            frame[1]
            if isinstance(frame[1], bytes)
            else b"p" * (125 if frame[0] == PING else frame[1]),
        )
    ),
    max_size=6,
)


@given(FRAMES, st.booleans(), st.data())
def test_any_split_gives_the_same_frames(
    frames: list[tuple[int, bytes]], masked: bool, data: st.DataObject
) -> None:
    octets = b"".join(serialize_frame(*frame, KEY if masked else None) for frame in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=8)))
    edges = [0, *cuts, len(octets)]
    segments = [octets[a:b] for a, b in pairwise(edges)]
    assert read(FrameReader(masked=masked), *segments) == frames
