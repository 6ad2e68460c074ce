"""
One connection, awaitable.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType

from twisted.internet.defer import (
    CancelledError,
    Deferred,
    FirstError,
    gatherResults,
    succeed,
)
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IAddress,
    IPushProducer,
    IReactorTime,
    ITCPTransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..base import sockopts
from ..base.arguments import checkCallable, checkCount, checkFlag, checkOctets, checkSeconds
from ..base.budget import Budget, BudgetExceededError, Share
from ..base.coroutines import maybeCoroutine
from ..base.deadlines import LINGER, Deadline, IdleTimer
from ..base.failures import untraced
from ..base.notes import note
from ..base.piping import Pipe
from ..base.sockopts import PeerState
from ..base.unread import UnreadWatch
from ..base.waiters import Waiters
from .errors import WriteAfterEndError, withEndpoint
from .piping import Piped, PipeSink, PipeSource
from .receivebuffer import ReceiveBuffer
from .sendbuffer import SendBuffer

#: How many bytes L{Socket.read} and L{Socket.readUntil} take at most, unless told otherwise.
READ_LIMIT = 64 * 2**20
LINE_LIMIT = 64 * 2**10

#: How many bytes wait in a socket before it stops reading, or tells a writer to wait.
HIGH_WATER_MARK = 64 * 2**10

#: How many seconds of silence at most the system can be told to wait before it probes a peer.
MOST_KEEPALIVE_DELAY = 32767

_log = Logger()


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
        share: Share | None = None,
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
        @param share: what counts all bytes that wait here, in both directions, until the
            connection is gone; by default nothing does.
        """
        self.transport = transport
        self.localAddress: IAddress = transport.getHost()
        self.remoteAddress: IAddress = transport.getPeer()
        self.bytesRead = 0
        self.endpoint = endpoint
        self._allowHalfOpen = allowHalfOpen
        self._highWaterMark = highWaterMark
        self._idle = IdleTimer(clock)
        self._unread = UnreadWatch(clock, self._lookForPeer)
        self._receiveBuffer = ReceiveBuffer(self._followPeer)
        self._sendBuffer = SendBuffer(
            transport, highWaterMark, self._sendingMoved, self._sendingFinished
        )
        self._share = Budget(0).share() if share is None else share
        self._credentials = sockopts.peerCredentials(transport)
        self._clock = clock
        self._paused = self._held = False
        self._reading = True
        # Whether the transport is read from whatever waits here: what comes is dropped, or has an
        # end that is known to have come.
        self._draining = False
        self._peerEnded = False
        self._leaving = False
        self._linger = Deadline(clock, self._lingerOver)
        self._lingered = False
        self._reason: Exception | None = None
        # Cut or lost; what was cut is lost a turn later, when its transport tells.
        self._over = False
        self._lost = False
        self._watchers: Waiters[Exception] = Waiters()

    def __repr__(self) -> str:
        return f"<Socket {self.endpoint}{' closed' if self._lost else ''}>"

    # reading

    def read(self, size: int | None = None, *, limit: int = READ_LIMIT) -> Deferred[bytes]:
        """
        Read to the peer's end, or what is there.

        @param size: read C{size} bytes at most, as soon as there are any; empty at the end, and
            for a C{size} of 0. By default, everything up to the end is awaited.
        @param limit: how many bytes that may be.
        @return: fires with what was read, or fails with L{LimitExceededError
            <netkit.net.LimitExceededError>}, which leaves what came to be read otherwise.
        @raise TypeError: C{size} or C{limit} is no whole number.
        @raise ValueError: it is negative.
        """
        if size is None:
            return self._read(self._receiveBuffer.everything(checkCount("limit", limit)))
        checkCount("limit", limit)
        return self._read(self._receiveBuffer.some(checkCount("size", size)))

    def readExactly(self, size: int) -> Deferred[bytes]:
        """
        Read C{size} bytes.

        @return: fires with them, or fails with L{IncompleteReadError
            <netkit.net.IncompleteReadError>}, which carries what came before the peer's end.
        @raise TypeError: C{size} is no whole number.
        @raise ValueError: it is negative.
        """
        return self._read(self._receiveBuffer.exactly(checkCount("size", size)))

    def readUntil(self, delimiter: bytes, limit: int = LINE_LIMIT) -> Deferred[bytes]:
        """
        Read up to and with a delimiter.

        @param delimiter: what ends the piece: C{b"\\n"}, say.
        @param limit: how many bytes the piece may have, the delimiter among them.
        @return: fires with the piece, or fails with L{IncompleteReadError
            <netkit.net.IncompleteReadError>}, which carries what came before the peer's end, or
            with L{LimitExceededError <netkit.net.LimitExceededError>}.
        @raise TypeError: C{delimiter} is no bytes, C{limit} is no whole number.
        @raise ValueError: C{delimiter} is empty, C{limit} has no room for it.
        """
        octets = checkOctets("delimiter", delimiter)
        if not octets:
            raise ValueError("an empty delimiter ends nothing: give one byte at least")
        checkCount("limit", limit, least=len(octets))
        return self._read(self._receiveBuffer.until(octets, limit))

    def __aiter__(self) -> Socket:
        return self

    async def __anext__(self) -> bytes:
        """
        Read what is there, until the peer's end.
        """
        if data := await self._read(self._receiveBuffer.some(sys.maxsize)):
            return data
        raise StopAsyncIteration

    def pause(self) -> None:
        """
        Take nothing more from the peer until L{resume}, not even for a read that waits, unless the
        connection turns out to be broken.
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
        @raise TypeError: C{data} is something else; nothing was sent.
        """
        writing = self._sendBuffer.write(data)
        if self._sendBuffer.queued:
            self._countKept()
        return writing

    def end(self, data: bytes | bytearray | memoryview = b"") -> Deferred[None]:
        """
        Close our half of the connection, after what was written before. The peer reads to an end
        then, and may go on to send. Where there are no halves (Twisted's own TLS), the connection
        is closed.

        @param data: octets to send before.
        @return: fires when everything is sent and our half closed; fails when it cannot be sent.
        @raise TypeError: C{data} is something else; nothing was sent, and our half is open.
        """
        ending = self._sendBuffer.end(
            data,
            WriteAfterEndError(f"{self.endpoint}: end() has closed our half of the connection"),
        )
        self._countKept()
        return ending

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

    # between two sockets

    def pipeTo(self, target: Socket, *, end: bool = True) -> Deferred[int]:
        """
        Pass on to another socket all that arrives, up to the peer's end; this one is read from no
        faster than the other one's peer takes it. Nothing else reads from this socket meanwhile.

        @param target: the other socket.
        @param end: whether its half is closed then, as by L{end}.
        @return: fires then, with how many bytes were passed on. Fails with why this could not be
            read, or the other one not be written to, to the end; both are left as they are.
            Cancelling it stops it: what arrives from then on is there to be read.
        @raise TypeError: C{target} is no socket, C{end} neither C{True} nor C{False}.
        @raise ValueError: it is this one.
        """
        _checkTarget(self, target)
        checkFlag("end", end)
        return Deferred.fromCoroutine(self._pipeTo(target, end))

    def pipe(self, other: Socket) -> Deferred[Piped]:
        """
        Pass on all that arrives to another socket, and all that arrives there to this one, until
        both peers have ended: what ends on one side is ended on the other one, and that may go on
        sending. Where a connection breaks, the other one is cut.

        @param other: the other socket.
        @return: fires when all is passed on, with L{Piped}: how many bytes there and back. Fails
            with the error of the connection that broke, which names its endpoint. Cancelling it
            stops it, and leaves both as they are.
        @raise TypeError: C{other} is no socket.
        @raise ValueError: it is this one.
        """
        _checkTarget(self, other)
        return Deferred.fromCoroutine(self._pipe(other))

    # the connection

    def destroy(self, reason: Exception | None = None) -> None:
        """
        Cut the connection: what still waits to be sent or to be read is dropped.

        @param reason: what reading and writing fail with from here on; L{ConnectionAborted
            <twisted.internet.error.ConnectionAborted>} by default.
        @raise TypeError: C{reason} is no exception.
        """
        if reason is None:
            reason = ConnectionAborted(f"{self.endpoint}: destroy() was called")
        elif not isinstance(reason, Exception):
            raise TypeError(f"reason is an exception, not {reason!r}")
        if not self._over:
            self._abort(reason, self._receiveBuffer.drop)
        elif len(self._receiveBuffer):
            self._receiveBuffer.drop(reason)

    def destroySoon(self) -> Deferred[Exception]:
        """
        Close the connection once the peer has what was written: our half is closed after it, and
        the connection when the peer closes its own, or two seconds later; the system goes on to
        deliver then. What was not read is dropped, and so is what still comes.

        A peer that does not take what was written is waited for as long as the time-out says.

        @return: fires when the connection is gone, as C{closed} does. It does not fail.
        """
        if not self._leaving and self._reason is None:
            self._leaving = self._draining = True
            error = ConnectionAborted(f"{self.endpoint}: destroySoon() was called")
            self._receiveBuffer.drop(error)
            self._countKept()
            self._adjustReading()
            refusal = WriteAfterEndError(
                f"{self.endpoint}: destroySoon() has closed our half of the connection"
            )
            # Whether that succeeds, C{closed} tells.
            self._sendBuffer.end(b"", refusal).addErrback(lambda failure: None)
            if self._sendBuffer.finished:
                self._sendingFinished()
        return self.closed

    async def __aenter__(self) -> Socket:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """
        Close the connection: where the block succeeds, as L{destroySoon} does; else, L{destroy}.
        """
        if kind is None:
            await self.destroySoon()
        else:
            self.destroy()

    def setTimeout(
        self, seconds: float, callback: Callable[[Socket], object] | None = None
    ) -> None:
        """
        End the connection when nothing moves on it, in either direction, for a time.

        @param seconds: how long; 0 for ever.
        @param callback: called with this socket when the time is over, in place of ending it; and
            again whenever something has moved since and then nothing for as long. A function or a
            coroutine function; what it raises is logged.
        @raise TypeError: C{seconds} is no number, C{callback} no function.
        @raise ValueError: C{seconds} is negative or infinite.
        """
        checkSeconds("seconds", seconds)
        if callback is not None:
            checkCallable("callback", callback)
        told = callback

        def expired() -> None:
            if told is None:
                message = f"{self.endpoint}: nothing moved for {seconds:g} seconds"
                self._abort(TimeoutError(string=message), self._receiveBuffer.end)
            else:
                maybeCoroutine(told, self).addErrback(self._timeoutCallbackFailed)

        if not self._over:
            self._idle.start(seconds, expired)

    def setNoDelay(self, enabled: bool = True) -> None:
        """
        Send small writes at once, in place of gathering them (Nagle's algorithm), which TCP does.

        @param enabled: whether.
        @raise TypeError: it is neither C{True} nor C{False}.
        """
        checkFlag("enabled", enabled)
        if not self._over:
            sockopts.setNoDelay(self.transport, enabled)

    def setKeepAlive(self, enabled: bool = True, initialDelay: float = 0.0) -> None:
        """
        Have the system find out whether a silent peer is still there. Only TCP needs to.

        @param enabled: whether.
        @param initialDelay: seconds of silence before the first probe, rounded to whole ones; 0
            for the system's own.
        @raise TypeError: C{enabled} is neither C{True} nor C{False}, C{initialDelay} no number.
        @raise ValueError: C{initialDelay} is negative, or more than 32767.
        """
        checkFlag("enabled", enabled)
        checkSeconds("initialDelay", initialDelay, MOST_KEEPALIVE_DELAY)
        if not self._over:
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
        Whether the connection is gone, or was cut: by L{destroy}, or by its time-out.
        """
        return self._over

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
        if self._over:
            return
        self.bytesRead += len(data)
        if self._leaving:
            # Dropped: not what keeps a connection in use.
            return
        self._idle.moved()
        self._receiveBuffer.received(data)
        if len(self._receiveBuffer) or self._share.kept:
            self._countKept()
        self._adjustReading()

    def _peerHasEnded(self) -> None:
        self._idle.moved()
        self._peerEnded = True
        self._receiveBuffer.end()
        if len(self._receiveBuffer):
            self._unread.start()
        else:
            self._followPeer()
        self._closeIfOver()

    def _halfClosed(self) -> None:
        self._idle.moved()
        self._sendBuffer.halfClosed()
        self._closeIfOver()

    def _connectionLost(self, reason: Exception) -> None:
        self._lost = self._over = True
        self._idle.end()
        self._unread.end()
        self._linger.end()
        if self._lingered:
            # TLS takes it for a loss, since the peer's close_notify did not come.
            reason = withEndpoint(ConnectionDone(), self.endpoint)
        self._reason = self._reason or reason
        clean = isinstance(self._reason, ConnectionDone)
        # Whoever reads to the end may write next: by then that is known to lead nowhere.
        self._sendBuffer.lost(self._reason, clean)
        self._receiveBuffer.end(None if clean else self._reason)
        self._receiveBuffer.forget()
        self._share.keep(0)
        self._watchers.succeed(self._reason)

    # inside

    def _countKept(self) -> None:
        kept = len(self._receiveBuffer) + self._sendBuffer.queued
        if kept == self._share.kept or self._over:
            return
        try:
            self._share.keep(kept)
        except BudgetExceededError as error:
            _log.warn("{peer} refused: {reason}", peer=self.endpoint, reason=str(error))
            note(self.transport, f"refused: {error}")
            self.destroy(BudgetExceededError(f"{self.endpoint}: {error}"))

    async def _pipeTo(self, target: Socket, end: bool) -> int:
        sink = PipeSink(target._sendBuffer, target._push)
        pipe = Pipe(PipeSource(self._hold), sink)
        reading = self._read(self._receiveBuffer.pieces(pipe.take))
        lost = target.closed
        lost.addCallbacks(lambda reason: reading.cancel(), lambda failure: None)
        try:
            await reading
        except CancelledError:
            if target._reason is None:
                raise
            raise untraced(target._reason) from None
        finally:
            lost.cancel()
            pipe.stop()
            self._hold(False)
        if end:
            await target.end()
        return sink.octets

    async def _pipe(self, other: Socket) -> Piped:
        for socket in (self, other):
            # The peer's end ends the other one.
            socket._allowHalfOpen = True
        piping = [self.pipeTo(other), other.pipeTo(self)]
        try:
            return Piped(*await gatherResults(piping, consumeErrors=True))
        except FirstError as error:
            reason = error.subFailure.value
        for deferred in piping:
            deferred.cancel()
        assert isinstance(reason, Exception)
        if not isinstance(reason, CancelledError):
            for socket in (self, other):
                socket.destroy()
        raise untraced(reason)

    def _push(self, data: bytes) -> None:
        self._sendBuffer.push(data)
        if self._sendBuffer.queued:
            self._countKept()

    def _hold(self, held: bool) -> None:
        """
        Do not read, or read again, as whatever is read is passed on to something.
        """
        self._held = held
        self._adjustReading()

    def _sendingMoved(self) -> None:
        self._idle.moved()
        if self._share.kept:
            self._countKept()

    def _read(self, reading: Deferred[bytes]) -> Deferred[bytes]:
        self._unread.read = True
        if self._share.kept:
            self._countKept()
        self._adjustReading()
        if self._peerEnded and not (len(self._receiveBuffer) or self._allowHalfOpen or self._over):
            # Once the reader had the time to answer.
            self._clock.callLater(0, self._followPeer)
        return reading

    def _adjustReading(self) -> None:
        buffer = self._receiveBuffer
        reading = self._draining or (
            not (self._paused or self._held)
            and (buffer.awaited or len(buffer) < self._highWaterMark)
        )
        if reading == self._reading:
            return
        if self._peerEnded or self._over:
            return
        self._reading = reading
        producer = IPushProducer(self.transport)
        if reading:
            producer.resumeProducing()
        else:
            producer.pauseProducing()
            self._unread.start()

    def _lookForPeer(self, read: bool) -> bool:
        """
        See whether the peer of a connection has left, while nobody reads from it.

        @param read: whether somebody does.
        @return: whether to look again.
        """
        if self._over or (self._reading and not self._peerEnded):
            # While the transport is read from, it tells.
            return False
        if read:
            return True
        if self._peerEnded:
            # What it sent can still be read.
            self._followPeer()
            return False
        state = sockopts.peerState(self.transport)
        mayHaveLeft = state is PeerState.CLOSED and not (self._paused or self._allowHalfOpen)
        if mayHaveLeft or state is PeerState.BROKEN:
            # What the system still has is the last that comes, and no more than it has room for.
            self._draining = True
            self._adjustReading()
        return not self._draining

    def _followPeer(self) -> None:
        """
        Close our half, since the peer has closed its own.
        """
        if self._allowHalfOpen or self._over:
            return
        refusal = WriteAfterEndError(
            f"{self.endpoint}: the peer has closed its half of the connection, and ours was "
            "closed in turn; to write after that, pass allowHalfOpen=True"
        )
        # Whether that succeeds is for those to know who wrote before.
        self._sendBuffer.end(b"", refusal).addErrback(lambda failure: None)

    def _sendingFinished(self) -> None:
        if self._leaving and not (self._linger.pending or self._over):
            self._linger.start(LINGER)

    def _lingerOver(self) -> None:
        if not self._over:
            self._lingered = True
            sockopts.closeAfterWrites(self.transport)

    def _closeIfOver(self) -> None:
        if self._peerEnded and self._sendBuffer.closed and not self._over:
            self.transport.loseConnection()

    def _abort(self, reason: Exception, endReading: Callable[[Exception], None]) -> None:
        self._over = True
        self._reason = reason
        self._idle.stop()
        self.transport.abortConnection()
        # The transport tells a turn later; what is asked for meanwhile fails already.
        endReading(reason)
        self._sendBuffer.lost(reason, False)
        self._share.keep(0)

    def _timeoutCallbackFailed(self, failure: Failure) -> None:
        _log.failure("{peer}: the callback of setTimeout failed", failure, peer=self.endpoint)


def _checkTarget(socket: Socket, target: object) -> None:
    if not isinstance(target, Socket):
        raise TypeError(f"what to pipe to is a Socket, not {target!r}")
    if target is socket:
        raise ValueError(f"{socket}: a socket is not piped to itself")
