"""
C{netkit show}: look at what was recorded.
"""

from __future__ import annotations

import os
import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater

from .. import __version__
from ..base.terminal import terminalOctets
from ..capture.formats import Format, TerminalFormat, text
from ..capture.printed import FORMATS, Selection, isSelected
from ..capture.reading import Recordings, UnreadableError
from ..capture.summary import Summary
from ..capture.views import Item, Kind, Views
from ..wire.addresses import address_text
from ..wire.recording import Event, Opened, RecordingWriter, Unrecorded
from .running import CommandFailed
from .standardio import StandardOutput

# How often to look for more, in seconds.
_FOLLOW = 0.2


def addArguments(parser: ArgumentParser) -> None:
    """
    Say what the verb takes.
    """
    parser.add_argument("path", metavar="FILE|DIR", type=Path, help="what --capture wrote")
    parser.add_argument("--follow", action="store_true", help="go on as more is recorded")
    parser.add_argument(
        "--format",
        choices=["summary", *(name for name, format in FORMATS.items() if format)],
        help="summary (a line a connection), text, hex or json (an object a line); text if there "
        "is something to choose by, summary otherwise",
    )
    parser.add_argument(
        "--print",
        dest="selection",
        type=Selection,
        choices=list(Selection),
        default=Selection.BOTH,
        help="what clients sent, what they were answered, both, or all that happened "
        "(default: both)",
    )
    parser.add_argument(
        "-w", dest="write", metavar="-", choices=["-"], help="write pcapng to standard output"
    )
    choose = parser.add_argument_group("which connections")
    choose.add_argument("--connection", metavar="N", type=int, action="append", help="its number")
    choose.add_argument("--service", metavar="NAME", help="such as http")
    choose.add_argument("--peer", metavar="TEXT", help="a part of the peer's address")
    choose.add_argument("--since", metavar="TIME", type=_time, help="2026-11-28T12:00, or 12:00")
    choose.add_argument("--until", metavar="TIME", type=_time, help="as --since")
    messages = parser.add_argument_group("which messages")
    messages.add_argument("--method", metavar="NAME", help="of HTTP requests")
    messages.add_argument("--path", dest="target", metavar="TEXT", help="a part of the target")
    messages.add_argument("--status", metavar="N", type=_status, help="404, or 4xx")
    messages.add_argument("--text", metavar="TEXT", help="what stands in the octets")


async def run(reactor: Any, arguments: Namespace) -> None:
    """
    Do it.

    @param reactor: what waits for more.
    @param arguments: the parsed arguments.
    @raise CommandFailed: the recording cannot be read, or standard output not be written to.
    """
    output = StandardOutput(reactor)
    shown = _Written(arguments) if arguments.write else _Shown(arguments)
    try:
        with Recordings(arguments.path, follow=arguments.follow) as recordings:
            while True:
                for data in shown.feed(recordings.read()):
                    await output.write(data)
                if not arguments.follow:
                    break
                await deferLater(reactor, _FOLLOW)
            for data in shown.end():
                await output.write(data)
    except UnreadableError as error:
        raise CommandFailed(str(error)) from error


class _Chosen:
    """
    Tells which connections are asked for.
    """

    def __init__(self, arguments: Namespace) -> None:
        self._arguments = arguments
        self._chosen: set[int] = set()
        self._unrecorded: list[Unrecorded] = []

    def missing(self) -> Iterator[str]:
        """
        Say how many connections there was no room to record, as far as that was not said.
        """
        unrecorded, self._unrecorded = self._unrecorded, []
        for event in unrecorded:
            yield (
                f"{event.connections} connections are not recorded, for lack of room: "
                f"{event.received} B in, {event.sent} B out"
            )

    def choose(self, events: Iterable[Event]) -> Iterator[Event]:
        """
        Leave out what is of other connections.
        """
        for event in events:
            if isinstance(event, Opened) and self._matches(event):
                self._chosen.add(event.connection)
            if isinstance(event, Unrecorded):
                self._unrecorded.append(event)
                yield event
            elif event.connection in self._chosen:
                yield event

    def _matches(self, opened: Opened) -> bool:
        given = self._arguments
        return (
            (not given.connection or opened.connection in given.connection)
            and (not given.service or opened.service == given.service)
            and (not given.peer or given.peer in address_text(opened.peer))
            and (not given.since or opened.time >= given.since)
            and (not given.until or opened.time <= given.until)
        )


class _Written:
    """
    The chosen connections as pcapng.
    """

    def __init__(self, arguments: Namespace) -> None:
        self._chosen = _Chosen(arguments)
        self._writer = RecordingWriter(f"netkit {__version__}", "shown")
        self._begun = False

    def feed(self, events: Iterable[Event]) -> Iterator[bytes]:
        if not self._begun:
            self._begun = True
            yield self._writer.begin()
        for event in self._chosen.choose(events):
            yield b"".join(self._writer.write([event]))

    def end(self) -> Iterator[bytes]:
        return iter(())


class _Shown:
    """
    What the arguments ask for, for a person or a program to read.
    """

    def __init__(self, arguments: Namespace) -> None:
        self._arguments = arguments
        self._chosen = _Chosen(arguments)
        self._views = Views()
        self._summary: Summary | None = None
        self._format: Format
        filters = ("connection", "method", "target", "status", "text")
        name = arguments.format
        if name is None:
            name = "text" if any(getattr(arguments, each) for each in filters) else "summary"
        if name == "summary":
            self._summary = Summary()
        elif name == "text" and os.isatty(1):
            self._format = TerminalFormat(colour="NO_COLOR" not in os.environ)
        else:
            self._format = FORMATS[name] or text

    def feed(self, events: Iterable[Event]) -> Iterator[bytes]:
        for item in self._views.feed(self._chosen.choose(events)):
            try:
                if self._summary is not None:
                    yield from _lines(self._summary.feed(item))
                elif isSelected(item, self._arguments.selection) and self._matches(item):
                    yield from self._format(item)
            finally:
                item.close()
        if self._summary is not None:
            yield from _lines(self._chosen.missing())

    def end(self) -> Iterator[bytes]:
        if self._summary is not None:
            yield from _lines(self._summary.rest())

    def _matches(self, item: Item) -> bool:
        given, about = self._arguments, item.about
        requests = given.method or given.target
        if requests and item.kind not in (Kind.REQUEST, Kind.HANDSHAKE):
            return False
        if given.status and not given.status.fullmatch(str(about.get("status", ""))):
            return False
        return (
            (not given.method or about.get("method") == given.method)
            and (not given.target or given.target in about.get("target", ""))
            and (not given.text or _has(item, os.fsencode(given.text)))
        )


def _lines(lines: Iterable[str]) -> Iterator[bytes]:
    return (terminalOctets(f"{line}\n") for line in lines)


def _has(item: Item, text: bytes) -> bool:
    rest = b""
    for pieces in (item.octets(), item.content()):
        for piece in pieces:
            rest += piece
            if text in rest:
                return True
            rest = rest[max(0, len(rest) - len(text) + 1) :]
    return False


def _time(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            today = datetime.now().date().isoformat()
            moment = datetime.fromisoformat(f"{today}T{text}")
        except ValueError as error:
            raise ArgumentTypeError(
                f"{text!r} is no time such as 2026-11-28T12:00:00 or 12:00"
            ) from error
    return int(moment.timestamp() * 10**9)


def _status(text: str) -> re.Pattern[str]:
    if not re.fullmatch(r"[1-9](\d\d|xx)", text):
        raise ArgumentTypeError(f"{text!r} is no status such as 404 or 4xx")
    return re.compile(text.replace("x", r"\d"))
