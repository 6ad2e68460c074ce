"""
A file of lines that a thread writes, and that can be moved away.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger

from ..base.worker import Worker
from ..capture.printed import Stream

_log = Logger()

# How many octets may wait to be written.
_MOST = 4 * 2**20


class LogFile:
    """
    Lines in a file. What does not fit in its queue, since the disk or a reader stalls, or is not
    written, since the disk is full, is lost: the log counts it.
    """

    def __init__(self, path: str, reactor: IReactorFromThreads) -> None:
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
        # The thread's own.
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
        return self._worker.stop()

    def write(self, line: bytes) -> None:
        """
        Write a line, with its line feed; or count it.
        """
        if self._worker.hasRoom(len(line)):
            self._worker.put(line, len(line))
        else:
            self._lost += 1

    def reopen(self) -> None:
        """
        Close the file behind what was written so far, and open what is at its path then.
        """
        self._worker.put(None, 0)

    def _work(self, line: bytes | None) -> None:
        try:
            if line is None:
                self._stream.reopen()
                return
            self._stream.write(line)
        except OSError as error:
            self._failed += 1
            if self._failed == 1:
                self._reactor.callFromThread(self._tellFailed, error)
        else:
            if self._failed:
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
