"""
A stream connection whose bytes a channel moves: what that tells, and what Twisted makes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from types import FunctionType
from typing import Any, cast

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
from netkit.reactor.channels import Channel

_log = Logger()

# Write modes: what becomes of the next write.
# It is queued.
_QUEUED = 0
# It goes to the kernel.
_DIRECT = 1
# It goes to the kernel, unless TLS is to say something else.
_DIRECT_TLS = 2
# Beside one of the last two: nothing arrived before it, so that there is one in each turn.
_FIRST = 4
_FIRST_DIRECT = _FIRST | _DIRECT

# What a producer writes is joined until it fills the buffer so many times. Each call of the kernel
# costs a segment, its acknowledgement and a wake-up of the peer, on loopback 9 us; to join more
# than this gains nothing.
_FULL = 3

# How much of a producer's a connection may give the kernel in one turn, in octets.
_SHARE = 512 * 1024

_DONE = Failure(CONNECTION_DONE)
_LOST = Failure(CONNECTION_LOST)


def ownCopy(method: Callable[..., Any]) -> Any:
    """
    Make a copy of a method for a class to have as its own. CPython notes in a function's code of
    which class the objects were that it met, and looks attributes up the long way once there are
    two; in a relay a connection of a server and one of a client take turns.
    """
    function = cast(FunctionType, method)
    return FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )


class StreamMixin(BufferedConnection):
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

    @ivar _begun: whether the turn in which it was connected is over.
    @ivar _channel: moves the bytes of one that is native.
    @ivar _context: in which its callbacks run, from when it is connected on.
    @ivar native: whether a channel has, or is about to have, the socket.
    @ivar _failed: whether the kernel has an error for it.
    @ivar _flushed: how much of its share of the turn C{_flushedIn} it gave the kernel.
    @ivar _openMode: the write mode while all is in order, as it is again when something arrives.
    @ivar _reading: whether the application wants what arrives.
    @ivar _scheduled: whether the queue will be looked at when the turn ends.
    @ivar _turn: that of its reactor.
    @ivar _writeMode: that of the next write.
    @ivar _wroteIn: the number of the turn in which something that was the first to be written in
        it went to the kernel. So nothing has to be done for it when that turn ends: of those that
        something was broadcast to there are many.
    """

    __slots__ = ("_channel", "_context", "_openMode", "_turn", "_writeMode", "_wroteIn", "native")

    # Whether a channel has the socket from the start.
    accepted = False
    # There is no handshake of TLS to be done here. Of each connection that ends it is asked.
    handshakeDone = True
    reactor: Any
    _channel: Any
    _context: Context
    _turn: Any
    _openMode: int
    _writeMode: int
    _wroteIn: int
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
        self._channel = self._turn = None
        self.native = native
        self._openMode = self._writeMode = _QUEUED
        self._wroteIn = 0
        # Set on the instance: CPython's inline cache misses attributes that the class defines too.
        self._reading = reading
        self._scheduled = self._begun = self._failed = False
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

    def begin(self) -> None:
        """
        It is connected: have a channel move its bytes. Nothing is sent before this turn is over:
        it may still be dropped, or be sent in another way.
        """
        turn = self._turn = self.reactor.turn
        self._context = turn.connecting
        if not self.native:
            return
        channel = self._channel = Channel(turn.poller, self.socket, self._context, self)
        turn.natives.add(self)
        if self._reading:
            channel.resume()
        self._scheduled = True
        turn.flushSoon(self)

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
        if self._channel.unsent:
            return True
        # At the end of its first turn it is looked at whether or not there is something to do.
        return self._scheduled and (
            self._begun or queuedSize(self) > 0 or bool(self.disconnecting) or isHalfClosing(self)
        )

    def getWriteBufferSize(self) -> int:
        """
        How many of the octets that were written the kernel has not taken yet.
        """
        size = unsentSize(self)
        return size if self._channel is None else size + self._channel.unsent

    def startReading(self) -> None:
        if not self.native:
            super().startReading()
            return
        self._reading = True
        if self._channel is not None:
            self._channel.resume()

    def stopReading(self) -> None:
        if not self.native:
            super().stopReading()
            return
        self._reading = False
        self._channel.pause()

    def startWriting(self) -> None:
        self._queueWrites()
        if not self.native:
            super().startWriting()
        elif not self._scheduled:
            self._scheduled = True
            self._turn.flushSoon(self)

    def stopWriting(self) -> None:
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
        if self._channel is None:
            # It is not connected yet.
            return
        writing = self.isWriting()
        putBack(self, self._channel.close())
        self._channel = None
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

    def received(self, data: bytes) -> None:
        """
        Hand to the application what arrived. This is called in the connection's context.
        """
        self._writeMode = self._openMode
        turn = self._turn
        turn.current = self
        try:
            self.protocol.dataReceived(data)
        except BaseException as error:
            self._raised(error)
        turn.current = None

    def write(self, data: bytes) -> None:
        mode = self._writeMode
        if mode == _DIRECT and type(data) is bytes:
            # Most are answers.
            self._writeMode = _QUEUED
            self._channel.write(data)
        elif mode and type(data) is bytes:
            if mode > _FIRST:
                turn = self._turn
                number = turn.number
                if self._wroteIn == number:
                    super().write(data)
                    return
                self._wroteIn = number
                if not turn.ending:
                    turn.expectEnd()
                if mode == _FIRST_DIRECT:
                    self._channel.write(data)
                    return
            else:
                self._writeMode = _QUEUED
            self._writeTls(data)
        else:
            super().write(data)

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
            if self._openMode and (not self._writeMode or self._wroteIn == self._turn.number):
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
            self._writeMode = self._openMode = _QUEUED
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
            self._raised(error)

    def connectionLost(self, reason: Failure) -> None:
        if self.disconnected:
            return
        self._writeMode = self._openMode = _QUEUED
        turn = self._turn
        if turn is None:
            self.lose(reason)
            return
        if self.native:
            self._reading = self._scheduled = False
            self._channel.close()
            turn.natives.discard(self)
        self._inContext(self.lose, reason)

    def isSendBufferFull(self) -> bool:
        if not self.native:
            return super().isSendBufferFull()
        channel, queued = self._channel, queuedSize(self)
        held: int = channel.unsent
        if self._begun and not held:
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
        self._writeMode = self._openMode = _QUEUED

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
                self._begun = True
                if self.native and not (self.disconnected or isAborting(self)):
                    self._flush()
        except BaseException as error:
            self._raised(error)

    def _flush(self) -> None:
        """
        Send what was queued, and see what is next.
        """
        channel = self._channel
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
            self._openMode = _DIRECT_TLS if tls else _DIRECT
            self._writeMode = self._openMode | _FIRST

    def _writeTls(self, data: bytes) -> None:
        """
        Write for TLS. What it says when the connection is aborted must not be out already.
        """
        if isTLSAborted(self.protocol):
            super().write(data)
        else:
            self._channel.write(data)

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
            self._raised(error)
        turn.current = None

    def stalled(self) -> None:
        """
        The kernel did not take everything.
        """
        self._queueWrites()
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
        self._queueWrites()
        self._failed = True
        self._turn.flushSoon(self)

    def _raised(self, error: BaseException) -> None:
        """
        The application raised: log that, and end the connection.
        """
        failure = Failure(error)
        _log.failure("{stream}: unhandled error, the connection is closed", failure, stream=self)
        try:
            self.connectionLost(failure)
        except BaseException:
            _log.failure("{stream}: unhandled error", stream=self)
