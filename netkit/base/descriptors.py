"""
Writing to descriptors that a reactor cannot wait for: files, and what is shared with other
processes and so cannot be made non-blocking, as it would be for them all.
"""

from __future__ import annotations

import os
import select
from queue import SimpleQueue
from threading import Thread

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

Octets = bytes | bytearray


def writeAll(descriptor: int, data: Octets) -> None:
    """
    Write everything, however long that takes: in a thread that may wait.

    @param descriptor: a file, a pipe, a terminal, whether it blocks or not.
    @param data: the octets.
    @raise OSError: it does not take them, or not all.
    """
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            # Not select(), which knows no descriptor above 1023.
            ready = select.poll()
            ready.register(descriptor, select.POLLOUT)
            ready.poll()


class DescriptorWriter:
    """
    Writes to a descriptor by a thread, so that the reactor never waits. Whoever writes waits for
    what was written before, for memory not to fill.
    """

    def __init__(self, reactor: IReactorFromThreads, descriptor: int) -> None:
        """
        @param reactor: in whose thread this is used.
        @param descriptor: where to write; it is not closed.
        """
        self._reactor = reactor
        self._descriptor = descriptor
        self._queue: SimpleQueue[tuple[Octets, Deferred[None]] | None] = SimpleQueue()
        # A daemon: it does not keep the process while nobody reads what it writes.
        Thread(target=self._run, daemon=True, name="netkit writes").start()

    def write(self, data: Octets) -> Deferred[None]:
        """
        Write, after what was written before.

        @param data: the octets; not to be changed any more.
        @return: fires when they are written; fails with the C{OSError} by which they are not, or
            not all. What is written after that is tried again.
        """
        written: Deferred[None] = Deferred()
        self._queue.put((data, written))
        return written

    def stop(self) -> None:
        """
        End the thread, behind what was written.
        """
        self._queue.put(None)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            data, written = item
            try:
                writeAll(self._descriptor, data)
            except OSError:
                self._reactor.callFromThread(written.errback, Failure())
            else:
                self._reactor.callFromThread(written.callback, None)
