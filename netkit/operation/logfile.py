"""
A file of lines that a thread writes, and that can be moved away.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from ..base.worker import Worker
from ..capture.printed import Stream

_log = Logger()

# How many octets may wait to be written.
_MOST = 4 * 2**20

# For how many seconds lines wait for others to be written with.
_DELAY = 0.05


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
        self._stream = Stream(path)
        self._reactor = reactor
        self._worker: Worker[bytes | None] = Worker(
            "netkit access log", self._work, reactor, finish=self._stream.close, maxQueued=_MOST
        )
        self._worker.onDrain(self._drained)
        self._lost = 0
        self._lines: list[bytes] = []
        self._handing: IDelayedCall | None = None
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
        """
        self._handOver()
        return self._worker.stop()

    def write(self, line: bytes) -> None:
        """
        Write a line, with its line feed; or count it.
        """
        self._lines.append(line)
        if self._handing is None:
            self._handing = self._reactor.callLater(_DELAY, self._handOver)

    def reopen(self) -> None:
        """
        Close the file behind what was written so far, and open what is at its path then.
        """
        self._handOver()
        self._worker.put(None, 0)

    def _handOver(self) -> None:
        """
        Give the thread what it is to write: a thread that is woken for each line costs more than
        all the rest.
        """
        handing, self._handing = self._handing, None
        if handing is not None and handing.active():
            handing.cancel()
        lines, self._lines = self._lines, []
        if not lines:
            return
        octets = b"".join(lines)
        if self._worker.hasRoom(len(octets)):
            self._worker.put(octets, len(octets))
        else:
            self._lost += len(lines)

    def _work(self, line: bytes | None) -> None:
        try:
            if line is None:
                self._stream.reopen()
                return
            self._stream.write(line)
        except OSError as error:
            self._failed += line.count(b"\n") if line else 0
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

    def _drained(self) -> None:
        lost, self._lost = self._lost, 0
        if lost:
            _log.warn("{path!r} was too slow: {count} lines are lost", path=self._path, count=lost)
