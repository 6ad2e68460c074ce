"""
A stream connection whose bytes a channel moves: what that tells, and what Twisted makes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from netkit.base.malloc import raiseTrimThreshold
from netkit.base.twistedprivate import (
    BufferedConnection,
    halfClose,
    isAborting,
    isHalfClosing,
    isTLSAborted,
    pauseProducer,
    putBack,
    queuedSize,
    takeQueue,
    unsentSize,
)
from netkit.reactor.channels import DIRECT, DIRECT_TLS, FIRST, QUEUED, Channel, Writer

_log = Logger()

# What a producer writes is joined until it fills the buffer so many times. Each call of the kernel
# costs a segment, its acknowledgement and a wake-up of the peer, on loopback 9 us; to join more
# than this gains nothing.
_FULL = 3

# How much of a producer's a connection may give the kernel in one turn, in octets.
_SHARE = 512 * 1024

_DONE = Failure(CONNECTION_DONE)
_LOST = Failure(CONNECTION_LOST)


class StreamMixin(Writer, BufferedConnection):
    """
    Takes the place of Twisted's own reading and writing in a L{Connection}; its states, its
    reasons and the order of its callbacks are Twisted's.

    A connection is I{native} once a channel has its socket, and is a descriptor in the reactor's
    set before that (while it connects) and where bytes are not all there is to move (file
    descriptors on a UNIX socket).

    Writing: the first C{write} in a turn, or after something arrived, goes to the kernel at once,
    with next to nothing in between. More of them in the same turn are queued and leave together
    at its end, in one system call, or when a producer has written much; so does everything that
    is not a plain write of bytes on a connection that is in order.

    @ivar _context: in which its callbacks run, from when it is connected on.
    @ivar native: whether a channel has, or is about to have, the socket.
    @ivar _failed: whether the kernel has an error for it.
    @ivar _flushed: how much of its share of the turn C{_flushedIn} it gave the kernel.
    @ivar _reading: whether the application wants what arrives.
    @ivar _scheduled: whether the queue will be looked at when the turn ends.
    @ivar _turn: that of its reactor.
    """

    __slots__ = ("_context", "_turn", "native")

    # Whether a channel has the socket from the start.
    accepted = False
    # There is no handshake of TLS to be done here. Of each connection that ends it is asked.
    handshakeDone = True
    reactor: Any
    channel: Any
    _context: Context
    _turn: Any
    native: bool

    def __init__(self, *args: Any) -> None:
        self.initStream(native=self.accepted, reading=False)
        super().__init__(*args)

    def initStream(self, native: bool, reading: bool) -> None:
        """
        Begin as one that no channel has yet.

        @param native: whether one is about to have it.
        @param reading: whether the application wants what arrives.
        """
        self.channel = self._turn = None
        self.native = native
        # Set on the instance: CPython's inline cache misses attributes that the class defines too.
        self._reading = reading
        self._scheduled = self._failed = False
        self._flushed = self._flushedIn = 0

    def takeOver(self, done: Callable[[], None]) -> None:
        """
        Have a channel serve what was a descriptor while it connected.

        @param done: called then, in the connection's context.
        """
        self.reactor.turn.connect(self._takenOver, done)

    def _takenOver(self, done: Callable[[], None]) -> None:
        self.native = True
        try:
            self.begin()
        except OSError:
            # It stays the descriptor that it was, whose end is told.
            self.native = False
            raise
        done()
        if self.native and not (self._scheduled or self.disconnected or isAborting(self)):
            self._open()

    def begin(self) -> None:
        """
        It is connected: have a channel move its bytes.
        """
        turn = self._turn = self.reactor.turn
        self._context = turn.connecting
        if not self.native:
            return
        channel = self.channel = Channel(turn, self.socket, self._context, self)
        turn.natives.add(self)
        if self._reading:
            channel.resume()
        if self.protocol is not None:
            self._open()

    def _open(self) -> None:
        """
        Everything is in order: writes need not be queued from the next turn on. What is written in
        this one may still be dropped.
        """
        self._allowDirect()
        if not self._turn.ending:
            self._turn.expectEnd()

    def _inContext(self, call: Callable[..., Any], *args: Any) -> Any:
        """
        Make a callback, in this connection's context and log name.
        """
        turn = self._turn
        if turn.current is self:
            return call(*args)
        before, turn.current = turn.current, self
        context = self._context
        if context is turn.connecting or (before is not None and isinstance(before, StreamMixin)):
            # It may have been entered already: A's callback, B's, and A's again.
            context = context.copy()
        try:
            return context.run(call, *args)
        finally:
            turn.current = before

    def isReading(self) -> bool:
        """
        Whether a native connection delivers what arrives.
        """
        return self._reading

    def isWriting(self) -> bool:
        """
        Whether a native connection has something left to send.
        """
        return self._scheduled or self.channel.unsent > 0

    def getWriteBufferSize(self) -> int:
        """
        How many of the octets that were written the kernel has not taken yet.
        """
        size = unsentSize(self)
        return size if self.channel is None else size + self.channel.unsent

    def startReading(self) -> None:
        if not self.native:
            super().startReading()
            return
        self._reading = True
        if self.channel is not None:
            self.channel.resume()

    def stopReading(self) -> None:
        if not self.native:
            super().stopReading()
            return
        self._reading = False
        self.channel.pause()

    def startWriting(self) -> None:
        self._queueWrites()
        if not self.native:
            super().startWriting()
        elif not self._scheduled:
            self._scheduled = True
            self._turn.flushSoon(self)

    def stopWriting(self) -> None:
        # It is aborted.
        self._queueWrites()
        self._scheduled = False
        if not self.native:
            super().stopWriting()

    def leaveNative(self) -> None:
        """
        Have Twisted's own reading and writing do the work from here on.
        """
        if not self.native:
            return
        self._queueWrites()
        self.native = False
        if self.channel is None:
            # It is not connected yet.
            return
        writing = self.isWriting()
        putBack(self, self.channel.close())
        self.channel = None
        self._scheduled = False
        self._turn.natives.discard(self)
        if self._reading:
            self.startReading()
        if writing:
            self.startWriting()

    def doRead(self) -> Any:
        return self._context.run(super().doRead)

    def doWrite(self) -> Any:
        return self._context.run(super().doWrite)

    def writeOtherwise(self, data: bytes) -> None:
        """
        Write what is not simply the next to be sent, as a C{Writer} asks for.
        """
        if type(data) is bytes and self._takeDirect():
            self.channel.write(data)
        else:
            # As Twisted does it.
            super(Writer, self).write(data)

    def _takeDirect(self) -> bool:
        """
        Whether the next write goes to the kernel; if so, those after it do not.
        """
        channel = self.channel
        if channel is None or not channel.mode:
            return False
        turn = self._turn
        if not channel.mode & FIRST:
            channel.mode = QUEUED
        elif channel.wroteIn == turn.number:
            return False
        else:
            channel.wroteIn = turn.number
            if not turn.ending:
                turn.expectEnd()
        # What TLS says when it is aborted must not be out already.
        return channel.openMode != DIRECT_TLS or not isTLSAborted(self.protocol)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self.producer is None:
            if streaming and not (self.TLS or self.disconnected):
                # As Twisted's classes do it, one after the other.
                self.producer = producer
                self.streamingProducer = True
                self.producerPaused = False
                return
            # The one before may have gone while it was paused.
            self.producerPaused = False
        if not streaming:
            # It is asked for more when what was written is sent: each of its writes has to be
            # seen, and one that has just gone out is to count as well.
            channel = self.channel
            if (
                channel is not None
                and channel.openMode
                and (not channel.mode or channel.wroteIn == self._turn.number)
            ):
                self.startWriting()
            self._queueWrites()
        super().registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        if self.TLS or self.disconnecting:
            super().unregisterProducer()
        else:
            self.producer = None

    def loseConnection(self) -> None:
        if not self.native or self.TLS or self.disconnecting or isHalfClosing(self):
            super().loseConnection()
        elif self.connected:
            # As Twisted's classes do it, one after the other.
            self.disconnecting = True
            if self._reading:
                self.stopReading()
            self._queueWrites()
            if not self._scheduled:
                self._scheduled = True
                self._turn.flushSoon(self)

    def startTLS(self, ctx: object, normal: bool = True) -> None:
        self._queueWrites()
        super().startTLS(ctx, normal)

    def readConnectionLost(self, reason: Failure) -> None:
        protocol = self.protocol
        if not IHalfCloseableProtocol.providedBy(protocol):
            # Twisted's looks for an adapter as well.
            super().readConnectionLost(reason)
            return
        try:
            protocol.readConnectionLost()
        except BaseException as error:
            self.raised(error)

    def connectionLost(self, reason: Failure) -> None:
        if self.disconnected:
            return
        turn = self._turn
        if turn is None:
            self.lose(reason)
            return
        if self.native:
            self._reading = self._scheduled = False
            self.channel.close()
            turn.natives.discard(self)
        self._inContext(self.lose, reason)

    def isSendBufferFull(self) -> bool:
        if not self.native:
            return super().isSendBufferFull()
        # A producer that writes when it is told does so behind what is queued.
        self._queueWrites()
        channel, queued = self.channel, queuedSize(self)
        held: int = channel.unsent
        if not (held or isAborting(self)) and channel.madeIn != self._turn.number:
            if queued < _FULL * self.bufferSize:
                return False
            # The producer need not wait for what the kernel takes at once.
            if self._mayFlush(queued):
                # Else the memory of what is joined goes and comes again in each turn.
                raiseTrimThreshold()
                channel.writelines(takeQueue(self))
                queued, held = 0, channel.unsent
        # One that counts how often it is told, as a cooperative task does, is told once.
        return queued + held > self.bufferSize and not self.producerPaused

    def _mayFlush(self, size: int) -> bool:
        """
        Whether so many octets are within this connection's share of the turn; if so, count them.
        """
        number = self._turn.number
        if self._flushedIn != number:
            self._flushedIn = number
            self._flushed = 0
        self._flushed += size
        return self._flushed <= _SHARE

    def _queueWrites(self) -> None:
        """
        Disable direct writes: every write is queued until the queue is empty.
        """
        channel = self.channel
        if channel is not None:
            channel.mode = channel.openMode = QUEUED

    def turnEnded(self) -> None:
        """
        Act on what was asked for in this turn.
        """
        try:
            if self._failed:
                if not isAborting(self):
                    self.connectionLost(_LOST)
            elif self._scheduled:
                self._scheduled = False
                if self.native and not (self.disconnected or isAborting(self)):
                    self._flush()
        except BaseException as error:
            self.raised(error)

    def _flush(self) -> None:
        """
        Send what was queued, and see what is next.
        """
        channel = self.channel
        queue = takeQueue(self)
        if len(queue) == 1:
            channel.write(queue[0])
        elif queue:
            channel.writelines(queue)
        if not (channel.unsent or self._failed):
            self._allSent()

    def _allSent(self) -> None:
        """
        Nothing is left to send: the same next step as in C{FileDescriptor.doWrite}.
        """
        if self.producer is not None and (not self.streamingProducer or self.producerPaused):
            self.producerPaused = False
            self._inContext(self.producer.resumeProducing)  # type: ignore[attr-defined]
        elif self.disconnecting:
            self.connectionLost(_DONE)
        elif isHalfClosing(self):
            if closeHalf := halfClose(self):
                self._inContext(closeHalf)
        else:
            self._allowDirect()

    def _allowDirect(self) -> None:
        """
        Everything is in order: writes need not be queued.
        """
        # Where TLS was started, what is written is still to be encrypted.
        if not self.TLS:
            tls = isinstance(self.protocol, TLSMemoryBIOProtocol)
            channel = self.channel
            channel.openMode = DIRECT_TLS if tls else DIRECT
            channel.mode = channel.openMode | FIRST

    def ended(self) -> None:
        """
        Nothing more will arrive.
        """
        self._reading = False
        turn = self._turn
        turn.current = self
        try:
            # As when something arrives: it comes from the loop, and nobody is in the context.
            self._context.run(self.readConnectionLost, _DONE)
        except BaseException as error:
            self.raised(error)
        turn.current = None

    def stalled(self) -> None:
        """
        The kernel did not take everything.
        """
        self._inContext(pauseProducer, self)

    def drained(self) -> None:
        """
        The kernel took what was left.
        """
        self._scheduled = True
        self.turnEnded()

    def failed(self) -> None:
        """
        The kernel has an error for this connection. It ends when the turn does: who writes is not
        to be told in the middle of it.
        """
        self._failed = True
        self._turn.flushSoon(self)

    def raised(self, error: BaseException) -> None:
        """
        The application raised: log that, and end the connection.
        """
        failure = Failure(error)
        _log.failure("{stream}: unhandled error, the connection is closed", failure, stream=self)
        try:
            self.connectionLost(failure)
        except BaseException:
            _log.failure("{stream}: unhandled error", stream=self)
