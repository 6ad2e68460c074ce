"""
The printed stream: where a service shows what arrived, apart from the log.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from base64 import b64encode
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from twisted.internet import defer
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IAddress, IReactorFromThreads, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..base.addresses import addressText
from ..base.descriptors import DescriptorWriter
from ..base.terminal import TerminalDecoder, printableJSON, terminalOctets
from ..interfaces import IPrinter
from .errors import CannotStart

_log = Logger()

# How many bytes are turned into a format's text at once.
_PIECE = 2**16

# Octets as the right column of a hex dump shows them.
_VISIBLE = bytes(octet if 0x20 <= octet < 0x7F else ord(".") for octet in range(256))

# Makes the pieces of a record: of what is said of it, and of what arrived.
Format = Callable[["Heading", "bytes | bytearray"], Iterable["bytes | bytearray"]]


class Heading(NamedTuple):
    """
    What is said of what arrived.

    @ivar time: when it was shown, as in RFC 3339.
    @ivar service: the service's name.
    @ivar peer: who sent it.
    """

    time: str
    service: str
    peer: str


class PrintedStream:
    """
    A stream that services print to, opened while one of them runs. Each record is whole, and
    stands behind those before it.

    A reader that stalls holds up those who wait for their records to be printed, and nobody else.

    @ivar isTerminal: whether it goes to a person's terminal.
    """

    isTerminal = False

    def __init__(self, path: str, *, limit: int = 0, reactor: Any = None) -> None:
        """
        @param path: a file to append to, or C{-} for standard output.
        @param limit: how many octets may wait to be printed; 0 for no limit. A record that is too
            much is dropped, and logged.
        @param reactor: an L{IReactorFromThreads} and L{IReactorTime}; the global one by default.
        """
        self.path = path
        self._limit = limit
        self._reactor = reactor
        self._users = 0
        self._descriptor = -1
        self._writer: DescriptorWriter | None = None

    def open(self) -> None:
        """
        Open the stream; to be called before anything is printed, and as often as L{close}.

        @raise CannotStart: when it cannot be written to.
        """
        self._users += 1
        if self._users > 1:
            return
        try:
            if self.path == "-":
                # A descriptor of our own: what becomes of sys.stdout is the logger's business.
                self._descriptor = os.dup(sys.__stdout__.fileno() if sys.__stdout__ else -1)
            else:
                # Without O_NONBLOCK a FIFO that nobody reads would hold up the start for ever.
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
                self._descriptor = os.open(self.path, flags, 0o666)
        except OSError as error:
            self._users -= 1
            raise CannotStart(
                f"--output {self.path!r} cannot be opened: {error.strerror}"
            ) from error
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        self.isTerminal = os.isatty(self._descriptor)
        self._writer = DescriptorWriter(IReactorFromThreads(self._reactor), self._descriptor)

    async def close(self, patience: float = 0.0) -> None:
        """
        Close the stream, once what was printed is written.

        @param patience: for how many seconds to wait for that; what is not written then is lost,
            and logged.
        """
        self._users -= 1
        writer = self._writer
        if self._users or writer is None:
            return
        self._writer = None
        written = writer.write(b"")
        written.addTimeout(patience, IReactorTime(self._reactor))
        try:
            await written
        except defer.TimeoutError:
            # The thread may hang in a write to it: to close it would give its number to another.
            _log.error(
                "{path!r} took nothing more: {length} bytes were not printed",
                path=self.path,
                length=writer.buffered,
            )
            writer.stop()
        else:
            writer.stop()
            os.close(self._descriptor)

    def printer(self, service: str, format: str) -> Printer | None:
        """
        Make what shows the data of a service on this stream; L{None} for the format C{none}, so
        that a protocol need not do anything about it.

        @param service: the service's name.
        @param format: one of L{FORMATS}.
        """
        return None if format == "none" else Printer(self, service, format)

    def write(self, record: Iterable[bytes | bytearray], size: int) -> Deferred[None]:
        """
        Write one record.

        @param record: its pieces.
        @param size: about how many octets they have.
        @return: fires when it is written; fails with C{OSError} when it is not, or not whole.
        """
        writer = self._writer
        if writer is None:
            return fail(OSError(errno.EBADF, "the stream is closed"))
        if writer.buffered and 0 < self._limit < writer.buffered + size:
            return fail(OSError(errno.ENOBUFS, f"{writer.buffered} bytes wait to be printed"))
        return writer.writePieces(record, size)


@implementer(IPrinter)
class Printer:
    """
    Shows what the clients of one service sent.
    """

    def __init__(self, stream: PrintedStream, service: str, format: str) -> None:
        self._stream = stream
        self._service = service
        self._format = format

    def received(self, peer: IAddress, data: bytes | bytearray) -> Deferred[None]:
        heading = Heading(
            datetime.now(UTC).isoformat(timespec="milliseconds"), self._service, addressText(peer)
        )
        make = _FORMATS[self._format]
        if make is _text and self._stream.isTerminal:
            make = _terminalText
        written = self._stream.write(make(heading, data), len(data))
        return written.addErrback(self._notPrinted, heading.peer, len(data))

    def flush(self) -> Deferred[None]:
        """
        Wait for what was shown before.

        @return: fires when it is written, or is known not to be.
        """
        return self._stream.write((), 0).addErrback(lambda reason: None)

    def _notPrinted(self, reason: Failure, peer: str, length: int) -> None:
        error = reason.value
        if not isinstance(error, OSError):
            reason.raiseException()
        _log.error(
            "{length} bytes from {peer} were not printed whole: {path!r}: {reason}",
            length=length,
            peer=peer,
            path=self._stream.path,
            reason=error.strerror,
        )


def _text(heading: Heading, data: bytes | bytearray) -> Iterable[bytes | bytearray]:
    return (data,)


def _terminalText(heading: Heading, data: bytes | bytearray) -> Iterable[bytes]:
    yield terminalOctets(TerminalDecoder().decode(data, final=True))


def _hex(heading: Heading, data: bytes | bytearray) -> Iterable[bytes]:
    yield f"# {' '.join(heading)} received {len(data)} bytes\n".encode()
    for start in range(0, len(data), _PIECE):
        piece = data[start : start + _PIECE]
        lines = [
            f"{start + at:08x}  {piece[at : at + 16].hex(' '):<47}  "
            f"|{piece[at : at + 16].translate(_VISIBLE).decode()}|\n"
            for at in range(0, len(piece), 16)
        ]
        yield "".join(lines).encode()


def _json(heading: Heading, data: bytes | bytearray) -> Iterable[bytes]:
    try:
        content, encoding = data.decode(), "utf-8"
    except UnicodeDecodeError:
        content, encoding = b64encode(data).decode(), "base64"
    entry = {
        **heading._asdict(),
        "direction": "received",
        "encoding": encoding,
        "data": content,
    }
    yield printableJSON(json.dumps(entry, ensure_ascii=False)).encode() + b"\n"


_FORMATS: dict[str, Format] = {"text": _text, "hex": _hex, "json": _json}

#: The values of C{--format}.
FORMATS = (*_FORMATS, "none")
