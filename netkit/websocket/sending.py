"""
What a connection sends: frames to the transport, and who is held up where the peer does not take
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from twisted.internet.interfaces import IConsumer, IProducer, ITCPTransport

from ..base.backpressure import Backpressure
from ..base.progress import Progress, progress, unsent
from .flow import PAUSED_BY_PEER, ReadFlow

# While what arrived is gone through, this much of what is sent is collected into one write: so
# many frames, none of them larger than so many octets.
_BATCH_FRAMES = 256
_BATCHED_SIZE = 4096


class Writer(Protocol):
    """
    What takes the octets of a frame.
    """

    def write(self, data: bytes, /) -> None:
        """
        Take them.
        """


class Counter(Protocol):
    """
    What counts the octets that are kept in memory.
    """

    def countBuffered(self) -> None:
        """
        There may be more or less of them than before.
        """


class Sender(Backpressure):
    """
    Writes the frames of a connection. Where the peer does not take them, what would make us send
    more is not read either.

    @ivar out: what is to be given the octets of a frame: the transport where that is all there is
        to do, else this one.
    @ivar added: how many octets were written while the transport had as much to send as it should.
    @ivar drained: set when it has sent all of that.
    @ivar flow: what is paused meanwhile.
    """

    __slots__ = (
        "_attached",
        "_batch",
        "_counter",
        "_ended",
        "_transport",
        "added",
        "drained",
        "flow",
        "out",
    )

    out: Writer

    def __init__(self, transport: ITCPTransport, flow: ReadFlow, counter: Counter) -> None:
        """
        @param transport: what sends.
        @param flow: what is paused while the peer does not take what was sent.
        @param counter: what counts the octets that are kept because of that.
        """
        super().__init__()
        self._transport = transport
        self.flow = flow
        self._counter = counter
        # What is sent while several things that arrived are gone through.
        self._batch: list[bytes] | None = None
        self._attached = False
        self._ended = False
        self.added = 0
        self.drained = False
        self._choose()

    @property
    def buffered(self) -> int:
        """
        How many octets are in memory because the peer does not take them.
        """
        return (unsent(self._transport) or self.added) if self.paused else 0

    def progress(self) -> Progress | None:
        """
        Ask how far the octets of the connection have got.
        """
        return progress(self._transport, self.added)

    def write(self, octets: bytes) -> None:
        """
        Send the octets of a frame, where there is more to that than to write them.
        """
        batch = self._batch
        if batch is None:
            self._put((octets,))
            return
        batch.append(octets)
        if len(octets) > _BATCHED_SIZE or len(batch) >= _BATCH_FRAMES:
            self._batch = []
            self._put(batch)

    def writeParts(self, parts: Sequence[bytes]) -> None:
        """
        Send the octets of a large frame.

        @param parts: the octets; none of them is copied if that can be helped.
        """
        if self._batch is None:
            self._put(parts)
        else:
            for part in parts:
                self.write(part)

    def collect(self) -> None:
        """
        Until L{flush}, collect what is sent.
        """
        self._registerOnce()
        self._batch = []
        self.out = self

    def flush(self) -> None:
        """
        Write what was collected, if anything was, and collect no more.
        """
        batch, self._batch = self._batch, None
        self._choose()
        if batch:
            self.out.write(batch[0] if len(batch) == 1 else b"".join(batch))

    def attach(self, producer: IProducer, streaming: bool) -> None:
        """
        Let C{producer} be paused in our place.
        """
        self._attached = True
        self._leave()
        IConsumer(self._transport).registerProducer(producer, streaming)
        self.flow.resume(PAUSED_BY_PEER)

    def detach(self) -> None:
        """
        Undo L{attach}. We take our place again with the next write.
        """
        self._attached = False
        IConsumer(self._transport).unregisterProducer()
        self._choose()

    def end(self) -> None:
        """
        Be held up no more: the transport is to close when it has sent everything, which some do
        not while anything is registered that produces.
        """
        self._ended = True
        if self._attached:
            self.detach()
        self._leave()

    def fail(self, error: Exception) -> None:
        """
        The connection is lost. Nothing is counted any more either: who does would be freed by
        nobody but the collector of cycles else.
        """
        super().fail(error)
        self._counter = _NOBODY

    # From the transport

    def pauseProducing(self) -> None:
        if not self.paused:
            super().pauseProducing()
            self._choose()
            self.flow.pause(PAUSED_BY_PEER)
            self._counter.countBuffered()

    def resumeProducing(self) -> None:
        super().resumeProducing()
        self.drained = True
        self._relieve()
        self.flow.resume(PAUSED_BY_PEER)

    def _choose(self) -> None:
        """
        Say what C{out} is from now on.
        """
        if self._batch is None:
            plain = self.registered or self._attached or self._ended
            self.out = self._transport if plain and not self.paused else self

    def _put(self, parts: Sequence[bytes]) -> None:
        self._registerOnce()
        if self.paused:
            self.added += sum(map(len, parts))
        if len(parts) == 1:
            self._transport.write(parts[0])
        else:
            self._transport.writeSequence(parts)
        if self.paused:
            self._counter.countBuffered()

    def _registerOnce(self) -> None:
        """
        Be held up from here on where the peer does not take what is sent.
        """
        if not (self.registered or self._attached or self._ended):
            self.register(self._transport)
            self._choose()

    def _leave(self) -> None:
        """
        Be held up no more.
        """
        self.unregister()
        super().resumeProducing()
        self._relieve()

    def _relieve(self) -> None:
        self.added = 0
        self._choose()
        self._counter.countBuffered()


class _Nobody:
    """
    What counts the octets of a connection that is lost.
    """

    def countBuffered(self) -> None:
        """
        There are none.
        """


_NOBODY = _Nobody()
