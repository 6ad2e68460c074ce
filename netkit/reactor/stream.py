"""
A stream connection whose bytes uvloop moves: how its socket becomes a uvloop transport, what that
tells, and what Twisted makes of it.
"""

from __future__ import annotations

from asyncio import BaseTransport, Protocol
from collections.abc import Callable, Coroutine
from contextvars import Context
from functools import partial
from socket import SHUT_RDWR
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
    isHalfClosing,
    isTLSAborted,
    pauseProducer,
    queuedSize,
    takeQueue,
    unsentSize,
)

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

# After so many octets at once there may well be more, and libuv reads on, 32 times and more.
_MUCH = 128 * 1024

# What a producer writes is joined until it fills the buffer so many times. Each call of the kernel
# costs a segment, its acknowledgement and a wake-up of the peer, on loopback 9 us; to join more
# than this gains nothing.
_FULL = 3

# How much of a producer's a connection may give the kernel in one turn, in octets.
_SHARE = 512 * 1024

_DONE = Failure(CONNECTION_DONE)
_LOST = Failure(CONNECTION_LOST)


class LoopProtocol(Protocol):
    """
    The asyncio protocol of one connection: passes on what uvloop has to tell.
    """

    __slots__ = ("_stream",)

    # uvloop asks each protocol for it, and an error would be made and dropped for each connection.
    get_buffer = None

    def __init__(self, stream: StreamMixin) -> None:
        """
        @param stream: the connection.
        """
        self._stream = stream

    def connection_made(self, transport: BaseTransport) -> None:
        self._stream._uv = transport

    @property
    def data_received(self) -> Callable[[bytes], None]:
        # uvloop asks for it once. What arrives gets into the connection's context and to it
        # without any Python of ours in between.
        run: Any = self._stream._context.run
        return partial(run, self._stream._received)

    def eof_received(self) -> bool:
        stream = self._stream
        stream._reading = False
        turn = stream._turn
        turn.current = stream
        try:
            # As when something arrives: it comes from the loop, and nobody is in the context.
            stream._context.run(stream.readConnectionLost, _DONE)
        except BaseException:
            _log.failure("{stream}: unhandled error", stream=stream)
        turn.current = None
        # What to do about it was decided: uvloop itself is to do nothing.
        return True

    def pause_writing(self) -> None:
        self._stream._stalled()

    def resume_writing(self) -> None:
        self._stream._drained()

    def connection_lost(self, exc: Exception | None) -> None:
        stream = self._stream
        # Where we closed it ourselves, this comes after the fact.
        if not stream.disconnected:
            try:
                stream.connectionLost(_DONE if exc is None else _LOST)
            except BaseException:
                _log.failure("{stream}: unhandled error", stream=stream)


