"""
Messages: put together from the payloads of their frames (RFC 6455 section 5.4), inflated, and
checked to be UTF-8 where they are text (section 8.1).
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from io import StringIO

from ..errors import LocalProtocolError, WebSocketProtocolError
from .codes import CloseCode
from .deflate import PerMessageDeflate

_new_decoder = codecs.getincrementaldecoder("utf-8")


def decode_text(payload: bytes) -> str:
    """
    Decode the payload of a whole text message.

    @raise WebSocketProtocolError: it is not UTF-8.
    """
    try:
        return str(payload, "utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(error) from error


def encode_message(message: str | bytes | bytearray | memoryview) -> bytes:
    """
    Encode what is to be sent, as text or as binary data.

    @raise LocalProtocolError: it is text with a lone surrogate.
    @raise TypeError: it is neither text nor octets.
    """
    if isinstance(message, str):
        return encode_text(message)
    if isinstance(message, bytes | bytearray | memoryview):
        return bytes(message)
    # Not to bytes(), which makes five zero octets of 5.
    raise TypeError(f"a message is text or octets, not {message!r}")


def encode_text(text: str) -> bytes:
    """
    Encode what is to be sent as text.

    @raise LocalProtocolError: it has a lone surrogate, which UTF-8 cannot encode.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise LocalProtocolError(
            f"text with the lone surrogate {text[error.start]!r} at {error.start} "
            "cannot be sent: it has no UTF-8"
        ) from error


class IncomingMessage:
    """
    A message that is arriving. It refuses what is over the limit or is no UTF-8 as soon as that
    arrives; its cost is linear in its size, whatever the pieces.

    @ivar frames: how many frames it has so far.
    @ivar between_frames: whether its last frame so far is whole.
    @ivar received: how many octets its frames carried so far.
    """

    __slots__ = (
        "_binary",
        "_decoder",
        "_deflate",
        "_max_size",
        "_size",
        "_text",
        "between_frames",
        "frames",
        "received",
    )

    def __init__(
        self, *, text: bool, keep: bool, max_size: int, deflate: PerMessageDeflate | None
    ) -> None:
        """
        @param text: whether it is text; else binary.
        @param keep: whether to keep what arrived for L{end}.
        @param max_size: how many octets it may have once inflated; 0 for no limit.
        @param deflate: what inflates it, if it is compressed.
        """
        self._decoder = _new_decoder() if text else None
        # Many small pieces in a list would take a multiple of the message's size.
        self._text = StringIO() if text and keep else None
        self._binary = bytearray() if not text and keep else None
        self._max_size = max_size
        self._size = 0
        self._deflate = deflate
        self.frames = 1
        self.between_frames = False
        self.received = 0

    @property
    def buffered(self) -> int:
        """
        How many octets are kept for L{end}.
        """
        return 0 if self._text is None and self._binary is None else self._size

    def parts(self, payload: bytes, last: bool) -> Iterator[str | bytes]:
        """
        Take the next part.

        @param payload: what its frames carry.
        @param last: whether nothing follows.
        @return: the same, inflated and decoded. The caller goes through it to the end.
        @raise WebSocketProtocolError: it is over the limit, or does not inflate, or is no UTF-8.
        """
        self.received += len(payload)
        inflated: Iterable[bytes] = (payload,)
        if self._deflate is not None:
            inflated = self._deflate.decompress(payload, last)
        return self.take(inflated)

    def take(self, inflated: Iterable[bytes]) -> Iterator[str | bytes]:
        """
        Take the next part, which was inflated.

        @param inflated: its portions.
        @return: the same, decoded. The caller goes through it to the end.
        @raise WebSocketProtocolError: as L{parts}.
        """
        for part in inflated:
            self._size += len(part)
            if 0 < self._max_size < self._size:
                raise WebSocketProtocolError(
                    f"a message is over the limit of {self._max_size} octets",
                    CloseCode.MESSAGE_TOO_BIG,
                )
            if self._decoder is None:
                if self._binary is not None:
                    self._binary += part
                yield part
            else:
                text = self._decode(part, False)
                if self._text is not None:
                    self._text.write(text)
                yield text

    def end(self) -> str | bytes | bytearray:
        """
        Give the whole message, or nothing where it was not kept.

        @raise WebSocketProtocolError: it ends within a character.
        """
        if self._decoder is None:
            return b"" if self._binary is None else self._binary
        self._decode(b"", True)
        return "" if self._text is None else self._text.getvalue()

    def _decode(self, part: bytes, final: bool) -> str:
        assert self._decoder is not None
        try:
            text = self._decoder.decode(part, final)
            # Python waits for the third octet of what can only become a surrogate.
            rest = self._decoder.getstate()[0]
            if rest[:1] == b"\xed" and rest[1:] >= b"\xa0":
                rest.decode()
        except UnicodeDecodeError as error:
            raise _not_utf8(error) from error
        return text


def _not_utf8(error: UnicodeDecodeError) -> WebSocketProtocolError:
    octets = bytes(error.object[error.start : error.end]).hex(" ")
    return WebSocketProtocolError(
        f"a text is not UTF-8: {error.reason}: {octets}",
        CloseCode.INVALID_PAYLOAD,
    )
