"""
Content (RFC 9112 sections 6 and 7): what follows a head, by length, in chunks, or up to the
connection's end.
"""

from __future__ import annotations

import re
from typing import Protocol

from ..errors import HTTPProtocolError
from .fields import TOKEN, Fields, SectionParser, show
from .limits import Limits


class Content:
    """
    A piece of a message's content.

    @ivar data: the piece.
    @ivar raw: the octets it was sent in; with the chunked coding this has the framing too, and
        may end anywhere in it.
    """

    __slots__ = ("data", "raw")

    def __init__(self, data: bytes, raw: bytes) -> None:
        self.data = data
        self.raw = raw

    def __repr__(self) -> str:
        return f"<Content {show(self.data)}>"


class EndOfMessage:
    """
    A message is complete.

    @ivar trailers: the trailer section, empty for most messages.
    @ivar raw: the octets that ended it: none, or the last chunk and the trailer section.
    """

    __slots__ = ("raw", "trailers")

    def __init__(self, trailers: Fields, raw: bytes) -> None:
        self.trailers = trailers
        self.raw = raw

    def __repr__(self) -> str:
        return f"<EndOfMessage {self.trailers!r}>"


# The end of every message that has no trailer section.
END = EndOfMessage(Fields(), b"")


class Decoder(Protocol):
    """
    Takes one message's content out of what arrived.
    """

    def decode(
        self, buffer: bytes, position: int, ended: bool
    ) -> tuple[Content | EndOfMessage | None, int]:
        """
        Take the next event.

        @param buffer: what has arrived.
        @param position: where to go on in it.
        @param ended: whether nothing will follow the buffer.
        @return: the event, C{None} when more is needed; and where to go on after it.
        @raise HTTPProtocolError: the content is malformed, too large, or ended too early.
        """


def _ended_early(what: str) -> HTTPProtocolError:
    return HTTPProtocolError(f"the connection ended before the content did: {what}", 400)


class LengthDecoder:
    """
    Content of a known length (RFC 9112 section 6.2).
    """

    __slots__ = ("left",)

    def __init__(self, length: int) -> None:
        """
        @param length: the value of Content-Length.
        """
        self.left = length

    def decode(
        self, buffer: bytes, position: int, ended: bool
    ) -> tuple[Content | EndOfMessage | None, int]:
        if not self.left:
            return END, position
        data = buffer[position : position + self.left]
        if data:
            self.left -= len(data)
            return Content(data, data), position + len(data)
        if ended:
            raise _ended_early(f"{self.left} octets are missing")
        return None, position


class EndDecoder:
    """
    Content up to the end of the connection, in responses alone (RFC 9112 section 6.3).
    """

    __slots__ = ("_max_content", "_size")

    def __init__(self, limits: Limits) -> None:
        """
        @param limits: how large it may be.
        """
        self._max_content = limits.content
        self._size = 0

    def decode(
        self, buffer: bytes, position: int, ended: bool
    ) -> tuple[Content | EndOfMessage | None, int]:
        data = buffer[position:]
        if data:
            self._size += len(data)
            check_content(self._size, self._max_content)
            return Content(data, data), len(buffer)
        return (END if ended else None), position


# RFC 9112 section 7.1.
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]++|\\[\t -~\x80-\xff])*+"'
_EXTENSIONS = (
    rb"(?:[ \t]*+;[ \t]*+"
    + TOKEN
    + rb"(?:[ \t]*+=[ \t]*+(?:"
    + TOKEN
    + rb"|"
    + _QUOTED
    + rb"))?+)*+"
)
_FIRST_CHUNK = re.compile(rb"([0-9A-Fa-f]++)(" + _EXTENSIONS + rb")\r\n")
_NEXT_CHUNK = re.compile(rb"\r\n([0-9A-Fa-f]++)(" + _EXTENSIONS + rb")\r\n")

# A chunk size of more digits is over any limit; int() never sees it.
_MAX_DIGITS = 16

# So many chunks are taken at a time: whoever asks can do something else in between.
_MAX_RUN = 64

# What says how a message is framed and where it goes has been acted upon when the trailer section
# comes; there it can only deceive somebody else (RFC 9110 section 6.5.1). Other fields are apart
# from the header section, and can do no harm.
_REFUSED_TRAILERS = frozenset({b"content-length", b"host", b"transfer-encoding"})


