"""
Writing to descriptors that a reactor cannot wait for: files, and what is shared with other
processes and so cannot be made non-blocking, as it would be for them all.
"""

from __future__ import annotations

import os
import select
from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from .worker import Worker

Octets = bytes | bytearray

# How many pieces one call takes (IOV_MAX).
_MOST = os.sysconf("SC_IOV_MAX")


def writeAll(descriptor: int, data: Octets | memoryview) -> None:
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
            _wait(descriptor)


def writeOut(descriptor: int, data: bytearray) -> None:
    """
    As L{writeAll}, and take what is written out of the octets: those that are left are not.
    """
    while data:
        try:
            del data[: os.write(descriptor, data)]
        except BlockingIOError:
            _wait(descriptor)


def writePieces(descriptor: int, pieces: Sequence[bytes | memoryview]) -> int:
    """
    As L{writeAll}, for octets in pieces, which are not copied to make one of them.

    @return: how many octets there were.
    """
    whole = 0
    for start in range(0, len(pieces), _MOST):
        some = pieces[start : start + _MOST]
        try:
            written = os.writev(descriptor, some)
        except BlockingIOError:
            written = 0
        size = sum(map(len, some))
        whole += size
        if written < size:
            _writeRest(descriptor, some, written)
    return whole


def _writeRest(descriptor: int, pieces: Sequence[bytes | memoryview], written: int) -> None:
    for piece in pieces:
        if written < len(piece):
            writeAll(descriptor, piece[written:] if written else piece)
        written = max(0, written - len(piece))


def _wait(descriptor: int) -> None:
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
        self._worker: Worker[tuple[Octets, Deferred[None]]] = Worker(
            "netkit writes", self._write, reactor
        )
        self._worker.start()

    def write(self, data: Octets) -> Deferred[None]:
        """
        Write, after what was written before.

        @param data: the octets; not to be changed any more.
        @return: fires when they are written; fails with the C{OSError} by which they are not, or
            not all. What is written after that is tried again.
        """
        written: Deferred[None] = Deferred()
        self._worker.put((data, written), len(data))
        return written

    def stop(self) -> None:
        """
        End the thread, behind what was written.
        """
        self._worker.stop()

    def _write(self, item: tuple[Octets, Deferred[None]]) -> None:
        data, written = item
        try:
            writeAll(self._descriptor, data)
        except OSError:
            self._reactor.callFromThread(written.errback, Failure())
        else:
            self._reactor.callFromThread(written.callback, None)
