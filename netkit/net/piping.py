"""
Sockets as the ends of a pipe.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from twisted.internet.interfaces import IConsumer, IProducer, IPushProducer
from zope.interface import implementer

from .sendbuffer import SendBuffer


class Piped(NamedTuple):
    """
    How much was passed on between two sockets.

    @ivar there: how many bytes from the one whose C{pipe} was called to the other.
    @ivar back: how many from the other one.
    """

    there: int
    back: int


@implementer(IPushProducer)
class PipeSource:
    """
    The receiving half of a socket.
    """

    def __init__(self, hold: Callable[[bool], None]) -> None:
        """
        @param hold: has the socket not read for a while, or read again.
        """
        self._hold = hold

    def pauseProducing(self) -> None:
        """
        Read no more.
        """
        self._hold(True)

    def resumeProducing(self) -> None:
        """
        Read again.
        """
        self._hold(False)

    def stopProducing(self) -> None:
        """
        The other socket is gone, which it tells itself.
        """


@implementer(IConsumer)
class PipeSink:
    """
    The sending half of a socket.

    @ivar octets: how many octets were written to it.
    """

    def __init__(self, buffer: SendBuffer, write: Callable[[bytes], None]) -> None:
        """
        @param buffer: the half.
        @param write: sends; raises why it cannot.
        """
        self.octets = 0
        self._buffer = buffer
        self._write = write

    def write(self, data: bytes) -> None:
        """
        Send.
        """
        self.octets += len(data)
        self._write(data)

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Have a producer paused while too much waits to be sent.
        """
        self._buffer.setProducer(IPushProducer(producer))

    def unregisterProducer(self) -> None:
        """
        Undo L{registerProducer}.
        """
        self._buffer.setProducer(None)
