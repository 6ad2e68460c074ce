"""
The channels of a reactor, in Python.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from os import set_blocking
from select import (
    EPOLLERR,
    EPOLLET,
    EPOLLHUP,
    EPOLLIN,
    EPOLLOUT,
    EPOLLPRI,
    EPOLLRDHUP,
    epoll,
)
from socket import MSG_CTRUNC, socket
from time import monotonic
from types import SimpleNamespace
from typing import Any

# So much is read at once, in octets.
_READ = 256_000

# In seconds: one that has more to read than that takes waits until the others had theirs.
_LONG = 0.001

# So many channels are told something at once; the others are the next ones.
_TOLD = 256

# So many pieces are written at once.
_PIECES = 64

# What is waited for; an error and the end of both halves are told in any case.
_ARRIVALS = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET

# There is something behind what is read: an end, or what is behind urgent data.
_MORE = EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR


# What becomes of the next write: it is queued,
QUEUED = 0
# or it goes to the kernel,
DIRECT = 1
# unless TLS is to say something else.
DIRECT_TLS = 2
# Beside one of the last two: nothing arrived before it, so that there is one in each turn.
FIRST = 4

_FIRST_DIRECT = FIRST | DIRECT


class Poller:
    """
    The channels of a reactor, and what they know of its turn.

    @ivar current: the owner whose callback is running, or L{None}.
    @ivar ending: whether somebody waits for the end of the turn.
    @ivar number: that of the turn, of those whose end somebody waited for.
    """

    def __init__(self) -> None:
        """
        There are no channels yet.
        """
        self.current: Any = None
        self.ending = False
        self.number = 1
        self.set = epoll()
        # When it began to poll.
        self.began = 0.0
        self.channels: dict[int, Channel] = {}

    def fileno(self) -> int:
        """
        Tell the descriptor that can be read from when there is something to do.
        """
        return self.set.fileno()

    def poll(self) -> None:
        """
        Receive what arrived, and send what can be sent now.
        """
        self.began = monotonic()
        for descriptor, events in self.set.poll(0, _TOLD):
            channel = self.channels.get(descriptor)
            if channel is not None:
                channel.attend(events)


class Channel:
    """
    The octets of a connected socket. It does not read before it is resumed.

    The kernel's set is edge-triggered: it tells once that something arrived. So it need not be
    told that a connection pauses, which may be for each message; what it told meanwhile is noted,
    and it is asked again where more may be there than was read.

    @ivar madeIn: the number of the turn in which it was made.
    @ivar mode: that of the next write.
    @ivar openMode: the mode while all is in order, as it is again when something arrives.
    @ivar unsent: how many octets the kernel has not taken yet.
    @ivar wroteIn: the number of the turn in which the first write went to the kernel. So nothing
        has to be done for it when that turn ends: of those that something was broadcast to there
        are many.
    """

    __slots__ = (
        "_broken",
        "_context",
        "_descriptor",
        "_ended",
        "_offset",
        "_owner",
        "_queue",
        "_reading",
        "_socket",
        "_told",
        "madeIn",
        "mode",
        "openMode",
        "poller",
        "unsent",
        "wroteIn",
    )

    def __init__(self, poller: Poller, connection: socket, context: Context, owner: Any) -> None:
        """
        @param poller: that of the reactor.
        @param connection: from now on it does not block.
        @param context: in which the owner is told what arrived.
        @param owner: a L{Writer}, whose protocol's C{dataReceived(data)} is called with what
            arrives; it is told by its methods what that raised (C{raised(error)}), in the context;
            that nothing more will arrive (C{ended()}), that the kernel did not take all that was
            written (C{stalled()}, whose error is raised where it was written), that now it has
            (C{drained()}), that the socket has an error (C{failed()}): nothing is read any more
            then, and nothing sent.
        """
        self.poller = poller
        self._socket: socket | None = connection
        self._descriptor = connection.fileno()
        self._context = context
        self._owner = owner
        # What the kernel did not take yet, and how much of the first piece it did.
        self._queue: list[bytes] = []
        self._offset = 0
        self._reading = self._ended = self._broken = False
        # That something arrived, or may have, while it did not read.
        self._told = False
        self.unsent = 0
        # Nothing is written at once in the turn in which it is made.
        self.madeIn = self.wroteIn = poller.number
        self.mode = self.openMode = QUEUED
        set_blocking(self._descriptor, False)
        poller.set.register(self._descriptor, _ARRIVALS)
        before = poller.channels.get(self._descriptor)
        poller.channels[self._descriptor] = self
        if before is not None:
            # Its socket was closed behind its back: the descriptor is not its any more.
            before.close()

    def write(self, data: bytes) -> None:
        """
        Send octets, behind those that are to be sent.
        """
        sent = 0
        if isinstance(data, bytes) and not (self.unsent or self._broken or self._socket is None):
            try:
                sent = self._socket.send(data)
            except BlockingIOError:
                pass
            except OSError:
                self._failed()
                return
        if sent < len(data):
            self.writelines([data[sent:]])

    def writelines(self, pieces: list[bytes]) -> None:
        """
        Send a list of octets, which is given away, behind those that are to be sent.
        """
        if not all(isinstance(piece, bytes) for piece in pieces):
            raise TypeError("octets are bytes")
        size = sum(map(len, pieces))
        if self._socket is None or self._broken or not size:
            return
        stalled = self.unsent
        self._queue += pieces
        self.unsent += size
        if not stalled:
            try:
                self._flush()
            except OSError:
                self._failed()
                return
            if self.unsent:
                self.mode = self.openMode = QUEUED
                self._watch()
                self._owner.stalled()

    def pause(self) -> None:
        """
        Read no more.
        """
        self._reading = False

    def resume(self) -> None:
        """
        Read.
        """
        if self._socket is not None and not self._ended:
            self._reading = True
            self._readOn()

    def close(self) -> list[bytes]:
        """
        Let go of the socket, which stays open, and of the owner.

        @return: what was to be sent.
        """
        # Whoever closed the socket itself may have made room for another one.
        if self.poller.channels.get(self._descriptor) is self:
            with suppress(OSError):
                self.poller.set.unregister(self._descriptor)
            del self.poller.channels[self._descriptor]
        self._socket = self._owner = None
        self._reading = False
        unsent = self._queue
        if unsent:
            unsent[0] = unsent[0][self._offset :]
        self._forget()
        return unsent

    @staticmethod
    def _call(callback: Callable[..., object], *args: Any) -> None:
        """
        Call the owner back. Nobody is there who could be told of an error.
        """
        try:
            callback(*args)
        except BaseException as error:
            sys.unraisablehook(
                SimpleNamespace(
                    exc_type=type(error),
                    exc_value=error,
                    exc_traceback=error.__traceback__,
                    err_msg=None,
                    object=callback,
                )
            )

    def attend(self, events: int) -> None:
        """
        Do what the kernel told of this channel.
        """
        # What arrived comes first: it may be the last, and why nothing can be sent.
        if events & (EPOLLIN | _MORE):
            self._receive(events)
        if not self.unsent or not events & (EPOLLOUT | EPOLLHUP | EPOLLERR):
            return
        try:
            self._flush()
        except OSError:
            self._failed()
            return
        if not self.unsent:
            self._watch()
            self._call(self._owner.drained)

    def _receive(self, events: int) -> None:
        """
        Read, while there is more than can be read at once; but not for long, when it is another
        one's turn.
        """
        poller = self.poller
        while self._reading and self._socket is not None:
            try:
                data, _, flags, _ = self._socket.recvmsg(_READ)
            except BlockingIOError:
                return
            except OSError:
                self._failed()
                return
            if not data:
                self._reading = False
                self._ended = True
                self._call(self._owner.ended)
                return
            self._deliver(data)
            # A read ends at a message with descriptors, and what is behind that is not told of.
            if len(data) < _READ and not (events & _MORE or flags & MSG_CTRUNC):
                return
            if monotonic() - poller.began > _LONG:
                break
        # Of what is there already, the kernel tells no more.
        self._told = True
        if self._reading:
            self._readOn()

    def _deliver(self, data: bytes) -> None:
        """
        Hand to the owner's protocol what arrived, in the context of the connection.
        """
        owner, context = self._owner, self._context
        self.mode = self.openMode
        self.poller.current = owner
        try:
            context.run(owner.protocol.dataReceived, data)
        except BaseException as error:
            self._call(context.run, owner.raised, error)
        self.poller.current = None

    def _readOn(self) -> None:
        if self._told:
            self._told = False
            self._watch()

    def _watch(self) -> None:
        """
        Have the kernel tell, from now on, what it has to tell now as well.
        """
        # Nothing that could go wrong here would not be met where it is read or written.
        with suppress(OSError):
            self.poller.set.modify(self._descriptor, _ARRIVALS | (EPOLLOUT if self.unsent else 0))

    def _flush(self) -> None:
        """
        Write what is in the queue, until the kernel takes no more.

        @raise OSError: as the socket does.
        """
        assert self._socket is not None
        while self.unsent:
            pieces: list[bytes | memoryview] = list(self._queue[:_PIECES])
            pieces[0] = memoryview(pieces[0])[self._offset :]
            try:
                written = self._socket.sendmsg(pieces)
            except BlockingIOError:
                return
            self.unsent -= written
            left, sent = written + self._offset, 0
            while sent < len(self._queue) and left >= len(self._queue[sent]):
                left -= len(self._queue[sent])
                sent += 1
            del self._queue[:sent]
            self._offset = left
            if written < sum(map(len, pieces)):
                return

    def _failed(self) -> None:
        """
        An error that a channel has is its end, which its owner is told once.
        """
        self._reading = False
        self._ended = self._broken = True
        self._forget()
        self._call(self._owner.failed)

    def _forget(self) -> None:
        self.mode = self.openMode = QUEUED
        self._queue = []
        self._offset = self.unsent = 0


class Writer:
    """
    A transport that writes to a channel. What is not simply to be sent, its own method
    C{writeOtherwise(data)} is called with.

    @ivar channel: moves its octets; L{None} where something else does.
    @ivar protocol: that of the connection.
    """

    __slots__ = ("channel", "protocol")

    channel: Channel | None
    protocol: Any

    def write(self, data: bytes) -> None:
        """
        Send octets at once, where nothing else is to be done for that.
        """
        channel = self.channel
        if channel is not None and type(data) is bytes:
            mode = channel.mode
            if mode == DIRECT:
                # Most are answers.
                channel.mode = QUEUED
                channel.write(data)
                return
            poller = channel.poller
            if mode == _FIRST_DIRECT and poller.ending and channel.wroteIn != poller.number:
                channel.wroteIn = poller.number
                channel.write(data)
                return
        self.writeOtherwise(data)  # type: ignore[attr-defined] # of the class that has this one