class ChunkedDecoder:
    """
    The chunked transfer coding (RFC 9112 section 7.1). What has arrived of a run of chunks is
    one L{Content}, of so many chunks at most that it takes little time.
    """

    __slots__ = (
        "_chunk",
        "_extensions",
        "_left",
        "_max_content",
        "_max_extensions",
        "_section",
        "_size",
        "_trailers",
    )

    def __init__(self, limits: Limits) -> None:
        """
        @param limits: how large everything may be.
        """
        self._max_content = limits.content
        self._max_extensions = self._extensions = limits.chunk_extensions
        self._section = SectionParser("trailer section", limits.trailer_section, limits.fields)
        self._chunk = _FIRST_CHUNK
        self._left = 0
        self._size = 0
        # How many octets of the last chunk's line stand before the trailer section.
        self._trailers = 0

    def decode(
        self, buffer: bytes, position: int, ended: bool
    ) -> tuple[Content | EndOfMessage | None, int]:
        start = position
        pieces: list[bytes] = []
        while not self._trailers and len(pieces) < _MAX_RUN:
            if self._left:
                piece = buffer[position : position + self._left]
                if not piece:
                    break
                pieces.append(piece)
                position += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
            match = self._chunk.match(buffer, position)
            if match is None:
                self._check_line(buffer, position)
                break
            digits, extensions = match.groups()
            # Zeros in front of a size are as good a place to hide octets in as an extension is.
            self._extensions -= len(extensions) + max(len(digits) - _MAX_DIGITS, 0)
            if self._extensions < 0:
                raise self._too_many_extensions()
            digits = digits.lstrip(b"0")
            if len(digits) > _MAX_DIGITS:
                raise HTTPProtocolError(f"a chunk's size is too large: {show(digits)}", 413)
            self._chunk = _NEXT_CHUNK
            self._left = int(digits or b"0", 16)
            if self._left:
                position = match.end()
                check_content(self._size + position - start + self._left, self._max_content)
            else:
                self._trailers = match.end() - position
        if position > start:
            self._size += position - start
            return Content(b"".join(pieces), buffer[start:position]), position
        if self._trailers:
            return self._decode_trailers(buffer, position, ended)
        if ended:
            raise _ended_early("the last chunk is missing")
        return None, position

    def _decode_trailers(
        self, buffer: bytes, position: int, ended: bool
    ) -> tuple[EndOfMessage | None, int]:
        section = position + self._trailers
        end = self._section.parse(buffer, section)
        if end is None:
            if ended:
                raise _ended_early("the trailer section has no end")
            return None, position
        trailers = Fields(buffer[section:end])
        for name, _ in trailers:
            if name.lower() in _REFUSED_TRAILERS:
                raise HTTPProtocolError(
                    f"{show(name)} is not allowed in a trailer section (RFC 9110 section 6.5.1)",
                    400,
                )
        return EndOfMessage(trailers, buffer[position:end]), end

    def _too_many_extensions(self) -> HTTPProtocolError:
        return HTTPProtocolError(
            f"the chunk extensions, and zeros before sizes, are more than"
            f" {self._max_extensions} octets",
            413,
        )

    def _check_line(self, buffer: bytes, position: int) -> None:
        """
        The line of a chunk's size does not match: see whether it only is not complete.
        """
        if self._chunk is _NEXT_CHUNK:
            # Behind the data of a chunk comes CRLF.
            found = buffer[position : position + 2]
            if not b"\r\n".startswith(found):
                raise HTTPProtocolError(
                    f"a chunk's data is not followed by CRLF but by {show(found)}", 400
                )
            position += 2
        end = buffer.find(b"\n", position)
        if (end if end >= 0 else len(buffer)) - position > _MAX_DIGITS + 1 + self._extensions:
            raise self._too_many_extensions()
        if end >= 0:
            line = buffer[position : end + 1]
            raise HTTPProtocolError(
                f"not a chunk's size and extensions in a line: {show(line)}", 400
            )


def check_content(size: int, limit: int) -> None:
    """
    Refuse content that is too large.

    @raise HTTPProtocolError: 413: C{size} is more than C{limit} octets.
    """
    if limit and size > limit:
        raise HTTPProtocolError(f"the content is larger than {limit} octets", 413)
