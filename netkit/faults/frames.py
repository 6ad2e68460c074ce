"""
The frames of a WebSocket connection as they were sent, one direction of it (RFC 6455 section 5).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from ..wire.websocket.codec import apply_mask, serialize_frame
from ..wire.websocket.codes import FIN, MASK, Opcode

_OPCODE = 0x0F

# A frame with more octets is passed on as it comes, whatever is to become of frames.
_LARGEST = 2**20

# All are made at once, and the others' connections wait for that.
_MOST_FRAGMENTS = 10_000


@dataclass(frozen=True, slots=True)
class Frame:
    """
    A frame, or octets of one that is too large to be looked at.

    @ivar raw: the octets as sent.
    @ivar first: its first octet; 0 where it is not whole.
    @ivar start: where its payload starts in C{raw}.
    @ivar key: the masking key, if it is masked.
    """

    raw: bytes
    first: int = 0
    start: int = 0
    key: bytes | None = None

    @property
    def opcode(self) -> int | None:
        """
        Its opcode; L{None} where it is not whole.
        """
        return self.first & _OPCODE if self.start else None

    @property
    def payload(self) -> bytes:
        """
        The payload, unmasked.
        """
        masked = self.raw[self.start :]
        return masked if self.key is None else apply_mask(masked, self.key)

    def fragments(self, size: int) -> bytes:
        """
        The same message in frames whose payloads have a size, up to the last one, which has what
        so many frames left.
        """
        payload, first = self.payload, self.first & ~FIN
        begins = range(0, len(payload), size)[:_MOST_FRAGMENTS]
        frames = []
        for at, end in pairwise([*begins, len(payload)]):
            if at:
                first = Opcode.CONTINUATION
            last = self.first & FIN if end == len(payload) else 0
            frames.append(serialize_frame(first | last, payload[at:end], self.key))
        return b"".join(frames) or self.raw


class FrameSplitter:
    """
    Cuts what is sent into frames, or follows it without holding it back.
    """

    def __init__(self) -> None:
        # What there is of a frame that is not whole.
        self._pieces: list[bytes] = []
        self._held = 0
        # How many octets there have to be for a look to be worth it.
        self._wanted = 0
        # How many octets are still to come of a frame that goes on as it comes.
        self._open = 0
        # How many of the octets that are held went on already.
        self._passed = 0

    def split(self, data: bytes) -> Iterator[Frame]:
        """
        Take what was sent.

        @return: the frames that are whole; and the octets of those which are too large, or had
            begun to go on.
        """
        self._pieces.append(data)
        self._held += len(data)
        if self._held < self._wanted:
            return
        buffer, at = self._rest(), 0
        while at < len(buffer):
            if self._open:
                piece = buffer[at : at + self._open]
                self._open -= len(piece)
                at += len(piece)
                yield Frame(piece)
                continue
            header = _header(buffer, at)
            if header is None:
                break
            start, length, key = header
            if self._passed or length > _LARGEST:
                self._open = start - at + length - self._passed
                at += self._passed
                self._passed = 0
            elif start + length > len(buffer):
                self._wanted = start + length - at
                break
            else:
                yield Frame(buffer[at : start + length], buffer[at], start - at, key)
                at = start + length
        self._hold(buffer[at:])

    def follow(self, data: bytes) -> None:
        """
        Take what was sent, and goes on as it is.
        """
        if self._open > len(data):
            self._open -= len(data)
            return
        if not (self._open or self._pieces) and len(data) > 1:
            # Nearly all are small, and come alone.
            masked, length = data[1] & MASK, data[1] & ~MASK
            if length < 126 and len(data) == length + (6 if masked else 2):
                return
        at, self._open = self._open, 0
        if self._pieces:
            data = self._rest() + data
        while at < len(data):
            header = _header(data, at)
            if header is None:
                break
            start, length, _ = header
            self._open = max(0, start + length - len(data))
            at = start + length
        self._hold(data[at:])
        self._passed = self._held

    def letGo(self) -> bytes:
        """
        Follow from here on.

        @return: the octets that were held back.
        """
        passed, rest = self._passed, self._rest()
        self._passed = 0
        self.follow(rest)
        return rest[passed:]

    def _hold(self, rest: bytes) -> None:
        if rest:
            self._pieces.append(rest)
            self._held = len(rest)

    def _rest(self) -> bytes:
        rest = b"".join(self._pieces)
        self._pieces.clear()
        self._held = self._wanted = 0
        return rest


def _header(buffer: bytes, at: int) -> tuple[int, int, bytes | None] | None:
    """
    Where the payload starts, how long it is, and its masking key; L{None} where more is needed.
    """
    if len(buffer) < at + 2:
        return None
    masked, length = buffer[at + 1] & MASK, buffer[at + 1] & ~MASK
    start = at + 2
    if length > 125:
        start += 2 if length == 126 else 8
        length = int.from_bytes(buffer[at + 2 : start], "big")
    key = None
    if masked:
        key = buffer[start : start + 4]
        start += 4
    return (start, length, key) if start <= len(buffer) else None
