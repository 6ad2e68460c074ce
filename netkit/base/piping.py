"""
Octets from one connection to another, at the pace of the slower one.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IConsumer, IPushProducer

from .backpressure import Backpressure


class Pipe:
    """
    One direction between two connections: what arrives on the one is written to the other, and
    the one is not read from while the other's peer does not take what was written.

    It keeps nothing itself. What waits is in the buffer of the transport that is written to: as
    much as makes that pause its producer, and what was read at once.

    @ivar take: what is to be called with what arrives: the sink's own, so that nothing is in
        between; once the pipe is stopped, what drops it.
    """

    __slots__ = ("_backpressure", "take")

    take: Callable[[bytes], None]

    def __init__(self, source: IPushProducer, sink: IConsumer) -> None:
        """
        @param source: what is paused and resumed.
        @param sink: what is written to; it has no other producer.
        """
        self.take = sink.write
        self._backpressure = Backpressure(source.pauseProducing, source.resumeProducing)
        self._backpressure.register(sink)

    def stop(self) -> None:
        """
        Pause and resume the source no more: it has ended, or the sink is gone.
        """
        self.take = _nowhere
        self._backpressure.unregister()
        self._backpressure.forget()


def _nowhere(data: bytes) -> None:
    """
    Where what comes too late goes.
    """
