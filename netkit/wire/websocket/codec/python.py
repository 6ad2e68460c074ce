"""
The octets of frames, in Python.

It goes frame by frame, never octet by octet: what has to look at each octet is one call into the
interpreter's C code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import index
from typing import Any, Self

from ..codes import FIN, MASK, Opcode

_TEXT_WHOLE = FIN | Opcode.TEXT
_BINARY_WHOLE = FIN | Opcode.BINARY

# A message of more octets, or characters, is large.
_LARGE = 2**16

# The C loops of int are the quickest on short payloads, those of bytes.translate on long ones.
_LONG = 1200

# What is longer goes in blocks: the copies of all of it would be new memory each time, whose pages
# cost more than the masking.
_BLOCK = 2**17


def _xor_integers(data: bytes, key: bytes) -> bytes:
    length = len(data)
    pad = (key * ((length + 3) >> 2))[:length]
    return (int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")).to_bytes(
        length, "little"
    )


def _octets(data: Any) -> bytes | bytearray | memoryview:
    """
    The octets of any object that has some, each a C{len} of one.

    @raise TypeError: it has none.
    """
    view = memoryview(data)
    return view.cast("B") if view.c_contiguous and view.nbytes else bytes(view)


def _need_bytes(data: object) -> None:
    if not isinstance(data, bytes):
        raise TypeError(f"expected bytes, not {type(data).__name__}")


def _need_key(key: bytes) -> None:
    _need_bytes(key)
    if len(key) != 4:
        raise ValueError(f"a masking key has 4 octets, not {len(key)}")


_XOR_TABLES = [_xor_integers(bytes(range(256)), bytes([octet]) * 4) for octet in range(256)]


def apply_mask(data: bytes | bytearray | memoryview, key: bytes, /) -> bytes:
    """
    Mask C{data}, or unmask it, which is the same (RFC 6455 section 5.3).

    @param data: the octets.
    @param key: the four octets of the masking key.
    @raise ValueError: the key has another length.
    """
    _need_key(key)
    return _masked(data if type(data) is bytes else _octets(data), key)


def _masked(data: bytes | bytearray | memoryview, key: bytes) -> bytes:
    length = len(data)
    if length < _LONG:
        pad = (key * ((length + 3) >> 2))[:length]
        return (int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")).to_bytes(
            length, "little"
        )
    if length > _BLOCK:
        # A block is a multiple of the key's length, so each begins with the key's first octet.
        blocks = (data[at : at + _BLOCK] for at in range(0, length, _BLOCK))
        return b"".join([_masked(block, key) for block in blocks])
    masked = bytearray(length)
    for i, octet in enumerate(key):
        masked[i::4] = bytes(data[i::4]).translate(_XOR_TABLES[octet])
    return bytes(masked)


def serialize_header(first: int, length: int, mask_bit: int) -> bytes:
    """
    Give the octets of a frame up to its masking key or its payload: the payload's length in as few
    octets as possible (RFC 6455 section 5.2).
    """
    if length < 126:
        return bytes((first, mask_bit | length))
    if length < 65536:
        return b"%c%c%b" % (first, mask_bit | 126, length.to_bytes(2, "big"))
    return b"%c%c%b" % (first, mask_bit | 127, length.to_bytes(8, "big"))


def serialize_frame(
    first: int, payload: bytes | bytearray | memoryview, key: bytes | None = None, /
) -> bytes:
    """
    Give the octets of one frame.

    @param first: its first octet: C{FIN}, C{RSV1} and the opcode.
    @param payload: what it carries, not yet masked.
    @param key: the masking key, for a client's frame; without one the frame is not masked.
    @raise ValueError: C{first} is no octet, or the key has not four.
    """
    first = index(first)
    if not 0 <= first <= 255:
        raise ValueError(f"the first octet of a frame is from 0 to 255, not {first}")
    if key is not None:
        _need_key(key)
    if type(payload) is not bytes:
        payload = _octets(payload)
    if key is None:
        return serialize_header(first, len(payload), 0) + payload
    header = serialize_header(first, len(payload), MASK)
    return b"%b%b%b" % (header, key, _masked(payload, key))


def serialize_message(message: object, /) -> bytes | None:
    """
    Give the octets of a message in one frame, neither masked nor compressed.

    @param message: text or octets.
    @return: C{None} for what is neither, or has no UTF-8, or is large, so that it had better not
        be copied: to be looked at with more care.
    """
    if isinstance(message, str):
        if str.__len__(message) > _LARGE:
            return None
        try:
            payload = str.encode(message)
        except UnicodeEncodeError:
            return None
        return serialize_header(_TEXT_WHOLE, len(payload), 0) + payload
    if not isinstance(message, bytes | bytearray | memoryview):
        return None
    octets = message if type(message) is bytes else _octets(message)
    if len(octets) > _LARGE:
        return None
    return serialize_header(_BINARY_WHOLE, len(octets), 0) + octets


def message_reader(mask_bit: int, limit: int, /) -> Callable[[bytes], str | bytes | None]:
    """
    Make a function that reads octets as one whole message: a single frame, without a fault and
    not compressed.

    @param mask_bit: C{MASK} where the frame has to be masked, 0 where it must not be.
    @param limit: how many octets the message may have; 0 for no limit.
    @return: called with what arrived, it gives the message: C{str} for text. C{None} for
        everything else, to be looked at with more care.
    @raise ValueError: C{mask_bit} is something else.
    """
    mask_bit, limit = index(mask_bit), index(limit)
    if mask_bit not in (0, MASK):
        raise ValueError(f"the mask bit is 0 or {MASK}, not {mask_bit}")
    return partial(_read_message, mask_bit, limit)


def _read_message(mask_bit: int, limit: int, data: bytes, /) -> str | bytes | None:
    _need_bytes(data)
    size = len(data)
    if size < 2:
        return None
    first = data[0]
    if first != _TEXT_WHOLE and first != _BINARY_WHOLE:
        return None
    length = data[1] ^ mask_bit
    start = 2
    if length > 125:
        if length > 127:
            return None
        start = 4 if length == 126 else 10
        length = int.from_bytes(data[2:start], "big")
        if length < (126 if start == 4 else 65536):
            return None
    payload = start + 4 if mask_bit else start
    if payload + length != size or 0 < limit < length:
        return None
    message = data[payload:]
    if mask_bit:
        message = _masked(message, data[start:payload])
    if first == _BINARY_WHOLE:
        return message
    try:
        return str(message, "utf-8")
    except UnicodeDecodeError:
        return None


class Payload:
    """
    A payload that arrives in parts.
    """

    __slots__ = ("_key", "_left", "_parts")

    _key: bytes | None
    _left: int
    _parts: list[bytes]

    # Not __init__, which may be called again.
    def __new__(cls, length: int, key: bytes | None = None, /) -> Self:
        """
        @param length: how many octets it has.
        @param key: the masking key, where it is masked.
        @raise ValueError: there is no such length, or the key has not four octets.
        """
        length = index(length)
        if length < 0:
            raise ValueError(f"a length is at least 0, not {length}")
        if key is not None:
            _need_key(key)
        self = super().__new__(cls)
        self._left = length
        self._key = key
        self._parts = []
        return self

    def take(self, data: bytes, start: int, end: int, /) -> None:
        """
        Take the part of the payload that stands in C{data} between two offsets.

        @raise ValueError: none does: the offsets are not in C{data}, or more than is left.
        """
        _need_bytes(data)
        start, end = index(start), index(end)
        if not (0 <= start <= end <= len(data) and end - start <= self._left):
            raise ValueError("no part of the payload stands there")
        part = data[start:end]
        self._left -= len(part)
        if self._key is not None:
            turn = len(part) & 3
            part = _masked(part, self._key)
            self._key = self._key[turn:] + self._key[:turn]
        self._parts.append(part)

    def end(self) -> bytes:
        """
        Give the payload, once.

        @raise ValueError: it has not arrived.
        """
        if self._left:
            raise ValueError("the payload has not arrived")
        payload = b"".join(self._parts)
        self._parts.clear()
        return payload
