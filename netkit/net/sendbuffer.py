"""
The sending half of a socket: what was written and the transport has not taken yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IPushProducer, ITCPTransport

from ..base.arguments import checkOctets
from ..base.backpressure import Backpressure
from ..base.failures import untraced
from ..base.halfclose import hasHalves
from ..base.waiters import Waiters

# The transport is fed in pieces of this many bytes, so that a long write is seen to move.
_PIECE = 2**16


def _nothing() -> None:
    """
    What is called in place of who was let go of.
    """


class SendBuffer:
    """
    Feeds a transport as fast as it takes, and tells writers when there is room.

    @ivar accepted: how many bytes were written to this half.
    @ivar closed: whether this half is closed, with everything sent.
    @ivar queued: how many bytes wait for the transport to take them.
    @ivar finished: whether the last octet has left, as far as can be told: this half is closed, or
        a transport that has no halves has everything and closes after it.
    """

    def __init__(
        self,
        transport: ITCPTransport,
        highWaterMark: int,
        moved: Callable[[], None],
        finished: Callable[[], None],
    ) -> None:
        """
        @param transport: what sends.
        @param highWaterMark: how many bytes may wait here before a write is told to wait.
        @param moved: called whenever the transport took something.
        @param finished: called when C{finished} becomes true.
        """
        self.accepted = 0
        self.closed = False
        self.finished = False
        self._transport = transport
        self._highWaterMark = highWaterMark
        self._moved = moved
        self._finished = finished
        self._queue: deque[memoryview] = deque()
        self.queued = 0
        self._backpressure = Backpressure(self._congested, self._drained)
        self._producer: IPushProducer | None = None
        # Why nothing more can be written.
        self._refusal: Exception | None = None
        self._error: Exception | None = None
        self._ending = False
        self._closing = False
        self._writers: Waiters[None] = Waiters()
        self._enders: Waiters[None] = Waiters()
        self._backpressure.register(transport)

    def write(self, data: bytes | bytearray | memoryview) -> Deferred[None]:
        """
        Send.

        @param data: the octets; a C{bytearray} or C{memoryview} is copied.
        @return: fires when more may be written; fails when this can not be sent any more.
        @raise TypeError: it is something else.
        """
        octets = data if type(data) is bytes else checkOctets("what to write", data)
        if self._refusal is not None:
            return fail(untraced(self._refusal))
        self._put(octets)
        if self._error is not None:
            return fail(untraced(self._error))
        if self.queued <= self._highWaterMark:
            return succeed(None)
        return self._writers.wait()

    def push(self, data: bytes) -> None:
        """
        Send what a producer produces, which is paused while too much waits.

        @raise Exception: why it can not be sent any more.
        """
        if self._refusal is not None:
            raise untraced(self._refusal)
        self._put(data)

    def setProducer(self, producer: IPushProducer | None) -> None:
        """
        Have a producer paused while the transport takes nothing, or no longer.

        @param producer: what calls L{push}.
        """
        self._producer = producer
        if producer is not None and self._backpressure.paused:
            producer.pauseProducing()

    def end(self, data: bytes | bytearray | memoryview, refusal: Exception) -> Deferred[None]:
        """
        Close this half once everything is sent; a transport that has no halves closes whole.

        @param data: octets to send before.
        @param refusal: what a later write fails with.
        @return: fires when that is done; fails when it cannot be.
        @raise TypeError: C{data} is something else.
        """
        octets = checkOctets("what to write", data)
        if self.closed and not octets:
            return succeed(None)
        if self._refusal is not None and (octets or not self._ending):
            return fail(untraced(self._refusal))
        ended = self._enders.wait()
        if not self._ending:
            self._ending = True
            self._refusal = refusal
            self._put(octets)
        return ended

    def halfClosed(self) -> None:
        """
        The transport has closed this half.
        """
        self.closed = True
        self._finish()
        self._enders.succeed(None)

    def lost(self, error: Exception, clean: bool) -> None:
        """
        The connection is gone.

        @param error: why.
        @param clean: whether the transport had sent what it was given.
        """
        self._error = error
        self._backpressure.forget()
        self._moved = self._finished = _nothing
        self.closed = self.closed or (self._ending and clean and not self._queue)
        self._ending = False
        self._queue.clear()
        self.queued = 0
        self._refusal = error
        self._writers.fail(error)
        if self.closed:
            self._enders.succeed(None)
        else:
            self._enders.fail(error)

    def _congested(self) -> None:
        if self._producer is not None:
            self._producer.pauseProducing()

    def _drained(self) -> None:
        self._moved()
        self._feed()
        if self._producer is not None and not self._backpressure.paused:
            self._producer.resumeProducing()

    def _put(self, data: bytes) -> None:
        self.accepted += len(data)
        if data and not self._backpressure.paused and not self._queue and len(data) <= _PIECE:
            self._transport.write(data)
            self._moved()
        elif data:
            self._queue.append(memoryview(data))
            self.queued += len(data)
        self._feed()

    def _feed(self) -> None:
        while self._queue and not self._backpressure.paused:
            piece = self._queue[0][:_PIECE]
            self._queue[0] = self._queue[0][_PIECE:]
            if not self._queue[0]:
                self._queue.popleft()
            self.queued -= len(piece)
            self._transport.write(bytes(piece))
            self._moved()
        if self._queue:
            return
        self._writers.succeed(None)
        # They may have written more, which comes first.
        if self._queue:
            return
        if self._ending and not self._closing and not self.closed:
            self._closing = True
            # While a producer is registered, the transport would wait for its end for ever.
            self._backpressure.unregister()
            if hasHalves(self._transport):
                self._transport.loseWriteConnection()
            else:
                self._transport.loseConnection()
                self._finish()

    def _finish(self) -> None:
        self.finished = True
        self._finished()
