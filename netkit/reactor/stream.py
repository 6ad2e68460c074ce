"""
A stream connection whose bytes uvloop moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.main import CONNECTION_DONE
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from netkit.reactor.link import handOver
from netkit.reactor.traffic import Traffic
from netkit.reactor.traffic.states import FIRST, QUEUED, STRAIGHT, THROUGH_TLS

if TYPE_CHECKING:
    from netkit.reactor.core import UvloopReactor

_log = Logger()

_DONE = Failure(CONNECTION_DONE)


class StreamMixin(Traffic, Connection):
    """
    Takes the place of Twisted's own reading and writing in a L{Connection}; its states, its
    reasons and the order of its callbacks are Twisted's.

    A connection is I{native} once its socket was handed over to uvloop, and is a descriptor in the
    reactor's set before that (while it connects) and where bytes are not all there is to move
    (file descriptors on a UNIX socket).

    Writing: the first C{write} in a turn, or after something arrived, goes to the kernel at once,
    with next to nothing in between. More of them in the same turn are queued and leave together
    at its end, in one system call; so does everything that is not a plain write of bytes on a
    connection that is in order.

    @ivar _native: whether uvloop has, or is about to have, the socket.
    @ivar _wantsReading: what was asked for while uvloop's transport was still to come.
    @ivar _scheduled: whether the queue will be looked at when the turn ends.
    """

    reactor: UvloopReactor
    _native = False

    def __init__(self, *args: Any) -> None:
        # Not as defaults in the class: CPython's fast access is for attributes it does not have.
        self._uv = None
        self._open = self._next = QUEUED
        self._wantsReading = False
        self._scheduled = False
        super().__init__(*args)

    def _goNative(self) -> None:
        """
        Hand the connected socket over to uvloop.
        """
        self._native = True
        self.reactor._streams.add(self)
        handOver(self.reactor, self)

    def _handedOver(self) -> None:
        """
        uvloop has the socket: do what was asked for meanwhile.
        """
        uv = self._uv
        assert uv is not None
        if self.disconnected:
            uv.abort()
            return
        self._fileno = self.fileno
        # So that "paused" means that something is left to send, and "resumed" that nothing is.
        uv.set_write_buffer_limits(0)
        if not (self._native and self._wantsReading):
            uv.pause_reading()
        if self._scheduled:
            self._turnEnded()
        elif self._native:
            self._allowDirect()

    def isReading(self) -> bool:
        """
        Whether a native connection delivers what arrives.
        """
        return self._wantsReading if self._uv is None else self._uv.is_reading()

    def isWriting(self) -> bool:
        """
        Whether a native connection has something left to send.
        """
        return self._scheduled or (self._uv is not None and bool(self._uv.get_write_buffer_size()))

    def startReading(self) -> None:
        if not self._native:
            super().startReading()
        elif self._uv is None:
            self._wantsReading = True
        else:
            self._uv.resume_reading()

    def stopReading(self) -> None:
        if not self._native:
            super().stopReading()
        elif self._uv is None:
            self._wantsReading = False
        else:
            self._uv.pause_reading()

    def startWriting(self) -> None:
        self._queueWrites()
        if not self._native:
            super().startWriting()
        elif not self._scheduled:
            self._scheduled = True
            self.reactor._flushSoon(self)

    def stopWriting(self) -> None:
        self._scheduled = False
        if not self._native:
            super().stopWriting()

    write = Traffic._write

    def _writeOther(self, data: bytes) -> None:
        """
        Write what may not just go to the kernel.
        """
        may = self._next
        if may & THROUGH_TLS and type(data) is bytes:
            self._next = QUEUED
            self._writeTls(data)
            if may & FIRST:
                self.reactor._flushSoon(self)
        else:
            super().write(data)

    def registerProducer(self, producer: object, streaming: bool) -> None:
        if not streaming:
            # It is asked for more when what was written is sent: each of its writes has to be
            # seen, and one that has just gone out is to count as well.
            if self._open and not self._next:
                self.startWriting()
            self._queueWrites()
        super().registerProducer(producer, streaming)

    def startTLS(self, ctx: object, normal: bool = True) -> None:
        self._queueWrites()
        super().startTLS(ctx, normal)

    def connectionLost(self, reason: Failure) -> None:
        if self.disconnected:
            return
        self._queueWrites()
        if self._uv is not None:
            self._uv.abort()
        self.reactor._streams.discard(self)
        # Closing the Python socket shuts it down; the descriptor is closed by uvloop.
        super().connectionLost(reason)

    def _isSendBufferFull(self) -> bool:
        if not self._native:
            return bool(super()._isSendBufferFull())
        held = 0 if self._uv is None else self._uv.get_write_buffer_size()
        return held + self._tempDataLen > self.bufferSize

    def _queueWrites(self) -> None:
        """
        Until further notice, have each write seen.
        """
        self._next = self._open = QUEUED

    def _turnEnded(self) -> None:
        """
        Act on what was asked for in this turn.
        """
        if not self._scheduled:
            if self._open:
                self._next = self._open | FIRST
        # Without a transport it is too early: L{_handedOver} will come by.
        elif self._uv is not None:
            self._scheduled = False
            if self._native and not self.disconnected:
                try:
                    self._flush()
                except BaseException as error:
                    self._raised(error)

    def _flush(self) -> None:
        """
        Give uvloop what was queued, and see what is next.
        """
        uv = self._uv
        assert uv is not None
        queue = self._tempDataBuffer
        if queue:
            if len(queue) == 1:
                uv.write(queue[0])
            else:
                uv.writelines(queue)
            queue.clear()
            self._tempDataLen = 0
        if not uv.get_write_buffer_size():
            self._allSent()

    def _allSent(self) -> None:
        """
        Nothing is left to send: the same next step as in C{FileDescriptor.doWrite}.
        """
        if self.producer is not None and (not self.streamingProducer or self.producerPaused):
            self.producerPaused = False
            self.producer.resumeProducing()  # type: ignore[attr-defined]
        elif self.disconnecting:
            self.connectionLost(_DONE)
        elif self._writeDisconnecting:
            if not self._writeDisconnected:
                self._writeDisconnected = True
                self._closeWriteConnection()
        else:
            self._allowDirect()

    def _allowDirect(self) -> None:
        """
        Everything is in order: writes need not be queued.
        """
        # Where TLS was started, what is written is still to be encrypted.
        if self._uv is not None and not self.TLS:
            tls = isinstance(self.protocol, TLSMemoryBIOProtocol)
            self._open = THROUGH_TLS if tls else STRAIGHT
            self._next = self._open | FIRST

    def _writeTls(self, data: bytes) -> None:
        """
        Write for TLS. What it says when the connection is aborted must not be out already.
        """
        assert self._uv is not None
        if self.protocol._aborted:  # type: ignore[attr-defined]
            super().write(data)
        else:
            self._uv.write(data)

    def _stalled(self) -> None:
        """
        The kernel did not take everything.
        """
        self._queueWrites()
        self._maybePauseProducer()

    def _drained(self) -> None:
        """
        The kernel took what was left.
        """
        if not self.disconnected:
            self._scheduled = True
            self._turnEnded()

    def _raised(self, error: BaseException) -> None:
        """
        The application raised: log that, and end the connection.
        """
        failure = Failure(error)
        _log.failure("{stream}: unhandled error, the connection is closed", failure, stream=self)
        self.connectionLost(failure)
