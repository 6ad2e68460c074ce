"""
Files that the system sends: their octets go from its cache to a connection's socket, and never
come into this process (sendfile(2)).
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IPullProducer,
    IPushProducer,
    ITransport,
    IWriteDescriptor,
)
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from zope.interface import implementer

from .filerange import FileRange
from .progress import unsent
from .proxied import ProxiedProtocol

#: Less than this is not worth it.
LEAST: Final = 2**16

# A thread sends so much before it is the next file's turn; the way to a thread and back costs as
# much as a quarter of a MiB.
_SHARE = 2**25

# The system is asked for so much at once: a thread that reads from a slow disk hears within it
# that the connection was lost.
_CALL = 2**20

# So many milliseconds a thread waits for a peer that has taken all so far. That is less work than
# to have the reactor wait, which is who waits for a peer that once took longer.
_PATIENCE = 5


class _Next(Enum):
    """
    What is to be done after some was sent.
    """

    #: Send more.
    MORE = "more"
    #: Wait for the peer, then send more.
    WAIT = "wait"
    #: Nothing: all is sent that can be.
    NOTHING = "nothing"


def socketTransport(transport: ITransport) -> tcp.Connection | None:
    """
    Tell the transport that files can be sent by without others seeing their octets.

    @param transport: a connection's.
    @return: L{None} where what is written goes through somebody who changes it, such as TLS, or
        looks at it, or where the system has no sendfile(2).
    """
    lowest: Any = transport
    while isinstance(lowest, ProxiedProtocol):
        lowest = lowest.transport
    if sys.platform == "linux" and isinstance(lowest, tcp.Connection) and not lowest.TLS:
        return lowest
    return None


@implementer(IPullProducer, IWriteDescriptor)
class FileSender:
    """
    Sends a range of a file by a connection's socket, behind what was written before.

    The transport tells when that is sent, as it tells every pull producer. A duplicate of the
    socket's descriptor is this object's own: the reactor can watch it beside the transport's, and
    nobody closes it while a thread sends. Threads send, since what is not in the system's cache is
    read from a disk; where the peer takes no more, the reactor waits, not a thread.
    """

    def __init__(
        self,
        connection: tcp.Connection,
        file: FileRange,
        flow: IPushProducer,
        sent: Callable[[int], object],
    ) -> None:
        """
        @param connection: the transport, as L{socketTransport} tells it.
        @param file: the range.
        @param flow: paused while the peer takes nothing.
        @param sent: called with how many octets were sent since it was called last.
        """
        self._connection = connection
        self._reactor: Any = connection.reactor
        self._file = file
        self._flow = flow
        self._sent = sent
        self._done: Deferred[None] | None = None
        self._socket = -1
        self._sending = self._stopped = False
        self._patient = True
        self._counted = file.position

    def send(self) -> Deferred[None]:
        """
        Send it. No producer is registered with the transport.

        @return: fires when all that the system can send is sent, up to the position of the range.
            What is wrong with the file or the connection shows when the rest is read and written.
            It waits on if the connection is lost; if it is cancelled, nothing more is sent.
        """
        done: Deferred[None] = Deferred(self._cancelled)
        self._done = done
        self._connection.registerProducer(self, False)
        return done

    # from the transport

    def resumeProducing(self) -> None:
        """
        What was written may have been sent.
        """
        if self._socket >= 0 or self._stopped or unsent(self._connection):
            return
        try:
            self._socket = os.dup(self._connection.getHandle().fileno())
        except OSError:
            # Too many are open.
            self._end()
        else:
            self._goOn()

    def stopProducing(self) -> None:
        """
        The connection is lost, or nobody wants the file any more.
        """
        if not self._stopped:
            self._stop()

    # from the reactor

    def fileno(self) -> int:
        """
        The duplicate.
        """
        return self._socket

    def logPrefix(self) -> str:
        """
        Called as the connection is.
        """
        return str(self._connection.logPrefix())

    def doWrite(self) -> None:
        """
        The peer has taken something.
        """
        self._reactor.removeWriter(self)
        self._flow.resumeProducing()
        # Somebody may have given up on it by now.
        if not self._stopped:
            self._goOn()

    def connectionLost(self, reason: Failure) -> None:
        """
        It is broken, as the transport will find out.
        """
        self._flow.resumeProducing()
        if not self._stopped:
            self._end()

    def _goOn(self) -> None:
        self._sending = True
        sending = deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._sendSome)
        # Whatever is wrong with the file or the socket, reading the one and writing to the other
        # by the usual ways leads to it again, and to what is usually done about it.
        sending.addErrback(lambda failure: _Next.NOTHING)
        sending.addCallback(self._sentSome)

    def _sendSome(self) -> _Next:
        """
        Send some of it: in a thread.
        """
        file = self._file
        with file.opened() as descriptor:
            until = min(file.end, file.position + _SHARE)
            while file.position < until and not self._stopped:
                size = min(_CALL, until - file.position)
                try:
                    octets = os.sendfile(self._socket, descriptor, file.position, size)
                except BlockingIOError:
                    self._patient = self._patient and _isWritable(self._socket)
                    if self._patient:
                        continue
                    return _Next.WAIT
                if not octets:
                    # It was cut.
                    return _Next.NOTHING
                file.position += octets
            return _Next.MORE if file.left else _Next.NOTHING

    def _sentSome(self, then: _Next) -> None:
        self._sending = False
        if self._stopped:
            self._release()
            return
        octets = self._file.position - self._counted
        if octets:
            self._counted += octets
            self._sent(octets)
        if then is _Next.MORE:
            self._goOn()
        elif then is _Next.WAIT:
            self._flow.pauseProducing()
            self._reactor.addWriter(self)
        else:
            self._end()

    def _end(self) -> None:
        self._stop()
        # It has this object in it.
        done, self._done = self._done, None
        if done is not None:
            done.callback(None)

    def _cancelled(self, done: Deferred[None]) -> None:
        self._done = None
        self.stopProducing()

    def _stop(self) -> None:
        self._stopped = True
        self._connection.unregisterProducer()
        if not self._sending:
            self._release()

    def _release(self) -> None:
        if self._socket >= 0:
            self._reactor.removeWriter(self)
            os.close(self._socket)
            self._socket = -1


def _isWritable(socket: int) -> bool:
    """
    Wait until a socket takes something, in a thread.

    @return: whether it does by now.
    """
    ready = select.poll()
    ready.register(socket, select.POLLOUT)
    return bool(ready.poll(_PATIENCE))
