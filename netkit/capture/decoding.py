"""
Content codings (RFC 9110 section 8.4), for those who look at a message.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from itertools import chain
from typing import Any

#: How much of a decoded content is looked at.
LIMIT = 64 * 2**20

_Decode = Callable[[Iterable[bytes | bytearray], int], Iterator[bytes]]


class Undecodable(ValueError):
    """
    A content is not what its codings say, or is too much, or needs a package that is not there.
    """


def decoded(pieces: Iterable[bytes | bytearray], codings: str, limit: int = LIMIT) -> bytes:
    """
    Undo the codings of a content.

    @param pieces: the content.
    @param codings: the value of C{Content-Encoding}.
    @param limit: how many octets may come out of each coding.
    @raise Undecodable: it cannot be done; the message says why.
    """
    content: Iterable[bytes | bytearray] = pieces
    names = [name.strip().lower() for name in codings.split(",")]
    for name in reversed(names):
        if name in ("", "identity"):
            continue
        decode = _CODINGS.get(name)
        if decode is None:
            raise Undecodable(f"the content coding {name!r} is unknown")
        content = _limited(decode(content, limit), limit)
    return b"".join(content)


def _limited(pieces: Iterator[bytes], limit: int) -> Iterator[bytes]:
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > limit:
            raise Undecodable(f"there is more than {limit} octets of it")
        yield piece


def _gzip(pieces: Iterable[bytes | bytearray], limit: int) -> Iterator[bytes]:
    return _inflated(pieces, 16 + zlib.MAX_WBITS)


def _deflate(pieces: Iterable[bytes | bytearray], limit: int) -> Iterator[bytes]:
    rest = iter(pieces)
    first = b""
    for piece in rest:
        first += piece
        if len(first) >= 2:
            break
    # Many send it without the zlib format around it (RFC 9110 section 8.4.1.2).
    zlibs = len(first) >= 2 and first[0] & 15 == 8 and int.from_bytes(first[:2], "big") % 31 == 0
    return _inflated(chain([first], rest), zlib.MAX_WBITS if zlibs else -zlib.MAX_WBITS)


def _inflated(pieces: Iterable[bytes | bytearray], bits: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(bits)
    for piece in pieces:
        rest = bytes(piece)
        while rest:
            if inflater.eof:
                # gzip may have several members.
                inflater = zlib.decompressobj(bits)
            try:
                yield inflater.decompress(rest, 2**16)
            except zlib.error as error:
                raise Undecodable(str(error)) from error
            rest = inflater.unused_data or inflater.unconsumed_tail
    yield inflater.flush()
    if not inflater.eof:
        raise Undecodable("it is cut short")


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise Undecodable(f"that takes the package {name}, which is not installed") from error


def _brotli(pieces: Iterable[bytes | bytearray], limit: int) -> Iterator[bytes]:
    brotli = _package("brotli")
    decompressor = brotli.Decompressor()
    for piece in pieces:
        for start in range(0, len(piece), 2**10):
            try:
                yield decompressor.process(bytes(piece[start : start + 2**10]))
            except brotli.error as error:
                raise Undecodable(str(error)) from error
    if not decompressor.is_finished():
        raise Undecodable("it is cut short")


def _zstandard(pieces: Iterable[bytes | bytearray], limit: int) -> Iterator[bytes]:
    zstandard = _package("zstandard")
    decompressor = zstandard.ZstdDecompressor(max_window_size=2**27).decompressobj()
    for piece in pieces:
        for start in range(0, len(piece), 2**10):
            try:
                yield decompressor.decompress(bytes(piece[start : start + 2**10]))
            except zstandard.ZstdError as error:
                raise Undecodable(str(error)) from error


_CODINGS: dict[str, _Decode] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstandard,
}
