"""
Standard input, be it a file, a pipe, a terminal or /dev/null.

A thread reads, since a reactor cannot wait for files, and since to make this descriptor
non-blocking would make it so for every process that shares it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
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

    # A daemon: it does not keep the process when all else is done.
    Thread(target=read, daemon=True, name="standard input").start()
    return done
