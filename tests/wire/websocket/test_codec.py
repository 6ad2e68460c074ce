"""
The octets of whole frames: in C and in Python the same.
"""

from __future__ import annotations

import sys
import tracemalloc
from array import array
from random import Random
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.wire.websocket.codec import python
from netkit.wire.websocket.codes import FIN, MASK, RSV1, Opcode
from tests.compiled import compiled, languages
from tests.wire.websocket.codec_fuzz import compareOnce

native = compiled("netkit.wire.websocket.codec")

KEY = b"\x37\xfa\x21\x3d"
KEYS = st.binary(min_size=4, max_size=4)
TEXT = FIN | Opcode.TEXT
BINARY = FIN | Opcode.BINARY

# Around each change of the length's form, of the masking's method, and of where it is done.
SIZES = [0, 1, 3, 4, 7, 8, 9, 125, 126, 127, 1199, 1200, 1201, 4096, 4097, 65535, 65536, 2**17 + 5]
codec = languages("netkit.wire.websocket.codec")


def octets(size: int) -> bytes:
    return (b"\x00\x7f\x80\xffnetkit" * (size // 10 + 1))[:size]


@pytest.mark.parametrize("size", SIZES)
def test_masking_is_xor_with_the_repeated_key(codec: ModuleType, size: int) -> None:
    """
    RFC 6455 section 5.3.
    """
    data = octets(size)
    masked = codec.apply_mask(data, KEY)
    assert masked == bytes(octet ^ KEY[i % 4] for i, octet in enumerate(data))
    assert codec.apply_mask(masked, KEY) == data
    assert type(masked) is bytes


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("size", [0, 10, 2000, 2**17 + 5])
def test_any_octets_are_taken(codec: ModuleType, size: int, make: type) -> None:
    data = octets(size)
    assert codec.apply_mask(make(data), KEY) == codec.apply_mask(data, KEY)
    for key in (None, KEY):
        frame = codec.serialize_frame(BINARY, make(data), key)
        assert frame == codec.serialize_frame(BINARY, data, key)


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("size", [20, 400])
def test_views_of_any_shape_are_taken(codec: ModuleType, size: int, key: bytes | None) -> None:
    data = octets(size)
    words = memoryview(array("I", data))
    assert codec.serialize_frame(BINARY, words, key) == codec.serialize_frame(BINARY, data, key)
    spread = memoryview(data)[::2]
    frame = codec.serialize_frame(BINARY, data[::2], key)
    assert codec.serialize_frame(BINARY, spread, key) == frame


# RFC 6455 section 5.2: a length is written in as few octets as possible.
@pytest.mark.parametrize(
    ("size", "length"),
    [
        (0, b"\x00"),
        (125, b"\x7d"),
        (126, b"\x7e\x00\x7e"),
        (65535, b"\x7e\xff\xff"),
        (65536, b"\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_frame(codec: ModuleType, size: int, length: bytes) -> None:
    data = octets(size)
    assert codec.serialize_frame(BINARY, data) == b"\x82" + length + data
    masked = bytes([length[0] | MASK]) + length[1:] + KEY + codec.apply_mask(data, KEY)
    assert codec.serialize_frame(BINARY, data, KEY) == b"\x82" + masked


@pytest.mark.parametrize("size", SIZES)
def test_message(codec: ModuleType, size: int) -> None:
    data = octets(size)
    text = "ä€" * (size // 5) + "x" * (size % 5)
    binary = codec.serialize_frame(BINARY, data) if size <= 65536 else None
    apart = bytearray(2 * size)
    apart[::2] = data
    for message in [data, bytearray(data), memoryview(data), memoryview(apart)[::2]]:
        assert codec.serialize_message(message) == binary
    assert codec.serialize_message(text) == codec.serialize_frame(TEXT, text.encode())
    # By characters: it is not encoded first.
    assert codec.serialize_message("ä" * 65536) == codec.serialize_frame(TEXT, b"\xc3\xa4" * 65536)
    assert codec.serialize_message("x" * 65537) is None


@pytest.mark.parametrize("message", ["a\ud800", None, 5, [1], array("B", b"x"), object])
def test_what_is_no_sound_message_has_no_frame(codec: ModuleType, message: object) -> None:
    assert codec.serialize_message(message) is None


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("size", SIZES)
def test_whole_message(codec: ModuleType, size: int, key: bytes | None) -> None:
    mask_bit = MASK if key else 0
    data = octets(size)
    text = "ä€" * (size // 5) + "x" * (size % 5)
    for first, payload, message in [(BINARY, data, data), (TEXT, text.encode(), text)]:
        frame = codec.serialize_frame(first, payload, key)
        read = codec.message_reader(mask_bit, 0)(frame)
        assert read == message
        assert type(read) is type(message)
        assert codec.message_reader(mask_bit, size or 1)(frame) == message
        # Cut anywhere, or with more behind it, it is not one whole message.
        for end in {0, 1, 2, 3, 4, 9, 10, 13, 14, len(frame) - 1}:
            if end < len(frame):
                assert codec.message_reader(mask_bit, 0)(frame[:end]) is None
        assert codec.message_reader(mask_bit, 0)(frame + b"\x82") is None


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(
    ("first", "payload"),
    [
        (FIN | Opcode.PING, b""),
        (FIN | Opcode.CLOSE, b""),
        (FIN | Opcode.CONTINUATION, b"x"),
        (int(Opcode.TEXT), b"x"),
        (FIN | RSV1 | Opcode.TEXT, b"x"),
        (FIN | 0x3, b"x"),
        (TEXT, b"\xff"),
        (TEXT, b"\xed\xa0\x80"),
        (TEXT, b"x" * 5000 + b"\xff"),
    ],
)
def test_what_is_no_sound_message_is_left_alone(
    codec: ModuleType, first: int, payload: bytes, masked: bool
) -> None:
    frame = codec.serialize_frame(first, payload, KEY if masked else None)
    assert codec.message_reader(MASK if masked else 0, 0)(frame) is None


@pytest.mark.parametrize("size", [10, 200, 70_000])
def test_wrong_mask_bit_and_limit_are_left_alone(codec: ModuleType, size: int) -> None:
    for key, mask_bit in [(KEY, MASK), (None, 0)]:
        frame = codec.serialize_frame(BINARY, octets(size), key)
        assert codec.message_reader(MASK - mask_bit, 0)(frame) is None
        assert codec.message_reader(mask_bit, size - 1)(frame) is None


@pytest.mark.parametrize(
    "header",
    [
        # Lengths in more octets than they need, and the longest there are.
        b"\x82\x7e\x00\x7d",
        b"\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff",
        b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff",
    ],
)
def test_faulty_lengths_are_left_alone(codec: ModuleType, header: bytes) -> None:
    length = int.from_bytes(header[2:], "big")
    data = header + octets(min(length, 70_000))
    assert codec.message_reader(0, 0)(data) is None


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("size", SIZES)
def test_payload_in_parts(codec: ModuleType, size: int, key: bytes | None) -> None:
    data = octets(size)
    sent = data if key is None else codec.apply_mask(data, key)
    for step in {1, 5, 1000, size // 3 + 1, size + 1}:
        if size > 1000 * step:
            continue
        payload = codec.Payload(size, key)
        for start in range(0, size, step):
            payload.take(
                b"--" + sent[start : start + step] + b"-", 2, 2 + len(sent[start:][:step])
            )
        assert payload.end() == data
        assert type(codec.Payload(0).end()) is bytes


def test_payload_is_given_out_once_and_whole(codec: ModuleType) -> None:
    payload = codec.Payload(4)
    payload.take(b"abc", 0, 3)
    with pytest.raises(ValueError, match="has not arrived"):
        payload.end()
    for data, start, end in [(b"de", 0, 2), (b"d", 0, 2), (b"d", -1, 1), (b"d", 1, 0)]:
        with pytest.raises(ValueError, match="no part"):
            payload.take(data, start, end)
    payload.take(b"d", 1, 1)
    payload.take(b"d", 0, 1)
    whole = payload.end()
    assert whole == b"abcd"
    with pytest.raises(ValueError, match="no part"):
        payload.take(b"x", 0, 1)
    assert whole == b"abcd"


@pytest.mark.parametrize("arguments", [(), ("4",), (4.0,), (-1,), (4, b"123"), (4, "1234")])
def test_wrong_payloads_are_errors(codec: ModuleType, arguments: tuple[Any, ...]) -> None:
    with pytest.raises((TypeError, ValueError)):
        codec.Payload(*arguments)


def test_a_payload_is_made_once(codec: ModuleType) -> None:
    payload = codec.Payload(4)
    payload.take(b"ab", 0, 2)
    payload.__init__(1, KEY)
    payload.take(b"cd", 0, 2)
    assert payload.end() == b"abcd"
    with pytest.raises(TypeError):
        codec.Payload.__new__(codec.Payload)


@pytest.mark.parametrize("first", [-1, 256, 2**64])
@pytest.mark.parametrize("size", [5, 500, 70_000])
def test_a_first_octet_is_an_octet(codec: ModuleType, size: int, first: int) -> None:
    with pytest.raises(ValueError, match=f"not {first}"):
        codec.serialize_frame(first, octets(size), KEY)


@pytest.mark.parametrize("limit", [-1, 0, 2**63, 2**100])
def test_no_limit(codec: ModuleType, limit: int) -> None:
    assert codec.message_reader(0, limit)(b"\x82\x03abc") == b"abc"


@pytest.mark.parametrize("mask_bit", [-1, 1, 127, 256])
def test_a_mask_bit_is_that_bit(codec: ModuleType, mask_bit: int) -> None:
    with pytest.raises(ValueError, match=f"not {mask_bit}"):
        codec.message_reader(mask_bit, 0)(b"\x82\x03abc")


def test_memory_follows_what_arrives(codec: ModuleType) -> None:
    """
    That a payload will be long is said in ten octets: it reserves nothing.
    """
    tracemalloc.start()
    try:
        payload = codec.Payload(2**30, KEY)
        payload.take(bytes(1000), 0, 1000)
        assert tracemalloc.get_traced_memory()[1] < 20_000
    finally:
        tracemalloc.stop()


def test_both_answer_alike() -> None:
    if native is None:
        pytest.skip("the codec in C was not built: there was no compiler")
    draw = Random(6455)
    for _ in range(3000):
        compareOnce(native, draw)


@given(st.integers(0, 255), st.binary(max_size=3000), st.one_of(st.none(), KEYS))
def test_both_write_the_same(first: int, payload: bytes, key: bytes | None) -> None:
    if native is None:
        pytest.skip("the codec in C was not built: there was no compiler")
    frame = python.serialize_frame(first, payload, key)
    assert native.serialize_frame(first, payload, key) == frame


ANYTHING = st.one_of(
    st.binary(max_size=300),
    # Mostly well-formed.
    st.builds(
        lambda first, payload, key, cut: python.serialize_frame(first, payload, key)[:cut],
        st.sampled_from([TEXT, BINARY, FIN | Opcode.PING, RSV1 | TEXT]),
        st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)),
        st.one_of(st.none(), KEYS),
        st.one_of(st.none(), st.integers(0, 300)),
    ),
)


@given(ANYTHING, st.sampled_from([0, MASK]), st.integers(0, 300))
def test_both_read_the_same(data: bytes, mask_bit: int, limit: int) -> None:
    if native is None:
        pytest.skip("the codec in C was not built: there was no compiler")
    message = python.message_reader(mask_bit, limit)(data)
    assert native.message_reader(mask_bit, limit)(data) == message


def test_wrong_types_are_errors(codec: ModuleType) -> None:
    for call in [
        lambda: codec.apply_mask("text", KEY),
        lambda: codec.serialize_frame(BINARY, "text"),
        lambda: codec.serialize_frame(BINARY, "text", KEY),
        lambda: codec.apply_mask(b"octets"),
        lambda: codec.serialize_frame(BINARY),
        lambda: codec.message_reader(MASK),
        lambda: codec.message_reader(MASK, 0)("text"),
    ]:
        with pytest.raises(TypeError):
            call()


def test_none_is_counted(codec: ModuleType) -> None:
    # Python 3.11 ends when there are no references to None left, whoever compiled the codec.
    before = sys.getrefcount(None)
    for _ in range(1000):
        assert codec.message_reader(MASK, 0)(b"") is None
        assert codec.serialize_message(None) is None
    assert abs(sys.getrefcount(None) - before) < 100
