"""
Between a connection and uvloop: how a connected socket becomes a uvloop transport, and what the
transport tells.
"""

from __future__ import annotations

from asyncio import Transport
from collections.abc import Callable, Coroutine
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.logger import Logger
from twisted.python.failure import Failure

if TYPE_CHECKING:
    from netkit.reactor.core import UvloopReactor
    from netkit.reactor.stream import StreamMixin

_log = Logger()

_DONE = Failure(CONNECTION_DONE)
_LOST = Failure(CONNECTION_LOST)


class LogContext(dict[str, str]):
    """
    The log context of a reactor's thread: events are logged in the name of the connection whose
    application has the word, as C{callWithLogger} sees to elsewhere, at the cost of a flag.

    @ivar floor: its one item is that connection, or L{None}.
    """

    __slots__ = ("floor",)

    def __init__(self) -> None:
        """
        Nobody speaks.
        """
        super().__init__(system="-")
        self.floor: list[StreamMixin | None] = [None]

    def __getitem__(self, key: str) -> str:
        speaker = self.floor[0]
        if key == "system" and speaker is not None:
            return speaker.logPrefix()
        return super().__getitem__(key)

    def copy(self) -> dict[str, str]:
        """
        What an event is made from.
        """
        return {"system": self["system"]}


class Link:
    """
    The asyncio protocol of one connection: passes on what uvloop has to tell.

    An asyncio.Protocol in all but its base class, which would give each one a C{__dict__}.
    """

    __slots__ = ("_stream",)

    def __init__(self, stream: StreamMixin) -> None:
        """
        @param stream: the connection.
        """
        self._stream = stream

    def connection_made(self, transport: Transport) -> None:
        self._stream._uv = transport

    # uvloop asks for it once: no call of ours is on the way of what arrives.
    data_received = property(attrgetter("_stream._received"))

    def eof_received(self) -> bool:
        self._tell(self._stream.readConnectionLost, _DONE)
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
            self._tell(stream.connectionLost, _DONE if exc is None else _LOST)

    def _tell(self, told: Callable[[Failure], None], reason: Failure) -> None:
        stream = self._stream
        stream._floor[0] = stream
        try:
            told(reason)
        except BaseException:
            _log.failure("{stream}: unhandled error", stream=stream)
        stream._floor[0] = None


def handOver(reactor: UvloopReactor, stream: StreamMixin) -> None:
    """
    Let uvloop move the bytes of a connected socket.

    C{stream._handedOver} is called on the loop's next turn, before anything can arrive.

    @param stream: the connection; uvloop closes its socket.
    """
    loop = reactor.eventloop
    stream._floor = reactor._logContext.floor
    link = Link(stream)
    # The coroutine opens the transport, then waits for it to be told to its protocol. It is run by
    # hand, because a task for each connection would cost more than all else that is done here.
    opening = loop.connect_accepted_socket(lambda: link, stream.socket)  # type: ignore
    opening.send(None)
    # Both that telling and this call are in the same batch: reading has begun, and nothing was
    # read yet.
    loop.call_soon(_opened, opening, stream, context=reactor._context)


def _opened(opening: Coroutine[Any, Any, Any], stream: StreamMixin) -> None:
    try:
        opening.send(None)
    except StopIteration:
        stream._handedOver()
