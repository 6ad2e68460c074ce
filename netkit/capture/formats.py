"""
How items are written: exact octets, hex dumps, JSON, and text for a terminal.
"""

from __future__ import annotations

import json
from base64 import b64encode
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain, islice

from ..base.terminal import TerminalDecoder, printableJSON, printableLine, terminalOctets
from ..wire.addresses import address_text
from ..wire.recording import Direction, Opened
from .views import Item, Kind

#: Makes octets to be written of an item.
Format = Callable[[Item], Iterator[bytes]]

# Made once: it is asked for each item.
_toJSON = json.JSONEncoder(ensure_ascii=False).encode

# Octets as the right column of a hex dump shows them.
_VISIBLE = bytes(octet if 0x20 <= octet < 0x7F else ord(".") for octet in range(256))

# How many octets of what is no text a terminal is given.
_SHOWN = 256

# A multiple of three, so that base64 goes on without padding.
_ENCODED = 3 * 2**14

# How many octets are written as rows at once: a multiple of sixteen.
_PIECE = 2**14

_ARROWS = {Direction.RECEIVED: "<", Direction.SENT: ">", None: "-"}


def text(item: Item) -> Iterator[bytes]:
    """
    The exact octets, and nothing else.
    """
    return item.octets()


def hexdump(item: Item) -> Iterator[bytes]:
    """
    A line of who and when, then a hex dump.
    """
    direction = item.direction or "-"
    line = f"# {_time(item)} {item.connection.service} {_peer(item.connection)} {direction}"
    line += f" {item.kind} {item.length} bytes"
    yield f"{printableLine(line + _summary(item) + _remark(item))}\n".encode()
    yield from _rows(item.octets())


def _rows(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """
    The rows of a hex dump, sixteen octets each.
    """
    at, rest = 0, b""
    for piece in chain(pieces, [None]):
        part = rest if piece is None else rest + piece
        whole = len(part) if piece is None else len(part) - len(part) % 16
        for start in range(0, whole, _PIECE):
            yield "".join(
                f"{at + row:08x}  {part[row : row + 16].hex(' '):<47}  "
                f"|{part[row : row + 16].translate(_VISIBLE).decode()}|\n"
                for row in range(start, min(start + _PIECE, whole), 16)
            ).encode()
        at += whole
        rest = part[whole:]


def jsonLine(item: Item) -> Iterator[bytes]:
    """
    An object, on a line of its own. What is not whole or wrong has C{wrong}, which says why.
    """
    entry: dict[str, object] = {
        "time": _time(item),
        "service": item.connection.service,
        "connection": item.connection.connection,
        "peer": _peer(item.connection),
        "direction": item.direction or "none",
        "kind": item.kind,
        **item.about,
    }
    if item.wrong:
        entry["wrong"] = item.wrong
    if item.lost:
        entry["lost"] = item.lost
    # What a peer sent may stand in any value, and must not control a terminal.
    yield printableJSON(_toJSON(entry))[:-1].encode()
    if item.data is not None and len(item.data):
        if _isText(item):
            yield b', "encoding": "utf-8", "data": "'
            decoder = getincrementaldecoder("utf-8")()
            for piece in item.content():
                part = _toJSON(decoder.decode(piece))[1:-1]
                yield printableJSON(part).encode()
        else:
            yield b', "encoding": "base64", "data": "'
            yield from _base64(item)
        yield b'"'
    yield b"}\n"


class TerminalFormat:
    """
    For a person at a terminal: a line of who and when, then the text; nothing that a peer sent
    controls the terminal.
    """

    def __init__(self, *, colour: bool) -> None:
        """
        @param colour: whether the terminal has colours.
        """
        self._colour = colour

    def __call__(self, item: Item) -> Iterator[bytes]:
        """
        Write an item, from the beginning of a line to the end of one.
        """
        clock = datetime.fromtimestamp(item.time / 10**9).strftime("%H:%M:%S.%f")[:-3]
        opened = item.connection
        arrow = _ARROWS[item.direction]
        head = f"{clock} {opened.service} {opened.connection} {_peer(opened)} {arrow} {item.kind}"
        head = printableLine(head + _summary(item))
        wrong = printableLine(_remark(item))
        if self._colour:
            shade = "36" if item.direction is Direction.RECEIVED else "2"
            head = f"\x1b[{shade}m{head}\x1b[0m"
            wrong = f"\x1b[33m{wrong}\x1b[0m" if wrong else ""
        yield terminalOctets(f"{head}{wrong}\n")
        if item.head:
            yield from _readable([item.head])
        if _isReadable(item):
            yield from _readable(item.content())
            return
        shown = b"".join(islice(item.content(), 1))[:_SHOWN]
        yield from _rows([shown])
        rest = len(item.data or b"") - len(shown)
        if rest:
            yield f"... {rest} more bytes\n".encode()


def _readable(pieces: Iterable[bytes | bytearray]) -> Iterator[bytes]:
    """
    Text for a terminal, up to the end of a line.
    """
    decoder = TerminalDecoder()
    last = ""
    for piece in pieces:
        decoded = decoder.decode(piece)
        last = decoded or last
        yield terminalOctets(decoded)
    decoded = decoder.decode(b"", final=True)
    last = decoded or last
    yield terminalOctets(decoded)
    if last and not last.endswith("\n"):
        yield b"\n"


def _summary(item: Item) -> str:
    about = item.about
    if item.kind is Kind.NOTE:
        return f": {about['text']}" if "text" in about else ""
    if item.kind is Kind.CLOSED:
        return f": {about['how']}" + (f": {about['reason']}" if about["reason"] else "")
    if item.kind is Kind.CLOSE:
        return f": {about['code']} {about['reason']}".rstrip()
    return ""


def _remark(item: Item) -> str:
    remarks = [item.wrong] if item.wrong else []
    if item.lost:
        remarks.append(f"there was no room to keep {item.lost} octets")
    return f" ({'; '.join(remarks)})" if remarks else ""


def _time(item: Item) -> str:
    seconds, milliseconds = divmod(item.time // 10**6, 1000)
    return f"{_second(seconds)}.{milliseconds:03d}+00:00"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _peer(opened: Opened) -> str:
    return address_text(opened.peer)


def _isText(item: Item) -> bool:
    decoder = getincrementaldecoder("utf-8")()
    try:
        for piece in item.content():
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _isReadable(item: Item) -> bool:
    """
    Whether a person can read it: text has no NUL, and a little of another encoding can be shown
    escaped.
    """
    if any(b"\0" in piece for piece in item.content()):
        return False
    return len(item.data or b"") <= _SHOWN or _isText(item)


def _base64(item: Item) -> Iterator[bytes]:
    rest = b""
    for piece in item.content():
        rest += piece
        whole = len(rest) - len(rest) % 3
        for start in range(0, whole, _ENCODED):
            yield b64encode(rest[start : min(start + _ENCODED, whole)])
        rest = rest[whole:]
    yield b64encode(rest)
