"""
Recorded events that are passed from one process to another, which shows them.
"""

from __future__ import annotations

import pickle
from contextlib import suppress
from io import BytesIO
from struct import Struct
from time import time_ns
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from zope.interface import implementer

from ..base.descriptors import writePieces
from ..base.worker import Worker
from ..wire.recording import Closed, End, Event, Opened, PlainOctets, events
from .loss import Loss
from .recorder import EVENT, IPlainSink, ISink, asEvent

_log = Logger()

# How many octets of memory may wait for the other process.
_MOST = 8 * 2**20

# How long the events that follow are, and about how much memory they take.
_HEAD = Struct("!II")


@implementer(IPlainSink)
class EventSender:
    """
    Passes events on, in a thread of its own. It never has a connection wait: octets that the other
    process does not take in time are left out, and it is told how many.

    @ivar dropped: how many octets were left out.
    """

    full = False

    def __init__(self, descriptor: int, reactor: IReactorFromThreads) -> None:
        """
        @param descriptor: leads to the other process.
        @param reactor: in whose thread this is used.
        """
        self.dropped = 0
        self._descriptor = descriptor
        self._left = Loss()
        self._worker: Worker[list[Event | PlainOctets]] = Worker(
            "netkit events", self._write, reactor, maxQueued=_MOST
        )
        self._worker.onDrain(self._putLeft)

    def onDrain(self, call: Any) -> None:
        """
        Nobody ever waits for room.
        """

    def start(self) -> None:
        """
        Begin to pass on.
        """
        self._worker.start()

    def stop(self) -> Deferred[None]:
        """
        Pass on what waits, and end.
        """
        self._putLeft()
        return self._worker.stop()

    def take(self, events: list[Any], size: int) -> None:
        """
        Pass events on as soon as may be.
        """
        if self._worker.hasRoom(size):
            self._worker.put(events, size)
        else:
            self.dropped += self._left.add(events)

    def _putLeft(self) -> None:
        if self._left:
            left, self._left = self._left, Loss()
            made: list[Event | PlainOctets] = [*left.events(time_ns())]
            self._worker.put(made, len(made) * EVENT)

    def _write(self, some: list[Event | PlainOctets]) -> None:
        size = sum(len(each[3]) for each in some if isinstance(each, tuple)) + len(some) * EVENT
        made = pickle.dumps(some, pickle.HIGHEST_PROTOCOL)
        # Where the other process is gone it takes this one with it.
        with suppress(OSError):
            writePieces(self._descriptor, [_HEAD.pack(len(made), size), made])


class EventReceiver:
    """
    Takes the events that one L{EventSender} passes on.
    """

    def __init__(self, sink: ISink) -> None:
        """
        @param sink: what they are for.
        """
        self._sink = sink
        self._buffer = bytearray()
        self._open: set[int] = set()
        self._failed = False

    def dataReceived(self, data: bytes) -> None:
        """
        Something came from the other process.
        """
        if self._failed:
            return
        self._buffer += data
        while len(self._buffer) >= _HEAD.size:
            length, size = _HEAD.unpack_from(self._buffer)
            end = _HEAD.size + length
            if len(self._buffer) < end:
                return
            content = bytes(memoryview(self._buffer)[_HEAD.size : end])
            del self._buffer[:end]
            self._take(content, size)

    def ended(self) -> None:
        """
        The other process has ended: what it had open is lost.
        """
        lost = [
            Closed(number, time_ns(), End.ABORTED, "the process that served it has ended")
            for number in sorted(self._open)
        ]
        self._open.clear()
        self._buffer.clear()
        if lost:
            self._sink.take([*lost], len(lost) * EVENT)

    def _take(self, content: bytes, size: int) -> None:
        try:
            found: list[Event] = [asEvent(each) for each in _Unpickler(BytesIO(content)).load()]
        except Exception as error:
            self._failed = True
            self._buffer.clear()
            _log.error(
                "What a worker records is not understood: {reason}; it serves, and is not shown. "
                "After an update, restart instead of reloading",
                reason=str(error),
            )
            return
        for event in found:
            if type(event) is Opened:
                self._open.add(event.connection)
            elif type(event) is Closed:
                self._open.discard(event.connection)
        if found:
            self._sink.take(found, size)


class _Unpickler(pickle.Unpickler):
    """
    Reads events, and nothing else.
    """

    def find_class(self, module: str, name: str) -> Any:
        if module != events.__name__ or name not in _NAMES:
            raise pickle.UnpicklingError(f"{module}.{name} is no event")
        return getattr(events, name)


_NAMES = frozenset(
    (
        *("Opened", "Secured", "HalfClosed", "Closed", "Note", "Dropped", "Unrecorded"),
        *("Direction", "End", "Role"),
    )
)
