"""
A capture: connections recorded to a folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IProtocolFactory

from .. import __version__
from .passing import EventSender
from .printed import PrintedStream
from .recorded import RecordedFactory
from .recorder import DELAY, ISink, Recorder
from .ring import Ring
from .segments import SegmentFiles, Segments

# How long an event that somebody watches for waits for others, in seconds.
_WATCHED_DELAY = 0.02

# How long to wait for the disk when all else is over, in seconds.
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """
    What is kept of what is recorded.

    @ivar folder: where the files are.
    @ivar fileSize: after how many octets a file is ended and the next one begun.
    @ivar files: how many files may be there: the oldest one is removed for a new one.
    @ivar snaplen: how many octets of each piece are kept; 0 for all.
    @ivar drop: whether octets are left out when the disk is too slow; connections wait otherwise.
    """

    folder: Path
    fileSize: int = 64 * 2**20
    files: int = 16
    snaplen: int = 0
    drop: bool = False


class Capture:
    """
    What a program records of its connections: files, a printed stream, a ring in memory, or all.

    @ivar ring: the ring, if there is one.
    @ivar watched: whether somebody may look at it: here, or where it is passed on to.
    """

    def __init__(
        self,
        reactor: Any,
        settings: CaptureSettings | None = None,
        printed: PrintedStream | None = None,
        ring: Ring | None = None,
        *,
        sender: EventSender | None = None,
        numbers: Iterator[int] | None = None,
    ) -> None:
        """
        @param reactor: in whose thread this is used.
        @param settings: what is kept in files; nothing by default.
        @param printed: what is printed; nothing by default.
        @param ring: what keeps the last of it in memory; nothing by default.
        @param sender: what passes it on to another process; nothing by default.
        @param numbers: those of the connections; 1, 2, 3 by default.
        """
        self.ring = ring
        self.watched = ring is not None or sender is not None
        self._sender = sender
        self._reactor = reactor
        self._snaplen = 0 if settings is None else settings.snaplen
        self._numbers = numbers or count(1)
        self._recorders: list[Recorder] = []
        self._printed = printed
        self._shown = False
        self._segments: Segments | None = None
        if settings is not None:
            files = SegmentFiles(
                settings.folder,
                size=settings.fileSize,
                count=settings.files,
                application=f"netkit {__version__}",
            )
            self._segments = Segments(files, reactor, drop=settings.drop)
        self._started = 0

    def recorder(self, *, printing: bool = False) -> Recorder | None:
        """
        Make what takes the events of a service's connections.

        @param printing: whether the service is printed as well.
        @return: L{None} where there is nothing to take them for.
        """
        sinks: list[ISink] = []
        if self._segments is not None:
            sinks.append(ISink(self._segments))
        delay = _WATCHED_DELAY if self.watched else DELAY
        if self.ring is not None:
            sinks.append(ISink(self.ring))
        if self._sender is not None:
            sinks.append(ISink(self._sender))
        if printing and self._printed is not None:
            sinks.append(ISink(self._printed))
            # Somebody looks at it: it is printed by the time that the client has its answer.
            delay = 0.0
        if not sinks:
            return None
        recorder = Recorder(
            sinks, self._reactor, numbers=self._numbers, snaplen=self._snaplen, delay=delay
        )
        self._recorders.append(recorder)
        return recorder

    def recorded(
        self, factory: IProtocolFactory, service: str, *, printing: bool = False
    ) -> IProtocolFactory:
        """
        Have the connections of a service recorded.

        @param factory: makes its protocols.
        @param service: its name.
        @param printing: whether the service is printed as well.
        @return: what makes them, and records; the factory where there is nothing to record for.
        """
        recorder = self.recorder(printing=printing)
        return factory if recorder is None else RecordedFactory(factory, recorder, service)

    def flush(self) -> None:
        """
        Hand on at once what is recorded.
        """
        for recorder in self._recorders:
            recorder.flush()

    def show(self, service: str, format: str) -> None:
        """
        Print what is recorded of a service.

        @param service: the service's name.
        @param format: how: one of L{netkit.capture.printed.FORMATS}.
        """
        if self._printed is not None:
            self._printed.show(service, format)
            self._shown = True

    @property
    def events(self) -> int:
        """
        How many events happened on the recorded connections, as far as they were handed on.
        """
        return sum(recorder.events for recorder in self._recorders)

    @property
    def octets(self) -> int:
        """
        How many octets went over them, as far as they are kept.
        """
        return sum(recorder.octetsKept for recorder in self._recorders)

    @property
    def queued(self) -> int:
        """
        How many octets of memory wait to be written to files.
        """
        return 0 if self._segments is None else self._segments.queued

    @property
    def dropped(self) -> int:
        """
        How many octets were left out of the files.
        """
        return 0 if self._segments is None else self._segments.dropped

    @property
    def unrecorded(self) -> int:
        """
        How many connections were left out of the files as a whole.
        """
        return 0 if self._segments is None else self._segments.unrecorded

    @property
    def unshown(self) -> int:
        """
        How many octets were not passed on, since the other process was too slow.
        """
        return 0 if self._sender is None else self._sender.dropped

    def start(self) -> None:
        """
        Begin to record. Whoever calls this calls L{stop} as well, and the last to do so ends it.

        @raise OSError: the folder, or what is printed to, cannot be had.
        """
        if not self._started:
            for sink in self._sinks():
                sink.start()
        self._started += 1

    def stop(self) -> Deferred[Any]:
        """
        Write what waits, and end.

        @return: a Deferred that fires when that is done. When it is cancelled, what is not written
            is lost: the log says how much.
        """
        self._started -= 1
        self.flush()
        stopping = [] if self._started else [sink.stop() for sink in self._sinks()]
        return gatherResults(stopping)

    def finish(self) -> None:
        """
        Write what waits, when the reactor has stopped.
        """
        self.flush()
        if self._segments is not None:
            self._segments.finish(_PATIENCE)

    def _sinks(self) -> Sequence[Segments | PrintedStream | EventSender]:
        sinks: list[Segments | PrintedStream | EventSender] = []
        if self._segments is not None:
            sinks.append(self._segments)
        if self._printed is not None and self._shown:
            sinks.append(self._printed)
        if self._sender is not None:
            sinks.append(self._sender)
        return sinks
