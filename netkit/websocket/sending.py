"""
What a connection sends: frames to the transport, and who is held up where the peer does not take
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IConsumer, IProducer, ITCPTransport

from ..base.backpressure import Backpressure
from ..base.progress import Progress, progress, unsent
from .flow import PAUSED_BY_PEER, ReadFlow

# While what arrived is gone through, this much of what is sent is collected into one write: so
# many frames, none of them larger than so many octets.
_BATCH_FRAMES = 256
_BATCHED_SIZE = 4096


class Sender:
    """
    Writes the frames of a connection. Where the peer does not take them, what would make us send
    more is not read either.

    @ivar write: takes the octets of a frame. It is the transport's own method, or what stands in
        its place.
    @ivar paused: whether the transport has as much to send as it should.
    @ivar added: how many octets were written all the same since then.
    @ivar drained: set when the transport has sent all of that.
    """

    __slots__ = (
        "_attached",
        "_backpressure",
        "_batch",
        "_changed",
        "_ended",
        "_flow",
        "_transport",
        "added",
        "drained",
        "paused",
        "write",
    )

    write: Callable[[bytes], None]

    def __init__(
        self, transport: ITCPTransport, flow: ReadFlow, changed: Callable[[], None]
    ) -> None:
        """
        @param transport: what sends.
        @param flow: what is paused while the peer does not take what was sent.
        @param changed: called when more is written that the peer does not take, and when it has
            taken everything.
        """
        self._transport = transport
        self._flow = flow
        self._changed = changed
        # What is sent while several things that arrived are gone through.
        self._batch: list[bytes] | None = None
        self._backpressure = Backpressure(self._pause, self._drain)
        self._attached = False
        self._ended = False
        self.paused = False
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

    def writeParts(self, parts: Sequence[bytes]) -> None:
        """
        Send the octets of a large frame.

        @param parts: the octets; none of them is copied if that can be helped.
        """
        if self._batch is None:
            self._register()
            self._put(parts)
        else:
            for part in parts:
                self.write(part)

    def collect(self) -> None:
        """
        Until L{flush}, collect what is sent.
        """
        self._register()
        self._batch = []
        self.write = self._writeCollecting

    def flush(self) -> None:
        """
        Write what was collected, if anything was, and collect no more.
        """
        batch, self._batch = self._batch, None
        self._choose()
        if batch:
            self.write(batch[0] if len(batch) == 1 else b"".join(batch))

    def attach(self, producer: IProducer, streaming: bool) -> None:
        """
        Let C{producer} be paused in our place.
        """
        self._unregister()
        self._attached = True
        IConsumer(self._transport).registerProducer(producer, streaming)
        self._choose()
        self._flow.resume(PAUSED_BY_PEER)

    def detach(self) -> None:
        """
        Undo L{attach}. We take our place again with the next write.
        """
        self._attached = False
        IConsumer(self._transport).unregisterProducer()
        self._choose()

    def end(self) -> None:
        """
        Be held up no more: the transport is to close when it has sent everything.
        """
        self._ended = True
        self._unregister()
        self._choose()

    def _pause(self) -> None:
        """
        The transport has too much.
        """
        if not self.paused:
            self.paused = True
            self._choose()
            self._flow.pause(PAUSED_BY_PEER)
            self._changed()

    def _drain(self) -> None:
        """
        The transport has nothing any more.
        """
        self._relieve()
        self.drained = True
        self._flow.resume(PAUSED_BY_PEER)

    def _choose(self) -> None:
        """
        Say what C{write} is from now on.
        """
        if self._batch is not None:
            return
        if self.paused:
            self.write = self._writeAdding
        elif self._backpressure.registered or self._attached or self._ended:
            self.write = self._transport.write
        else:
            self.write = self._writeRegistering

    def _writeCollecting(self, octets: bytes) -> None:
        batch = self._batch
        assert batch is not None
        batch.append(octets)
        if len(octets) > _BATCHED_SIZE or len(batch) >= _BATCH_FRAMES:
            self._batch = []
            self._put(batch)

    def _writeRegistering(self, octets: bytes) -> None:
        self._register()
        self._transport.write(octets)

    def _writeAdding(self, octets: bytes) -> None:
        self.added += len(octets)
        self._transport.write(octets)
        self._changed()

    def _put(self, parts: Sequence[bytes]) -> None:
        if self.paused:
            self.added += sum(map(len, parts))
            self._transport.writeSequence(parts)
            self._changed()
        else:
            self._transport.writeSequence(parts)

    def _register(self) -> None:
        """
        Be held up from here on where the peer does not take what is sent.
        """
        if not (self._backpressure.registered or self._attached or self._ended):
            self._backpressure.register(self._transport)
            self._choose()

    def _unregister(self) -> None:
        if self._backpressure.registered:
            self._backpressure.unregister()
            self._relieve()

    def _relieve(self) -> None:
        self.paused = False
        self.added = 0
        self._choose()
        self._changed()
