"""
The printed stream: where a service shows what arrived, apart from the log.
"""

from __future__ import annotations

import json
import os
import select
import sys
from base64 import b64encode
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from zope.interface import implementer

from ..base.addresses import addressText
from ..base.terminal import TerminalDecoder, printableJSON, terminalOctets
from ..interfaces import IPrinter
from .errors import CannotStart

_log = Logger()

# How many bytes are turned into a format's text at once.
_PIECE = 2**16

# Octets as the right column of a hex dump shows them.
_VISIBLE = bytes(octet if 0x20 <= octet < 0x7F else ord(".") for octet in range(256))

Record = Callable[[str, str, "bytes | bytearray"], Iterable["bytes | bytearray"]]


class Output:
    """
    A stream that services print to, opened when they start.

    Writing waits until the stream takes it. So a slow reader of the output slows the service
    down, and through it its clients: nothing is lost, nothing piles up.
    """

    def __init__(self, path: str, format: str) -> None:
        """
        @param path: a file to append to, or C{-} for standard output.
        @param format: one of L{FORMATS}.
        """
        self.path = path
        self.format = format
        self._fd: int | None = None
        self._record = _RECORDS.get(format, _text)

    def open(self) -> None:
        """
        Open the stream; to be called before anything is printed.

        @raise CannotStart: when it cannot be written to.
        """
        if self.format == "none" or self._fd is not None:
            return
        try:
            if self.path == "-":
                # A descriptor of our own: what becomes of sys.stdout is the logger's business.
                self._fd = os.dup(sys.__stdout__.fileno() if sys.__stdout__ else -1)
            else:
                # Without O_NONBLOCK a FIFO that nobody reads would hold up the start for ever.
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
                self._fd = os.open(self.path, flags, 0o666)
        except OSError as error:
            raise CannotStart(
                f"--output {self.path!r} cannot be opened: {error.strerror}"
            ) from error
        if self.format == "text" and os.isatty(self._fd):
            self._record = _terminalText

    def close(self) -> None:
        """
        Close the stream.
        """
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def printer(self, service: str) -> IPrinter | None:
        """
        Make what shows the data of a service on this stream; L{None} for the format C{none}, so
        that a protocol need not do anything about it.

        @param service: the service's name.
        """
        return None if self.format == "none" else Printer(self, service)

    def write(self, service: str, peer: str, data: bytes | bytearray) -> None:
        """
        Write one record in the stream's format.

        @raise OSError: when the stream does not take it whole.
        """
        assert self._fd is not None, "the output is not open"
        for piece in self._record(service, peer, data):
            rest = memoryview(piece)
            while rest:
                try:
                    rest = rest[os.write(self._fd, rest) :]
                except BlockingIOError:
                    select.select([], [self._fd], [])


@implementer(IPrinter)
class Printer:
    """
    Shows what the clients of one service sent.
    """

    def __init__(self, output: Output, service: str) -> None:
        self._output = output
        self._service = service

    def received(self, peer: IAddress, data: bytes | bytearray) -> None:
        try:
            self._output.write(self._service, addressText(peer), data)
        except OSError as error:
            _log.error(
                "{length} bytes from {peer} were not printed whole: {path!r}: {reason}",
                length=len(data),
                peer=addressText(peer),
                path=self._output.path,
                reason=error.strerror,
            )


def _text(service: str, peer: str, data: bytes | bytearray) -> Iterable[bytes | bytearray]:
    return (data,)


def _terminalText(service: str, peer: str, data: bytes | bytearray) -> Iterable[bytes]:
    yield terminalOctets(TerminalDecoder().decode(data, final=True))


def _hex(service: str, peer: str, data: bytes | bytearray) -> Iterable[bytes]:
    yield f"# {_now()} {service} {peer} received {len(data)} bytes\n".encode()
    for start in range(0, len(data), _PIECE):
        piece = data[start : start + _PIECE]
        lines = [
            f"{start + at:08x}  {piece[at : at + 16].hex(' '):<47}  "
            f"|{piece[at : at + 16].translate(_VISIBLE).decode()}|\n"
            for at in range(0, len(piece), 16)
        ]
        yield "".join(lines).encode()


def _json(service: str, peer: str, data: bytes | bytearray) -> Iterable[bytes]:
    try:
        content, encoding = data.decode(), "utf-8"
    except UnicodeDecodeError:
        content, encoding = b64encode(data).decode(), "base64"
    entry = {
        "time": _now(),
        "service": service,
        "peer": peer,
        "direction": "received",
        "encoding": encoding,
        "data": content,
    }
    yield printableJSON(json.dumps(entry, ensure_ascii=False)).encode() + b"\n"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


_RECORDS: dict[str, Record] = {"text": _text, "hex": _hex, "json": _json}

#: The values of C{--format}.
FORMATS = (*_RECORDS, "none")
