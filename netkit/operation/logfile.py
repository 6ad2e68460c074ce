"""
A file of lines that a thread writes, and that can be moved away.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from ..base.outputstream import OutputStream, tellKept
from ..base.worker import Worker

_log = Logger()

# How many octets may wait to be written.
_MOST = 4 * 2**20


class LogFile:
    """
    Lines in a file. What does not fit in its queue, since the disk or a reader stalls, or is not
    written, since the disk is full, is lost: the log counts it.
    """

    def __init__(self, path: str, reactor: Any) -> None:
        """
        @param path: a file to append to, or C{-} for standard output.
        @param reactor: in whose thread this is used.
        """
        self._path = path
        self._stream = OutputStream(path)
        self._reactor = reactor
        self._worker: Worker[bytes | None] = Worker(
            "netkit access log", self._work, reactor, finish=self._stream.close, maxQueued=_MOST
        )
        self._worker.onDrain(self._drained)
        self._lost = 0
        # The thread's own.
        self._failing = False
        self._failed = 0

    def start(self) -> None:
        """
        Open the file.

        @raise OSError: it cannot be written to.
        """
        self._stream.open()
        self._worker.start()

    def stop(self) -> Deferred[None]:
        """
        Write what waits, and close the file.

        @return: a Deferred that fires when that is done. When it is cancelled, what was not
            written is lost: the log says how much.
        """
        return self._worker.stop().addErrback(self._abandoned)

    def write(self, lines: bytes, count: int) -> None:
        """
        Write lines, or count that they are lost.

        @param lines: each with its line feed.
        @param count: how many there are.
        """
        if self._worker.hasRoom(len(lines)):
            self._worker.put(lines, len(lines))
        else:
            self._lost += count

    def reopen(self) -> None:
        """
        Close the file behind what was written so far, and open what is at its path then.
        """
        self._worker.put(None, 0)

    def _work(self, lines: bytes | None) -> None:
        if lines is None:
            try:
                self._stream.reopen()
            except OSError as error:
                self._reactor.callFromThread(tellKept, self._path, error)
            return
        try:
            self._stream.write(lines)
        except OSError as error:
            self._failed += lines.count(b"\n")
            if not self._failing:
                self._failing = True
                self._reactor.callFromThread(self._tellFailed, error)
        else:
            if self._failing:
                self._failing = False
                failed, self._failed = self._failed, 0
                self._reactor.callFromThread(self._tellAgain, failed)

    def _tellFailed(self, error: OSError) -> None:
        _log.error(
            "{path!r} cannot be written to: {reason}; its lines are lost until it can",
            path=self._path,
            reason=error.strerror,
        )

    def _tellAgain(self, failed: int) -> None:
        _log.info(
            "{path!r} is written to again; {count} lines are lost", path=self._path, count=failed
        )

    def _abandoned(self, reason: object) -> None:
        self._drained()
        _log.warn(
            "{path!r} did not take its last lines in time: {octets} octets are lost",
            path=self._path,
            octets=self._worker.queued,
        )

    def _drained(self) -> None:
        lost, self._lost = self._lost, 0
        if lost:
            _log.warn("{path!r} was too slow: {count} lines are lost", path=self._path, count=lost)
