"""
Frames (RFC 6455 section 5), as they arrive.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from os import urandom

from ..errors import WebSocketProtocolError
from .codec import Payload, apply_mask
from .codes import CONTROL, FIN, MASK, MAX_CONTROL_PAYLOAD, RSV1, CloseCode, Opcode

_BINARY_WHOLE = FIN | Opcode.BINARY
_RSV = 0x70
_CONTROL_FIRSTS = frozenset(FIN | op for op in (Opcode.CLOSE, Opcode.PING, Opcode.PONG))
_DATA_FIRSTS = frozenset(
    fin | op for fin in (0, FIN) for op in (Opcode.CONTINUATION, Opcode.TEXT, Opcode.BINARY)
)

# The first octets that a frame may have, without and with permessage-deflate, which marks the
# first frame of a compressed message (RFC 7692 section 6).
_FIRSTS = _CONTROL_FIRSTS | _DATA_FIRSTS
_FIRSTS_RSV1 = _FIRSTS | {
    fin | RSV1 | op for fin in (0, FIN) for op in (Opcode.TEXT, Opcode.BINARY)
}


class MaskingKeys:
    """
    Makes masking keys that the application cannot foresee (RFC 6455 section 5.3), many for one
    question to the system's source of randomness.
    """

    __slots__ = ("_at", "_pool")

    _SIZE = 1024

    def __init__(self) -> None:
        self._pool = b""
        self._at = 0

    def next(self) -> bytes:
        """
        Give four octets that were not given before.
        """
        at = self._at
        if at == len(self._pool):
            self._pool = urandom(self._SIZE)
            at = 0
        self._at = at + 4
        return self._pool[at : at + 4]


class FrameReader:
    """
    Parses the frames of one direction of a connection, in whatever portions they arrive.

    @ivar between_frames: whether the octets read so far end with a frame's last.
    @ivar message_size: how many octets of the message that the next data frame belongs to came in
        earlier frames. To be set by whoever knows of messages, as the frames are gone through.
    """

    __slots__ = (
        "_collect",
        "_first",
        "_firsts",
        "_key",
        "_length",
        "_mask_bit",
        "_max_size",
        "_payload",
        "_remaining",
        "_rest",
        "message_size",
    )

    def __init__(
        self, *, masked: bool, rsv1: bool = False, max_size: int = 0, collect: bool = False
    ) -> None:
        """
        @param masked: whether the frames must be masked: those of a client must, those of a
            server must not.
        @param rsv1: whether an extension gave a meaning to the first reserved bit.
        @param max_size: how many octets the data frames of a message may carry, all together; 0
            for no limit. A frame that takes them over it is refused at its header.
        @param collect: whether to give out the payload of a frame that is a whole binary message
            as one, also where it arrives in portions.
        """
        self._mask_bit = MASK if masked else 0
        self._firsts = _FIRSTS_RSV1 if rsv1 else _FIRSTS
        self._max_size = max_size or sys.maxsize
        self.message_size = 0
        self._collect = collect
        self._payload: Payload | None = None
        # What arrived of a header, or of a control frame, that is not whole.
        self._rest = b""
        # The data frame whose payload is arriving: its first octet, its masking key turned to
        # the next octet, how long it is, and how many octets are to come.
        self._first = 0
        self._key = b""
        self._length = 0
        self._remaining = 0

    @property
    def between_frames(self) -> bool:
        return not self._remaining and not self._rest

    @property
    def buffered(self) -> int:
        """
        How many octets that were read are kept until more come.
        """
        return len(self._rest) + (0 if self._payload is None else self._length - self._remaining)

    def forget(self) -> None:
        """
        Keep no payload, and count none: nobody wants what still arrives.
        """
        self._collect = False
        self._payload = None
        self.message_size = 0

    def read(self, data: bytes) -> Iterator[tuple[int, bytes, bool]]:
        """
        Parse what arrived, frame by frame as the caller asks for them. The caller goes to the
        end of them before it hands in more.

        @return: for each frame or part of one: its first octet; the payload, unmasked; whether
            the frame ends with it. Control frames come whole; data frames come in the portions
            that arrive.
        @raise WebSocketProtocolError: a frame breaks RFC 6455 section 5 or the limit; those before
            it were given out.
        """
        position = 0
        if self._rest:
            data = self._rest + data
            self._rest = b""
        end = len(data)
        mask_bit = self._mask_bit
        firsts = self._firsts
        if self._remaining and end:
            position = min(self._remaining, end)
            self._remaining -= position
            if self._payload is None:
                yield self._first, self._part(data, 0, position), not self._remaining
            else:
                self._payload.take(data, 0, position)
                if not self._remaining:
                    payload, self._payload = self._payload.end(), None
                    yield self._first, payload, True
        key = b""
        while end - position >= 2:
            first = data[position]
            if first not in firsts:
                raise _invalid_first(first)
            length = data[position + 1] ^ mask_bit
            start = position + 2
            if length > 125:
                if length > 127:
                    raise self._wrong_mask()
                if first & CONTROL:
                    raise WebSocketProtocolError(
                        f"a control frame carries more than {MAX_CONTROL_PAYLOAD} octets",
                        CloseCode.PROTOCOL_ERROR,
                    )
                start += 2 if length == 126 else 8
                if start > end:
                    break
                length = _extended_length(data[position + 2 : start])
            if mask_bit:
                key = data[start : start + 4]
                start += 4
                if start > end:
                    break
            stop = start + length
            if stop <= end:
                if length + self.message_size > self._max_size and not first & CONTROL:
                    raise self._too_big(length)
                payload = data[start:stop]
                if mask_bit:
                    payload = apply_mask(payload, key)
                position = stop
                yield first, payload, True
                continue
            if first & CONTROL:
                break
            if length + self.message_size > self._max_size:
                raise self._too_big(length)
            self._first = first
            self._key = key
            self._length = length
            self._remaining = stop - end
            if self._collect and first == _BINARY_WHOLE:
                self._payload = Payload(length, key or None)
                self._payload.take(data, start, end)
            else:
                yield first, self._part(data, start, end), False
            return
        self._rest = data[position:]

    def _part(self, data: bytes, start: int, end: int) -> bytes:
        """
        The part of a frame's payload between two offsets, unmasked.
        """
        if not self._mask_bit:
            return data[start:end]
        key = self._key
        turn = (end - start) & 3
        self._key = key[turn:] + key[:turn]
        return apply_mask(memoryview(data)[start:end], key)

    def _too_big(self, length: int) -> WebSocketProtocolError:
        return WebSocketProtocolError(
            f"a frame of {length} octets takes its message over the limit of {self._max_size}",
            CloseCode.MESSAGE_TOO_BIG,
        )

    def _wrong_mask(self) -> WebSocketProtocolError:
        return WebSocketProtocolError(
            "a client's frame is not masked" if self._mask_bit else "a server's frame is masked",
            CloseCode.PROTOCOL_ERROR,
        )


def _invalid_first(first: int) -> WebSocketProtocolError:
    opcode = first & 0x0F
    if opcode not in frozenset(Opcode):
        problem = f"a frame has the reserved opcode 0x{opcode:x}"
    elif first & _RSV:
        problem = f"a frame sets reserved bits that mean nothing here: 0x{first & _RSV:02x}"
    else:
        problem = "a control frame is fragmented"
    return WebSocketProtocolError(problem, CloseCode.PROTOCOL_ERROR)


def _extended_length(octets: bytes) -> int:
    length = int.from_bytes(octets, "big")
    if length < (126 if len(octets) == 2 else 65536):
        raise WebSocketProtocolError(
            f"a payload length of {length} is written in {len(octets)} octets, more than it needs",
            CloseCode.PROTOCOL_ERROR,
        )
    if length >= 1 << 63:
        raise WebSocketProtocolError(
            f"a payload length has its most significant bit set: 0x{length:x}",
            CloseCode.PROTOCOL_ERROR,
        )
    return length
