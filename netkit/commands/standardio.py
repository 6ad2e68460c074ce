"""
Standard input and output, be they files, pipes, terminals or /dev/null.

A thread reads and another one writes, since a reactor cannot wait for files, and since to make
these descriptors non-blocking would make them so for every process that shares them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import blockingCallFromThread
from twisted.python.failure import Failure

_PIECE = 2**16


def readInput(
    reactor: IReactorFromThreads, take: Callable[[bytes], Deferred[None]], descriptor: int = 0
) -> Deferred[None]:
    """
    Read to the end.

    @param reactor: what calls C{take}.
    @param take: called with each piece as it comes; the next one is read when its Deferred fires.
    @param descriptor: what to read; standard input by default.
    @return: fires at the end; fails with the C{OSError} of reading, or as C{take} does.
    """
    done: Deferred[None] = Deferred(lambda _: None)
    # Typed as what a call from a thread may be given: it may give a result as well as a Deferred.
    call: Callable[[bytes], object] = take

    def read() -> None:
        try:
            while data := os.read(descriptor, _PIECE):
                blockingCallFromThread(reactor, call, data)
        except Exception:
            reactor.callFromThread(done.errback, Failure())
        else:
            reactor.callFromThread(done.callback, None)

    # A daemon, as is the other: it does not keep the process when all else is done.
    Thread(target=read, daemon=True, name="standard input").start()
    return done


class Output:
    """
    Writes to a descriptor.
    """

    def __init__(self, reactor: IReactorFromThreads, descriptor: int = 1) -> None:
        """
        @param reactor: what fires the Deferreds.
        @param descriptor: where to write; standard output by default.
        """
        self._reactor = reactor
        self._descriptor = descriptor
        self._pieces: SimpleQueue[tuple[bytes, Deferred[None]]] = SimpleQueue()
        Thread(target=self._run, daemon=True, name="standard output").start()

    def write(self, data: bytes) -> Deferred[None]:
        """
        Write, after what was written before.

        @param data: the octets.
        @return: fires when they are written; fails with C{OSError}.
        """
        written: Deferred[None] = Deferred(lambda _: None)
        self._pieces.put((data, written))
        return written

    def _run(self) -> None:
        while True:
            data, written = self._pieces.get()
            rest = memoryview(data)
            try:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError:
                self._reactor.callFromThread(written.errback, Failure())
            else:
                self._reactor.callFromThread(written.callback, None)
