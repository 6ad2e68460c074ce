"""
Writing to descriptors that a reactor cannot wait for.
"""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Iterable
from threading import Condition, Thread

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads

# So much is written at once: smaller pieces together, larger ones as they are.
_CHUNK = 2**16

Octets = bytes | bytearray


class DescriptorWriter:
    """
    Writes to a descriptor: a file, a pipe, a terminal. A thread does it, so the reactor never
    waits: it cannot wait for a file, and a pipe or a terminal that other processes share cannot be
    made non-blocking, since it would be so for them all.

    What is written is in order. Whoever writes waits for it, or looks at C{buffered}, for memory
    not to fill.

    @ivar buffered: how many octets wait to be written.
    """

    def __init__(self, reactor: IReactorFromThreads, descriptor: int) -> None:
        """
        @param reactor: whose thread this is used in.
        @param descriptor: where to write; it is not closed.
        """
        self.buffered = 0
        self._reactor = reactor
        self._descriptor = descriptor
        self._waiting: deque[tuple[int, Deferred[None]]] = deque()
        self._thread: Thread | None = None
        # Shared with the thread.
        self._changed = Condition()
        self._queue: list[Iterable[Octets]] = []
        self._stopped = False

    def write(self, data: Octets) -> Deferred[None]:
        """
        Write.

        @param data: the octets; not to be changed any more.
        @return: fires when they are written; fails with the C{OSError} by which they are not, or
            not whole. What is written after that is tried again.
        """
        return self.writePieces((data,), len(data))

    def writePieces(self, pieces: Iterable[Octets], size: int) -> Deferred[None]:
        """
        As L{write}, for what is made piece by piece as it is written: in the thread.

        @param pieces: gives them.
        @param size: how many octets to take them for.
        """
        written: Deferred[None] = Deferred(lambda _: None)
        self._waiting.append((size, written))
        self.buffered += size
        with self._changed:
            self._queue.append(pieces)
            self._changed.notify()
        if self._thread is None:
            # A daemon: it does not keep the process while nobody reads what it writes.
            self._thread = Thread(target=self._run, daemon=True, name="netkit writes")
            self._thread.start()
        return written

    def stop(self) -> None:
        """
        Write nothing more. What still waits is dropped, and who waits for it is not told.
        """
        self.buffered = 0
        self._waiting.clear()
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _done(self, errors: list[OSError | None]) -> None:
        for error in errors:
            if not self._waiting:
                # Stopped meanwhile.
                return
            size, written = self._waiting.popleft()
            self.buffered -= size
            if error is None:
                written.callback(None)
            else:
                written.errback(error)

    # In the thread

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._queue or self._stopped):
                    self._changed.wait()
                if self._stopped:
                    return
                batch, self._queue = self._queue, []
            for errors in self._writeBatch(batch):
                self._reactor.callFromThread(self._done, errors)

    def _writeBatch(self, batch: list[Iterable[Octets]]) -> Iterable[list[OSError | None]]:
        """
        Write, and tell of so many at a time what came of it.
        """
        chunk = bytearray()
        told = 0
        for number, pieces in enumerate(batch, 1):
            error = None
            try:
                for piece in pieces:
                    if len(chunk) + len(piece) > _CHUNK:
                        self._writeOut(chunk)
                        chunk = bytearray()
                    if len(piece) > _CHUNK:
                        self._writeOut(piece)
                    else:
                        chunk += piece
                if number == len(batch):
                    self._writeOut(chunk)
                    chunk = bytearray()
            except OSError as caught:
                error = caught
                # What it was together with may have gone with it.
                chunk = bytearray()
            if error is not None or not chunk:
                yield [error] * (number - told)
                told = number

    def _writeOut(self, octets: Octets) -> None:
        rest = memoryview(octets)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                # Somebody made it non-blocking.
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll()
