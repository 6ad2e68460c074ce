"""
permessage-deflate (RFC 7692): its negotiation, and the compression of messages.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from ..errors import WebSocketProtocolError
from .codes import CloseCode
from .extensions import Extension

NAME = "permessage-deflate"

# What ends each message's data, and is left out of it (RFC 7692 section 7.2.1).
_TAIL = b"\x00\x00\xff\xff"

# How much is inflated at a time: the most by which a limit on the size is overstepped.
_PORTION = 2**16

# How much is handed to zlib at a time, which copies what it has not got to.
_SLICE = 2**14


@dataclass(frozen=True, slots=True)
class DeflateSettings:
    """
    What we want of the compression.

    @ivar level: 1 (fastest, by isal where that is installed, otherwise by zlib) to 9 (smallest).
    @ivar memory: zlib's memory level for compressing, 1 to 9; isal has room for its own.
    @ivar window_bits: the size of the windows, 8 to 15: of ours at most, and of the peer's
        where it lets us say so.
    @ivar context_takeover: whether a message may refer to earlier ones, in both directions:
        smaller messages for more memory.
    """

    level: int = 6
    memory: int = 5
    window_bits: int = 12
    context_takeover: bool = True


class PerMessageDeflate:
    """
    Compresses and inflates the messages of one connection. What that needs is made with the
    first message, and a connection that is idle from the start does without.
    """

    __slots__ = (
        "_deflater",
        "_inflater",
        "_level",
        "_memory",
        "in_takeover",
        "in_window_bits",
        "out_takeover",
        "out_window_bits",
    )

    def __init__(
        self,
        *,
        out_window_bits: int = 15,
        in_window_bits: int = 15,
        out_takeover: bool = True,
        in_takeover: bool = True,
        level: int = 6,
        memory: int = 5,
    ) -> None:
        """
        @param out_window_bits: the size of our window.
        @param in_window_bits: the size of the peer's.
        @param out_takeover: whether our messages may refer to earlier ones.
        @param in_takeover: whether the peer's may.
        @param level: as of L{DeflateSettings}.
        @param memory: zlib's memory level.
        """
        self.out_window_bits = out_window_bits
        self.in_window_bits = in_window_bits
        self.out_takeover = out_takeover
        self.in_takeover = in_takeover
        self._level = level
        self._memory = memory
        self._deflater: zlib._Compress | None = None
        self._inflater: zlib._Decompress | None = None

    def compress(self, payload: bytes | bytearray | memoryview, last: bool) -> bytes:
        """
        Compress a part of a message.

        @param last: whether the message ends with it.
        """
        deflater = self._deflater
        if deflater is None:
            self._deflater = deflater = self._new_deflater()
        data = deflater.compress(payload)
        if not last:
            return data
        data += deflater.flush(zlib.Z_SYNC_FLUSH)
        if not self.out_takeover:
            self._deflater = None
        return data[: -len(_TAIL)]

    def forget(self) -> None:
        """
        Let the next message not refer to earlier ones: something was sent that this compressor
        has not seen.
        """
        self._deflater = None

    def decompress(self, payload: bytes, last: bool) -> tuple[bytes] | Iterator[bytes]:
        """
        Inflate a part of a message, portion by portion, so that the caller may stop at its limit
        before the rest takes memory.

        @param last: whether the message ends with it.
        @return: the portions; a tuple of one where that is all, as of most messages. The caller
            goes through an iterator to its end.
        @raise WebSocketProtocolError: it is no DEFLATE data; from the iteration as well.
        """
        if last:
            payload += _TAIL
        if len(payload) > _SLICE:
            return self._sliced(payload, last)
        portion, rest = self._inflate(payload)
        if rest is not None:
            return self._portions(portion, rest, last)
        if last:
            self._end()
        return (portion,)

    def _sliced(self, payload: bytes, last: bool) -> Iterator[bytes]:
        for start in range(0, len(payload), _SLICE):
            yield from self._portions(*self._inflate(payload[start : start + _SLICE]), False)
        if last:
            self._end()

    def _portions(self, portion: bytes, rest: bytes | None, last: bool) -> Iterator[bytes]:
        yield portion
        while rest is not None:
            portion, rest = self._inflate(rest)
            yield portion
        if last:
            self._end()

    def _end(self) -> None:
        if not self.in_takeover or (self._inflater is not None and self._inflater.eof):
            self._inflater = None

    def _inflate(self, data: bytes) -> tuple[bytes, bytes | None]:
        """
        Inflate a portion.

        @return: the portion, and what is still to be inflated; L{None} where nothing is left,
            neither here nor in zlib.
        """
        inflater = self._inflater
        if inflater is None:
            self._inflater = inflater = zlib.decompressobj(-self.in_window_bits)
        try:
            portion = inflater.decompress(data, _PORTION)
        except zlib.error as error:
            raise WebSocketProtocolError(
                f"a message cannot be inflated: {error}", CloseCode.INVALID_PAYLOAD
            ) from error
        if inflater.eof:
            # A sender may end the stream and begin a new one (RFC 7692 section 7.2.3.4).
            self._inflater = None
            return portion, inflater.unused_data or None
        rest = inflater.unconsumed_tail
        return portion, rest if rest or len(portion) == _PORTION else None

    def _new_deflater(self) -> zlib._Compress:
        bits = self.out_window_bits
        if bits == 8:
            # zlib has no such window. Run lengths refer one octet back, which fits any window.
            return zlib.compressobj(
                self._level, zlib.DEFLATED, -9, self._memory, strategy=zlib.Z_RLE
            )
        make = _fastest() if self._level == 1 else zlib.compressobj
        return make(self._level, zlib.DEFLATED, -bits, self._memory)


@cache
def _fastest() -> Callable[..., zlib._Compress]:
    """
    Find what compresses at level 1. Isal takes half the time of zlib for as many octets there, and
    makes them no fewer at any other level.
    """
    try:
        from isal.isal_zlib import compressobj
    except ImportError:
        return zlib.compressobj
    # It has the methods of zlib's, and a type of its own.
    return compressobj  # type: ignore[return-value]


def offer(settings: DeflateSettings) -> list[Extension]:
    """
    Make a client's offer (RFC 7692 section 7.1): what we would like, and behind it, for a server
    that does not do all that, what we can live with: whatever the server does to its messages.

    @param settings: what we want.
    @return: the elements of the offer, the preferred one first.
    """
    server: list[tuple[str, str | None]] = []
    client: list[tuple[str, str | None]] = []
    if not settings.context_takeover:
        server.append(("server_no_context_takeover", None))
        client.append(("client_no_context_takeover", None))
    if settings.window_bits < 15:
        server.append(("server_max_window_bits", str(settings.window_bits)))
        client.append(("client_max_window_bits", str(settings.window_bits)))
    else:
        client.append(("client_max_window_bits", None))
    offers = [Extension(NAME, (*server, *client)), Extension(NAME, tuple(client))]
    return offers if server else offers[1:]


def accept(
    offers: Sequence[Extension], settings: DeflateSettings
) -> tuple[Extension, PerMessageDeflate] | None:
    """
    Choose one of a client's offers: the first that can be had.

    @return: what to answer, and what compresses from then on; L{None} if no offer can be had.
    """
    for candidate in offers:
        if candidate.name != NAME:
            continue
        try:
            asked = _parse(candidate, "offer")
        except WebSocketProtocolError:
            # An offer with something in it that we do not know is declined (section 7.1).
            continue
        takeover = settings.context_takeover
        server_takeover = takeover and not asked.server_no_context_takeover
        client_takeover = takeover and not asked.client_no_context_takeover
        server_bits = min(settings.window_bits, asked.server_max_window_bits or 15)
        client_bits = 15
        if asked.client_max_window_bits is not None:
            client_bits = min(settings.window_bits, asked.client_max_window_bits)
        parameters: list[tuple[str, str | None]] = []
        if not server_takeover:
            parameters.append(("server_no_context_takeover", None))
        if not client_takeover:
            parameters.append(("client_no_context_takeover", None))
        if server_bits < 15 or asked.server_max_window_bits is not None:
            parameters.append(("server_max_window_bits", str(server_bits)))
        if client_bits < 15:
            parameters.append(("client_max_window_bits", str(client_bits)))
        return Extension(NAME, tuple(parameters)), PerMessageDeflate(
            out_window_bits=server_bits,
            in_window_bits=client_bits,
            out_takeover=server_takeover,
            in_takeover=client_takeover,
            level=settings.level,
            memory=settings.memory,
        )
    return None


def agree(answer: Extension, settings: DeflateSettings) -> PerMessageDeflate:
    """
    Take a server's answer to our offer, whichever element of L{offer} it answers: the last one
    leaves the server's window and context to the server.

    @param answer: what the server agrees to.
    @param settings: what the offer was made of.
    @raise WebSocketProtocolError: it is no answer to that.
    """
    agreed = _parse(answer, "response")
    client_bits = min(settings.window_bits, agreed.client_max_window_bits or 15)
    return PerMessageDeflate(
        out_window_bits=client_bits,
        in_window_bits=agreed.server_max_window_bits or 15,
        out_takeover=settings.context_takeover and not agreed.client_no_context_takeover,
        in_takeover=not agreed.server_no_context_takeover,
        level=settings.level,
        memory=settings.memory,
    )


@dataclass(slots=True)
class _Parameters:
    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    client_max_window_bits: int | None = None


def _parse(extension: Extension, kind: str) -> _Parameters:
    parameters = _Parameters()
    seen = set()
    for name, value in extension.parameters:
        if name in seen:
            raise _bad(extension, f"{name} stands in it twice")
        seen.add(name)
        if name in ("server_no_context_takeover", "client_no_context_takeover"):
            if value is not None:
                raise _bad(extension, f"{name} has a value")
            setattr(parameters, name, True)
        elif name in ("server_max_window_bits", "client_max_window_bits"):
            if value is None and name == "client_max_window_bits" and kind == "offer":
                parameters.client_max_window_bits = 15
            elif value in _WINDOW_BITS:
                setattr(parameters, name, int(value))
            else:
                raise _bad(extension, f"{name} is not 8 to 15")
        else:
            raise _bad(extension, f"{name} is unknown")
    return parameters


_WINDOW_BITS = {str(bits) for bits in range(8, 16)}


def _bad(extension: Extension, problem: str) -> WebSocketProtocolError:
    return WebSocketProtocolError(
        f'the extension "{extension}" cannot be used: {problem}',
        CloseCode.MANDATORY_EXTENSION,
    )
