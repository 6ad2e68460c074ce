"""
One connection, awaitable.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    TimeoutError,
)
from twisted.internet.interfaces import IAddress, IPushProducer, IReactorTime, ITCPTransport

from ..base import sockopts
from ..base.waiters import Waiters
from .errors import WriteAfterEndError
from .idle import IdleTimer
from .receivebuffer import ReceiveBuffer
from .sendbuffer import SendBuffer

#: How many bytes L{Socket.read} and L{Socket.readUntil} take at most, unless told otherwise.
READ_LIMIT = 64 * 2**20
LINE_LIMIT = 64 * 2**10

#: How many bytes wait in a socket before it stops reading, or tells a writer to wait.
HIGH_WATER_MARK = 64 * 2**10


class Socket:
    """
    One connection: what L{netkit.net.createConnection} gives, and what the callback of
    L{netkit.net.createServer} is called with.

    Its methods that wait return Deferreds, so they are for C{await} and for callbacks alike. They
    fail with Twisted's errors, whose message names the endpoint: L{ConnectionLost
    <twisted.internet.error.ConnectionLost>} when the connection broke, L{ConnectionAborted
    <twisted.internet.error.ConnectionAborted>} after L{destroy}, L{TimeoutError
    <twisted.internet.error.TimeoutError>} when it was idle for too long. What had arrived before
    can still be read, except after L{destroy}.

    The transport is read from as long as somebody reads, or less than C{highWaterMark} bytes wait:
    a peer that sends faster than it is read from is slowed down by its own sockopts.

    @ivar endpoint: what the connection is called in messages.
    @ivar transport: Twisted's transport, for what has no name here.
    @ivar localAddress: the address of our end.
    @ivar remoteAddress: the address of the peer's end.
    @ivar bytesRead: how many bytes arrived.
    """

    def __init__(
        self,
        transport: ITCPTransport,
        clock: IReactorTime,
        endpoint: str,
        *,
        allowHalfOpen: bool = False,
        highWaterMark: int = HIGH_WATER_MARK,
    ) -> None:
        """
        Sockets are made by L{netkit.net.createServer} and L{netkit.net.createConnection}.

        @param transport: the connection.
        @param clock: what tells the time.
        @param endpoint: what the connection is called in messages.
        @param allowHalfOpen: whether our half stays open when the peer has closed its own, and is
            closed by L{end} alone. Otherwise it is closed as soon as a read meets the peer's end.
        @param highWaterMark: how many bytes may wait here before reading stops, and before a write
            waits.
        """
        self.transport = transport
        self.localAddress: IAddress = transport.getHost()
        self.remoteAddress: IAddress = transport.getPeer()
        self.bytesRead = 0
        self.endpoint = endpoint
        self._allowHalfOpen = allowHalfOpen
        self._highWaterMark = highWaterMark
        self._idle = IdleTimer(clock)
        self._receiveBuffer = ReceiveBuffer(self._endSeen)
        self._sendBuffer = SendBuffer(transport, highWaterMark, self._idle.moved)
        self._credentials = sockopts.peerCredentials(transport)
        self._paused = False
        self._reading = True
        self._reason: Exception | None = None
        self._lost = False
        self._left = False
        self._watchers: Waiters[Exception] = Waiters()

    def __repr__(self) -> str:
        return f"<Socket {self.endpoint}{' closed' if self._lost else ''}>"

    # reading

    def read(self, size: int | None = None, *, limit: int = READ_LIMIT) -> Deferred[bytes]:
        """
        Read to the peer's end, or what is there.

        @param size: read C{size} bytes at most, as soon as there are any; empty at the end.
            By default, everything up to the end is awaited.
        @param limit: how many bytes that may be.
        @return: fires with what was read, or fails with L{LimitExceededError
            <netkit.net.LimitExceededError>}, which leaves what came to be read otherwise.
        """
        if size is None:
            return self._read(self._receiveBuffer.everything(limit))
        return self._read(self._receiveBuffer.some(size))

    def readExactly(self, size: int) -> Deferred[bytes]:
        """
        Read C{size} bytes.

        @return: fires with them, or fails with L{IncompleteReadError
            <netkit.net.IncompleteReadError>}, which carries what came before the peer's end.
        """
        return self._read(self._receiveBuffer.exactly(size))

    def readUntil(self, delimiter: bytes, limit: int = LINE_LIMIT) -> Deferred[bytes]:
        """
        Read up to and with a delimiter.

        @param delimiter: what ends the piece: C{b"\\n"}, say.
        @param limit: how many bytes the piece may have, the delimiter among them.
        @return: fires with the piece, or fails with L{IncompleteReadError
            <netkit.net.IncompleteReadError>}, which carries what came before the peer's end, or
            with L{LimitExceededError <netkit.net.LimitExceededError>}.
        """
        if not delimiter:
            return fail(ValueError("an empty delimiter ends nothing: give one byte at least"))
        return self._read(self._receiveBuffer.until(delimiter, limit))

    def __aiter__(self) -> Socket:
        return self

    async def __anext__(self) -> bytes:
        """
        Read what is there, until the peer's end.
        """
        if data := await self.read(sys.maxsize):
            return data
        raise StopAsyncIteration

    def pause(self) -> None:
        """
        Take nothing more from the peer until L{resume}, not even for a read that waits.
        """
        self._paused = True
        self._adjustReading()

    def resume(self) -> None:
        """
        End what L{pause} began.
        """
        self._paused = False
        self._adjustReading()

    # writing

    def write(self, data: bytes | bytearray | memoryview) -> Deferred[None]:
        """
        Send.

        @param data: the octets.
        @return: fires when more may be written: at once, as long as less than the high-water mark
            waits. Fails when the data cannot be sent any more: with L{WriteAfterEndError
            <netkit.net.WriteAfterEndError>} once our half is closed.
        """
        return self._sendBuffer.write(data)

    def end(self, data: bytes | bytearray | memoryview = b"") -> Deferred[None]:
        """
        Close our half of the connection, after what was written before. The peer reads to an end
        then, and may go on to send. Where there are no halves (TLS), the connection is closed.

        @param data: octets to send before.
        @return: fires when everything is sent and our half closed; fails when it cannot be sent.
        """
        return self._sendBuffer.end(
            data,
            WriteAfterEndError(f"{self.endpoint}: end() has closed our half of the connection"),
        )

    @property
    def bytesWritten(self) -> int:
        """
        How many bytes were written, those that still wait among them.
        """
        return self._sendBuffer.accepted

    @property
    def readableLength(self) -> int:
        """
        How many bytes have arrived and wait to be read.
        """
        return len(self._receiveBuffer)

    @property
    def writableLength(self) -> int:
        """
        How many bytes were written and wait for the transport to take them.
        """
        return self._sendBuffer.queued

    # the connection

    def destroy(self, reason: Exception | None = None) -> None:
        """
        Cut the connection: what still waits to be sent or to be read is dropped.

        @param reason: what reading and writing fail with from here on; L{ConnectionAborted
            <twisted.internet.error.ConnectionAborted>} by default.
        """
        self._receiveBuffer.clear()
        self._abort(reason or ConnectionAborted(f"{self.endpoint}: destroy() was called"))

    def setTimeout(
        self, seconds: float, callback: Callable[[Socket], object] | None = None
    ) -> None:
        """
        End the connection when nothing moves on it, in either direction, for a time.

        @param seconds: how long; 0 for ever.
        @param callback: called with this socket when the time is over, in place of ending it.
        """

        def expired() -> None:
            if callback is not None:
                callback(self)
            else:
                message = f"{self.endpoint}: nothing moved for {seconds:g} seconds"
                self._abort(TimeoutError(string=message))

        if not self._lost:
            self._idle.start(seconds, expired)

    def setNoDelay(self, enabled: bool = True) -> None:
        """
        Send small writes at once, in place of gathering them (Nagle's algorithm), which TCP does.
        """
        if not self._lost:
            sockopts.setNoDelay(self.transport, enabled)

    def setKeepAlive(self, enabled: bool = True, initialDelay: float = 0.0) -> None:
        """
        Have the system find out whether a silent peer is still there. Only TCP needs to.

        @param enabled: whether.
        @param initialDelay: seconds of silence before the first probe; 0 for the system's own.
        """
        if not self._lost:
            sockopts.setKeepAlive(self.transport, enabled, initialDelay)

    @property
    def peerCredentials(self) -> sockopts.PeerCredentials | None:
        """
        Who is at the other end of a UNIX socket: process, user and group, as the system saw them
        when the connection was made. L{None} on another kind of socket, and where the system does
        not tell.
        """
        return self._credentials

    @property
    def destroyed(self) -> bool:
        """
        Whether the connection is gone.
        """
        return self._lost

    @property
    def closed(self) -> Deferred[Exception]:
        """
        Fires when the connection is gone, with the reason: L{ConnectionDone
        <twisted.internet.error.ConnectionDone>} where both halves were closed in good order, else
        the error that reading and writing fail with. It does not fail. Each use gives a Deferred
        of its own.
        """
        if self._lost and self._reason is not None:
            return succeed(self._reason)
        return self._watchers.wait()

    # what the protocol reports

    def _received(self, data: bytes) -> None:
        self.bytesRead += len(data)
        self._idle.moved()
        self._receiveBuffer.received(data)
        self._adjustReading()

    def _peerEnded(self) -> None:
        self._idle.moved()
        self._receiveBuffer.end()
        self._followIfLeft()
        self._closeIfOver()

    def _callbackDone(self) -> None:
        self._left = True
        self._followIfLeft()

    def _halfClosed(self) -> None:
        self._idle.moved()
        self._sendBuffer.halfClosed()
        self._closeIfOver()

    def _connectionLost(self, reason: Exception) -> None:
        self._lost = True
        self._idle.stop()
        self._reason = self._reason or reason
        clean = isinstance(self._reason, ConnectionDone)
        self._receiveBuffer.end(None if clean else self._reason)
        self._sendBuffer.lost(self._reason, clean)
        self._watchers.succeed(self._reason)

    # inside

    def _read(self, reading: Deferred[bytes]) -> Deferred[bytes]:
        self._adjustReading()
        return reading

    def _adjustReading(self) -> None:
        buffer = self._receiveBuffer
        reading = not self._paused and (buffer.awaited or len(buffer) < self._highWaterMark)
        if reading == self._reading or buffer.ended:
            return
        self._reading = reading
        producer = IPushProducer(self.transport)
        if reading:
            producer.resumeProducing()
        else:
            producer.pauseProducing()

    def _endSeen(self) -> None:
        if self._allowHalfOpen or self._lost:
            return
        refusal = WriteAfterEndError(
            f"{self.endpoint}: the peer has closed its half of the connection, and ours was "
            "closed in turn; to write after that, pass allowHalfOpen=True"
        )
        # Whether that succeeds is for those to know who wrote before.
        self._sendBuffer.end(b"", refusal).addErrback(lambda failure: None)

    def _followIfLeft(self) -> None:
        # The callback is over, and nobody reads: nobody else would meet the peer's end.
        buffer = self._receiveBuffer
        if self._left and buffer.ended and not buffer.awaited and not len(buffer):
            self._endSeen()

    def _closeIfOver(self) -> None:
        if self._receiveBuffer.ended and self._sendBuffer.closed and not self._lost:
            self.transport.loseConnection()

    def _abort(self, reason: Exception) -> None:
        if self._reason is None:
            self._reason = reason
            self.transport.abortConnection()