class StreamMixin(BufferedConnection):
    """
    Takes the place of Twisted's own reading and writing in a L{Connection}; its states, its
    reasons and the order of its callbacks are Twisted's.

    A connection is I{native} once its socket was handed over to uvloop, and is a descriptor in the
    reactor's set before that (while it connects) and where bytes are not all there is to move
    (file descriptors on a UNIX socket).

    Writing: the first C{write} in a turn, or after something arrived, goes to the kernel at once,
    with next to nothing in between. More of them in the same turn are queued and leave together
    at its end, in one system call, or when a producer has written much; so does everything that
    is not a plain write of bytes on a connection that is in order.

    @ivar _context: in which its callbacks run, from when it is connected on.
    @ivar native: whether uvloop has, or is about to have, the socket.
    @ivar _flushed: how much of its share of the turn C{_flushedIn} it gave the kernel.
    @ivar _openMode: the write mode while all is in order, as it is again when something arrives.
    @ivar _reading: whether the application wants what arrives.
    @ivar _resting: whether uvloop does not read, since this connection had its share of the turn.
    @ivar _scheduled: whether the queue will be looked at when the turn ends.
    @ivar _turn: that of its reactor.
    @ivar _uv: uvloop's transport, as soon as there is one.
    @ivar _writeMode: that of the next write.
    @ivar _wroteIn: the number of the turn in which something that was the first to be written in
        it went to the kernel. So nothing has to be done for it when that turn ends: of those that
        something was broadcast to there are many.
    """

    __slots__ = ("_context", "_openMode", "_turn", "_uv", "_writeMode", "_wroteIn", "native")

    # Whether uvloop has the socket from the start.
    accepted = False
    # There is no handshake of TLS to be done here. Of each connection that ends it is asked.
    handshakeDone = True
    reactor: Any
    _context: Context
    _turn: Any
    _uv: Any
    _openMode: int
    _writeMode: int
    _wroteIn: int
    native: bool

    def __init__(self, *args: Any) -> None:
        self.initStream(native=self.accepted, reading=False)
        super().__init__(*args)

    def initStream(self, native: bool, reading: bool) -> None:
        """
        Begin as one that uvloop does not have yet.

        @param native: whether it is about to have it.
        @param reading: whether the application wants what arrives.
        """
        self._uv = self._turn = None
        self.native = native
        self._openMode = self._writeMode = _QUEUED
        self._wroteIn = 0
        # Set on the instance: CPython's inline cache misses attributes that the class defines too.
        self._reading = reading
        self._resting = False
        self._scheduled = False
        self._flushed = self._flushedIn = 0

    def takeOver(self, done: Callable[[], None]) -> None:
        """
        Have uvloop serve what was a descriptor while it connected.

        @param done: called then, in the connection's context.
        """
        self.reactor.turn.connect(self._takenOver, done)

    def _takenOver(self, done: Callable[[], None]) -> None:
        self.native = True
        self.begin()
        done()

    def begin(self) -> None:
        """
        It is connected: hand the socket over to uvloop, which closes it.
        """
        turn = self._turn = self.reactor.turn
        self._context = turn.connecting
        if not self.native:
            return
        turn.natives.add(self)
        # The coroutine opens the transport, then waits until its protocol knows it. It is run by
        # hand, because a task for each connection would cost more than all else that is done here.
        opening = turn.loop.connect_accepted_socket(self._newLoopProtocol, self.socket)
        opening.send(None)
        # Both that telling and this call are in the same batch: reading has begun, and nothing was
        # read yet.
        turn.loop.call_soon(self._handedOver, opening, context=turn.context)

    def _newLoopProtocol(self) -> LoopProtocol:
        return LoopProtocol(self)

    def _handedOver(self, opening: Coroutine[Any, Any, Any]) -> None:
        """
        uvloop has the socket: do what was asked for meanwhile.
        """
        # Not suppress(), which takes longer than the rest of it.
        try:  # noqa: SIM105
            opening.send(None)
        except StopIteration:
            pass
        uv = self._uv
        if self.disconnected:
            uv.abort()
            return
        # So that "paused" means that something is left to send, and "resumed" that nothing is.
        uv.set_write_buffer_limits(0)
        if not (self.native and self._reading):
            uv.pause_reading()
        if self._scheduled:
            self.turnEnded()
        elif self.native:
            self._allowDirect()

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
        return self._scheduled or (self._uv is not None and bool(self._uv.get_write_buffer_size()))

    def getWriteBufferSize(self) -> int:
        """
        How many of the octets that were written the kernel has not taken yet.
        """
        size = unsentSize(self)
        return size if self._uv is None else size + self._uv.get_write_buffer_size()

    def startReading(self) -> None:
        if not self.native:
            super().startReading()
            return
        self._reading = True
        if self._uv is not None and not self._resting:
            self._uv.resume_reading()

    def stopReading(self) -> None:
        if not self.native:
            super().stopReading()
            return
        self._reading = False
        if self._uv is not None:
            self._uv.pause_reading()

    def startWriting(self) -> None:
        self._queueWrites()
        if not self.native:
            # uvloop sends what it has first.
            if not self.isWriting():
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
        Have Twisted's own reading and writing do the work from here on; uvloop's transport just
        keeps the socket.
        """
        if not self.native:
            return
        reading, writing = self.isReading(), self.isWriting()
        self.stopReading()
        self._queueWrites()
        self.native = self._scheduled = False
        if self._turn is not None:
            self._turn.natives.discard(self)
        if reading:
            self.startReading()
        if writing:
            self.startWriting()

    def doRead(self) -> Any:
        return self._context.run(super().doRead)

    def doWrite(self) -> Any:
        return self._context.run(super().doWrite)

    def _received(self, data: bytes) -> None:
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
        if len(data) >= _MUCH and turn.isLong():
            self._rest()

    def _rest(self) -> None:
        """
        Leave the rest of the turn to the other connections.
        """
        if self._reading and self.native:
            self._resting = True
            self._uv.pause_reading()
            self._turn.flushSoon(self)

    def write(self, data: bytes) -> None:
        mode = self._writeMode
        if mode == _DIRECT and type(data) is bytes:
            # Most are answers.
            self._writeMode = _QUEUED
            self._uv.write(data)
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
                    self._uv.write(data)
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
        if self._uv is not None:
            self._uv.abort()
        turn = self._turn
        if turn is None:
            self.lose(reason)
        else:
            if self.native:
                self._reading = self._scheduled = False
                turn.natives.discard(self)
            self._inContext(self.lose, reason)

    def closeSocket(self, orderly: bool) -> None:
        if orderly and self._uv is not None:
            try:  # noqa: SIM105 # suppress() takes longer
                self.socket.shutdown(SHUT_RDWR)
            except OSError:
                pass
        else:
            super().closeSocket(orderly)
        if self._uv is not None:
            # It was shut down; uvloop, which is told by now, is about to close the descriptor.
            self.socket.detach()

    def isSendBufferFull(self) -> bool:
        if not self.native:
            return super().isSendBufferFull()
        uv, queued = self._uv, queuedSize(self)
        held: int = 0 if uv is None else uv.get_write_buffer_size()
        if uv is not None and not held:
            if queued < _FULL * self.bufferSize:
                return False
            # The producer need not wait for what the kernel takes at once.
            if self._mayFlush(queued):
                # Else the memory of what is joined goes and comes again in each turn.
                raiseTrimThreshold()
                uv.writelines(takeQueue(self))
                queued, held = 0, uv.get_write_buffer_size()
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
        if self._resting:
            self._resting = False
            if self._reading and self.native:
                self._uv.resume_reading()
        # Without a transport it is too early: L{_handedOver} will come by.
        if self._scheduled and self._uv is not None:
            self._scheduled = False
            if self.native and not self.disconnected:
                try:
                    self._flush()
                except BaseException as error:
                    self._raised(error)

    def _flush(self) -> None:
        """
        Give uvloop what was queued, and see what is next.
        """
        uv = self._uv
        queue = takeQueue(self)
        if len(queue) == 1:
            uv.write(queue[0])
        elif queue:
            uv.writelines(queue)
        if not uv.get_write_buffer_size():
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
        if self._uv is not None and not self.TLS:
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
            self._uv.write(data)

    def _stalled(self) -> None:
        """
        The kernel did not take everything.
        """
        self._queueWrites()
        self._inContext(pauseProducer, self)

    def _drained(self) -> None:
        """
        The kernel took what was left.
        """
        if self.disconnected:
            return
        if self.native:
            self._scheduled = True
            self.turnEnded()
        else:
            # Now what was queued meanwhile.
            self.startWriting()

    def _raised(self, error: BaseException) -> None:
        """
        The application raised: log that, and end the connection.
        """
        failure = Failure(error)
        _log.failure("{stream}: unhandled error, the connection is closed", failure, stream=self)
        self.connectionLost(failure)
