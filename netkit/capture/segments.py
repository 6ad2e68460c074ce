"""
A recording on disk: a folder of pcapng files, of which the oldest make room for new ones.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from errno import EACCES
from math import inf
from pathlib import Path
from time import monotonic, time_ns
from typing import Any
from uuid import uuid4

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from zope.interface import implementer

from ..base.descriptors import writePieces
from ..base.malloc import raiseTrimThreshold
from ..base.preallocation import preallocate
from ..base.worker import Worker
from ..wire.recording import Event, PlainOctets, RecordingWriter
from .loss import Loss
from .recorder import EVENT, IPlainSink

_log = Logger()

# The number comes first: clocks are set back at times.
_NAME = re.compile(r"netkit-(\d{6,})-\d{8}T\d{6}Z\.pcapng")

# For how many octets at a time a file gets the blocks of the disk, when it has no more than these.
_AHEAD = 2**23

# After a write that failed, for how many seconds nothing is written.
_RETRY_AFTER = 1.0

# For how many seconds the log is not told again that octets are dropped.
_TELL_AGAIN_AFTER = 60.0


def segmentFiles(folder: Path) -> list[Path]:
    """
    List the files of the recordings in a folder, the oldest one first.

    @raise OSError: it cannot be read.
    """
    found = [folder / name for name in os.listdir(folder) if _NAME.fullmatch(name)]
    return sorted(found, key=segmentNumber)


def segmentNumber(path: Path) -> int:
    """
    Tell the number of a recording's file.
    """
    return int(path.name.split("-")[1])


class SegmentFiles:
    """
    The files of a folder, written one after another. It blocks: it is for a thread.

    A file's name has a number, by which they sort, and the time at which it was begun.
    """

    def __init__(self, folder: Path, *, size: int, count: int, application: str) -> None:
        """
        @param folder: where the files are; it is made when the first one is begun.
        @param size: after how many octets a file is ended and the next one begun.
        @param count: how many files may be there: the oldest one is removed for a new one.
        @param application: what program records.
        """
        self.folder = folder
        self._size = size
        self._count = count
        self._writer = RecordingWriter(application, uuid4().hex)
        self._descriptor: int | None = None
        self._written = 0
        # Up to where the file has the disk's blocks, or was not given them.
        self._allocated = 0
        # Whether the next events begin a section of the file: its first, or one after what the
        # disk did not take.
        self._begins = True

    def check(self) -> None:
        """
        Make the folder, and see that a file can be made in it.

        @raise OSError: it cannot.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise PermissionError(EACCES, os.strerror(EACCES), str(self.folder))

    def write(self, events: Sequence[Event | PlainOctets]) -> None:
        """
        Append events.

        @raise OSError: they are not written, none of them. What comes after them is in the same
            file, in a section of its own.
        """
        try:
            if self._ended():
                self._open()
            made: list[bytes | memoryview] = []
            if self._begins:
                made.append(self._writer.begin(section=self._written > 0))
            made += self._writer.write(events)
            self._append(made)
        except OSError:
            self._writer.retract()
            self._begins = True
            raise
        self._begins = False

    def close(self) -> None:
        """
        End the file.
        """
        if self._descriptor is not None:
            self._trim(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _ended(self) -> bool:
        """
        Whether nothing more goes to the file: it is long enough, or somebody removed it.
        """
        if self._descriptor is None or self._written >= self._size:
            return True
        return not os.fstat(self._descriptor).st_nlink

    def _open(self) -> None:
        self.close()
        # It may have been there, and be gone.
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # What is recorded may be secret.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        while self._descriptor is None:
            files = segmentFiles(self.folder)
            number = segmentNumber(files[-1]) + 1 if files else 1
            now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            path = self.folder / f"netkit-{number:06}-{now}.pcapng"
            # Another process that records to the same folder may have been faster.
            with suppress(FileExistsError):
                self._descriptor = os.open(path, flags, 0o600)
        self._written = self._allocated = 0
        self._begins = True
        for oldest in files[: max(0, len(files) - self._count + 1)]:
            # Another process may record to the same folder.
            oldest.unlink(missing_ok=True)

    def _append(self, pieces: Sequence[bytes | memoryview]) -> None:
        assert self._descriptor is not None
        self._allocate(self._descriptor)
        try:
            self._written += writePieces(self._descriptor, pieces)
        except OSError:
            # A block that is cut short would be the end of what can be read.
            self._trim(self._descriptor)
            raise

    def _allocate(self, descriptor: int) -> None:
        """
        Have the disk's blocks for what comes. A batch that takes more finds its blocks itself.
        """
        ahead = min(_AHEAD, self._size - self._allocated)
        if ahead > 0 and self._written + _AHEAD > self._allocated:
            preallocate(descriptor, self._allocated, ahead)
            self._allocated += ahead

    def _trim(self, descriptor: int) -> None:
        """
        Take from the file what is behind the last whole block: octets, and blocks of the disk.
        """
        self._allocated = self._written
        with suppress(OSError):
            os.ftruncate(descriptor, self._written)


@implementer(IPlainSink)
class Segments:
    """
    Writes events to L{SegmentFiles}, in a thread of its own.

    What a full disk does not take is left out: counted, and told in the files and in the log. So
    is, where it is to drop rather than to be waited for, what the disk takes too slowly.

    @ivar dropped: how many octets were left out.
    @ivar unrecorded: how many connections were, as a whole.
    """

    def __init__(
        self,
        files: SegmentFiles,
        reactor: IReactorFromThreads,
        *,
        drop: bool = False,
        maxQueued: int = 16 * 2**20,
    ) -> None:
        """
        @param files: where to write.
        @param reactor: in whose thread this is used.
        @param drop: whether octets are left out when too many wait to be written.
        @param maxQueued: how many octets may wait to be written.
        """
        self.dropped = 0
        self.unrecorded = 0
        self._files = files
        self._reactor = reactor
        self._drop = drop
        self._maxQueued = maxQueued
        self._worker: Worker[list[Event | PlainOctets]] = Worker(
            "netkit capture", self._write, reactor, finish=self._finish, maxQueued=maxQueued
        )
        self._worker.onDrain(self._drained)
        # What there was no room for in the queue.
        self._left = Loss()
        # What the log was told of.
        self._failing = False
        self._toldAt = -inf
        # The thread's own: what could not be written, and until when nothing is tried.
        self._loss = Loss()
        self._retryAt = 0.0

    @property
    def full(self) -> bool:
        """
        Whether whoever has more events is to wait.
        """
        return self._worker.full and not self._drop

    @property
    def queued(self) -> int:
        """
        How many octets of memory wait to be written.
        """
        return self._worker.queued

    def onDrain(self, call: Callable[[], None]) -> None:
        """
        Have something called whenever C{full} is no longer true.
        """
        self._worker.onDrain(call)

    def start(self) -> None:
        """
        Begin to write.

        @raise OSError: the folder cannot be had.
        """
        self._files.check()
        # What waits for the disk comes and goes by megabytes.
        raiseTrimThreshold()
        self._worker.start()

    def stop(self) -> Deferred[None]:
        """
        Write what waits, and end.

        @return: a Deferred that fires when that is done. When it is cancelled, what is not written
            is lost: the log says how much.
        """
        self._putLeft()
        return self._worker.stop().addCallbacks(self._ended, self._abandoned)

    def finish(self, seconds: float) -> None:
        """
        As L{stop}, when the reactor has stopped: wait for it.

        @param seconds: for how long at most.
        """
        self._putLeft()
        if self._worker.join(seconds):
            self._ended(None)

    def take(self, events: list[Any], size: int) -> None:
        """
        Write events as soon as may be.
        """
        if self._drop and not self._worker.hasRoom(size):
            self.dropped += self._left.add(events)
            self._tellDropped()
        else:
            self._worker.put(events, size)

    def _drained(self) -> None:
        """
        There is room again.
        """
        self._putLeft()

    def _putLeft(self) -> None:
        if self._left:
            left, self._left = self._left, Loss()
            self.unrecorded += left.forgotten
            events: list[Event | PlainOctets] = [*left.events(time_ns())]
            self._worker.put(events, len(events) * EVENT)

    def _write(self, events: list[Event | PlainOctets]) -> None:
        error: OSError | None = None
        if monotonic() >= self._retryAt:
            error = self._tryToWrite(events)
            if error is None:
                return
            self._retryAt = monotonic() + _RETRY_AFTER
        before = self._loss.forgotten
        lost = self._loss.add(events)
        self._reactor.callFromThread(self._failed, lost, self._loss.forgotten - before, error)

    def _tryToWrite(self, events: list[Event | PlainOctets]) -> OSError | None:
        """
        Write what was left out, and events.
        """
        try:
            self._files.write([*self._loss.events(time_ns()), *events])
        except OSError as error:
            return error
        if self._loss:
            self._loss = Loss()
            self._reactor.callFromThread(self._recovered)
        return None

    def _finish(self) -> None:
        if self._loss:
            # There may be room by now.
            self._tryToWrite([])
        self._files.close()

    def _failed(self, lost: int, forgotten: int, error: OSError | None) -> None:
        self.dropped += lost
        self.unrecorded += forgotten
        if error is not None and not self._failing:
            self._failing = True
            _log.error(
                "The capture in {folder} cannot be written: {reason}; what is not recorded is "
                "counted, the service goes on",
                folder=str(self._files.folder),
                reason=error.strerror,
            )

    def _recovered(self) -> None:
        if self._failing:
            self._failing = False
            _log.info(
                "The capture in {folder} is written again; {octets} octets were not recorded",
                folder=str(self._files.folder),
                octets=self.dropped,
            )

    def _tellDropped(self) -> None:
        now = monotonic()
        if now - self._toldAt >= _TELL_AGAIN_AFTER:
            self._toldAt = now
            _log.warn(
                "The capture in {folder} is written too slowly: what does not fit in its queue of "
                "{limit} octets is not recorded, {octets} octets so far",
                folder=str(self._files.folder),
                limit=self._maxQueued,
                octets=self.dropped,
            )

    def _ended(self, result: None) -> None:
        if self.dropped or self.unrecorded:
            _log.warn(
                "The capture in {folder} lacks {octets} octets and {connections} connections",
                folder=str(self._files.folder),
                octets=self.dropped,
                connections=self.unrecorded,
            )

    def _abandoned(self, reason: object) -> None:
        _log.warn(
            "The capture in {folder} was not written in time: {octets} octets are lost",
            folder=str(self._files.folder),
            octets=self._worker.queued,
        )
