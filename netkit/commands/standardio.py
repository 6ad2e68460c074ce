"""
Standard input and output, be they files, pipes, terminals or /dev/null.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Thread

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import blockingCallFromThread
from twisted.python.failure import Failure

from ..base.descriptors import DescriptorWriter
from .running import NOBODY_READS, CommandFailed

_PIECE = 2**16


def readInput(
    reactor: IReactorFromThreads, take: Callable[[bytes], Deferred[None]], descriptor: int = 0
) -> Deferred[None]:
    """
    Read to the end. A thread does it, for the same reasons as L{netkit.base.descriptors} has one.

    @param reactor: what calls C{take}.
    @param take: called with each piece as it comes; the next one is read when its Deferred fires.
    @param descriptor: what to read; standard input by default.
    @return: fires at the end; fails with the C{OSError} of reading, or as C{take} does.
    """
    done: Deferred[None] = Deferred()
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


class StandardOutput:
    """
    Standard output, as the verbs write to it.
    """

    def __init__(self, reactor: IReactorFromThreads) -> None:
        """
        @param reactor: in whose thread this is used.
        """
        self._writer = DescriptorWriter(reactor, 1)

    async def write(self, data: bytes) -> None:
        """
        Write, after what was written before.

        @param data: the octets.
        @raise CommandFailed: standard output does not take them; without a word where nobody
            reads it any more, as with any filter.
        """
        try:
            await self._writer.write(data)
        except BrokenPipeError as error:
            raise CommandFailed(status=NOBODY_READS) from error
        except OSError as error:
            raise CommandFailed(f"standard output: {error.strerror}") from error
