"""
A message that is serialised once and sent on many connections.
"""

from __future__ import annotations

from .codec import serialize_frame
from .codes import FIN, RSV1, Opcode
from .deflate import PerMessageDeflate
from .frames import MaskingKeys
from .messages import encode_message

_keys = MaskingKeys()


class PreparedMessage:
    """
    A whole message, for any connection.

    @ivar plain: its frame where nothing masks and nothing compresses.
    """

    __slots__ = ("_first", "_frames", "_payload", "_payloads", "plain")

    def __init__(self, message: str | bytes | bytearray | memoryview) -> None:
        """
        @param message: a text message, or a binary one.
        @raise LocalProtocolError: the text has a lone surrogate.
        @raise TypeError: it is neither text nor octets.
        """
        self._first = FIN | (Opcode.TEXT if isinstance(message, str) else Opcode.BINARY)
        self._payload = encode_message(message)
        # By the size of the window, 0 for no compression.
        self._payloads: dict[int, bytes] = {0: self._payload}
        self.plain = serialize_frame(self._first, self._payload)
        self._frames: dict[int, bytes] = {0: self.plain}

    def frame(self, *, client: bool, deflate: PerMessageDeflate | None) -> bytes:
        """
        Give the octets of the message's frame. It refers to no message before it, and none after
        it may refer to what was before it.

        @param client: whether a client sends it.
        @param deflate: what compresses on the connection.
        """
        bits = 0
        first = self._first
        if deflate is not None:
            bits = deflate.out_window_bits
            first |= RSV1
            deflate.forget()
        if client:
            return serialize_frame(first, self._compressed(bits, deflate), _keys.next())
        frame = self._frames.get(bits)
        if frame is None:
            frame = self._frames[bits] = serialize_frame(first, self._compressed(bits, deflate))
        return frame

    def _compressed(self, bits: int, deflate: PerMessageDeflate | None) -> bytes:
        payload = self._payloads.get(bits)
        if payload is None:
            assert deflate is not None
            payload = self._payloads[bits] = deflate.compress(self._payload, True)
            deflate.forget()
        return payload
