"""
The printed stream: what services show of what is recorded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from enum import StrEnum

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from zope.interface import implementer

from ..base.outputstream import OutputStream, tellKept
from ..base.worker import Worker
from ..wire.recording import Direction, Event, Opened, PlainOctets
from . import formats
from .formats import Format, TerminalFormat
from .recorder import IPlainSink
from .records import Records
from .views import Item, Kind, Views

_log = Logger()

#: The values of C{--format}.
FORMATS: dict[str, Format | None] = {
    "text": formats.text,
    "hex": formats.hexdump,
    "json": formats.jsonLine,
    "none": None,
}


class Selection(StrEnum):
    """
    Which items are printed: the values of C{--print}.
    """

    #: What clients sent.
    RECEIVED = "received"
    #: What they were answered.
    SENT = "sent"
    #: Both.
    BOTH = "both"
    #: And connections, handshakes, control frames, notes.
    ALL = "all"


_DIRECTIONS = {Selection.RECEIVED: Direction.RECEIVED, Selection.SENT: Direction.SENT}

# What a peer says, as opposed to how.
_CONTENTS = {Kind.OCTETS, Kind.CONTENT, Kind.REQUEST, Kind.RESPONSE, Kind.MESSAGE}


def isSelected(item: Item, selection: Selection) -> bool:
    """
    Whether an item is one of a selection. What is not whole or wrong is among what came.
    """
    if selection is Selection.ALL:
        return True
    if item.kind not in _CONTENTS and not item.wrong:
        return False
    return selection is Selection.BOTH or item.direction == _DIRECTIONS[selection]


@implementer(IPlainSink)
class PrintedStream:
    """
    Prints what is recorded, in a thread of its own: a reader that stalls holds up the recorded
    connections, and nobody else.
    """

    def __init__(
        self,
        path: str,
        reactor: IReactorFromThreads,
        *,
        selection: Selection = Selection.RECEIVED,
        maxQueued: int = 16 * 2**20,
    ) -> None:
        """
        @param path: a file to append to, or C{-} for standard output.
        @param reactor: in whose thread this is used.
        @param selection: what to print.
        @param maxQueued: how many octets may wait to be printed before the recorded connections
            are to wait.
        """
        self._stream = OutputStream(path)
        self._formats: dict[str, Format] = {}
        self._selection = selection
        self._reactor = reactor
        self._views = Views(only=_DIRECTIONS.get(selection), taken=self._taken)
        # What is printed as it came, and waits to be so.
        self._verbatim: list[bytes] = []
        self._worker: Worker[Sequence[Event | PlainOctets] | None] = Worker(
            "netkit output", self._print, reactor, finish=self._stream.close, maxQueued=maxQueued
        )
        self._records = Records(
            self._stream,
            lambda error: reactor.callFromThread(self._tellFailed, error),
            lambda lost: reactor.callFromThread(self._tellAgain, lost),
        )
        self._waitedFor = True

    @property
    def full(self) -> bool:
        """
        Whether whoever has more events is to wait.
        """
        return self._worker.full

    def onDrain(self, call: Callable[[], None]) -> None:
        """
        Have something called whenever C{full} is no longer true.
        """
        self._worker.onDrain(call)

    def take(self, events: Sequence[Event | PlainOctets], size: int) -> None:
        """
        Print what there is to print of events, as soon as may be.
        """
        self._worker.put(events, size)

    def show(self, service: str, format: str) -> None:
        """
        Print what a service's clients sent.

        @param service: the service's name.
        @param format: one of L{FORMATS}, not C{none}.
        """
        self._formats[service] = FORMATS[format] or formats.text

    def start(self) -> None:
        """
        Open the stream.

        @raise OSError: it cannot be written to.
        """
        self._stream.open()
        if self._stream.isNowhere:
            _log.warn("What services print goes to {path}: nothing will be seen", path=os.devnull)
        elif self._stream.isTerminal:
            colour = "NO_COLOR" not in os.environ and os.environ.get("TERM", "dumb") != "dumb"
            for service, format in self._formats.items():
                if format is formats.text:
                    self._formats[service] = TerminalFormat(colour=colour)
        self._worker.start()

    def reopen(self) -> None:
        """
        Go on with what is at the path then, once what waits is printed.
        """
        self._worker.put(None, 0)

    def stop(self) -> Deferred[None]:
        """
        Print what waits, and close the stream.

        @return: a Deferred that fires when that is done. When it is cancelled, what was not
            printed is lost: the log says how much.
        """
        return self._worker.stop().addErrback(self._abandoned)

    def _print(self, events: Sequence[Event | PlainOctets] | None) -> None:
        if events is None:
            try:
                self._stream.reopen()
            except OSError as error:
                self._reactor.callFromThread(tellKept, self._stream.path, error)
            return
        records, formats_, selection = self._records, self._formats, self._selection
        verbatim = self._verbatim
        # One at a time: a list of them is all that a collector has to look at.
        for item in self._views.feed(events):
            if verbatim:
                records.addAll(verbatim)
                verbatim.clear()
            format = formats_.get(item.connection.service)
            if format is not None and isSelected(item, selection):
                records.add(format(item), lined=format is not formats.text)
            item.close()
        records.addAll(verbatim)
        verbatim.clear()
        records.flush()

    def _taken(self, opened: Opened) -> list[bytes] | None:
        return self._verbatim if self._formats.get(opened.service) is formats.text else None

    def _tellFailed(self, error: OSError) -> None:
        if not self._waitedFor:
            return
        _log.error(
            "{path!r} cannot be printed to: {reason}; what was to be printed is lost until it can",
            path=self._stream.path,
            reason=error.strerror,
        )

    def _tellAgain(self, lost: int) -> None:
        _log.info(
            "{path!r} is printed to again; {count} records were not printed",
            path=self._stream.path,
            count=lost,
        )

    def _abandoned(self, reason: object) -> None:
        self._waitedFor = False
        _log.warn(
            "{path!r} did not take what was to be printed in time: {octets} octets are lost",
            path=self._stream.path,
            octets=self._worker.queued,
        )
