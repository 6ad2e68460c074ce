"""
Writers that wait for the peer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from zope.interface import implementer

from .twistedprivate import Fired
from .waiters import Waiters


def _nothing() -> None:
    """
    What is called where nobody wants to be.
    """


@implementer(IPushProducer)
class Backpressure:
    """
    Whether the peer takes what is written to a transport: the producer that the transport pauses
    and resumes. Who writes much waits for L{ready} in between; who writes in answer to what is
    read has reading paused meanwhile.

    @ivar paused: whether so much waits to be sent that no more should be written.
    """

    __slots__ = ("_consumer", "_onDrain", "_onPause", "_waiters", "paused")

    def __init__(
        self, onPause: Callable[[], object] = _nothing, onDrain: Callable[[], object] = _nothing
    ) -> None:
        """
        @param onPause: called when too much waits to be sent.
        @param onDrain: called when that is sent, before those who wait.
        """
        self.paused = False
        self._onPause = onPause
        self._onDrain = onDrain
        self._waiters: Waiters[None] | None = None
        self._consumer: IConsumer | None = None

    def register(self, transport: ITransport | IConsumer) -> None:
        """
        Have a transport tell this one, unless one does.
        """
        if self._consumer is None:
            # To adapt it would take longer than all else.
            self._consumer = cast(IConsumer, transport)
            self._consumer.registerProducer(self, True)

    def unregister(self) -> None:
        """
        Nothing more is written, or somebody else is to be told. A transport does not close before
        it was told so.
        """
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.unregisterProducer()

    @property
    def registered(self) -> bool:
        """
        Whether a transport tells this one.
        """
        return self._consumer is not None

    def ready(self) -> Deferred[None]:
        """
        Wait until more should be written. Each call gives a Deferred of its own; where the
        connection is lost meanwhile, it waits on until L{fail}.
        """
        if not self.paused:
            return Fired()
        if self._waiters is None:
            self._waiters = Waiters()
        return self._waiters.wait()

    def fail(self, error: Exception) -> None:
        """
        The connection is lost: those who wait do not get to write any more.

        @param error: what they fail with, each with a copy.
        """
        if self._waiters is not None:
            self._waiters.fail(error)

    def forget(self) -> None:
        """
        Let go of who was called: what has this one has a method of its own in it.
        """
        self._onPause = self._onDrain = _nothing

    # from the transport

    def pauseProducing(self) -> None:
        self.paused = True
        self._onPause()

    def resumeProducing(self) -> None:
        self.paused = False
        self._onDrain()
        # It may be paused again, by what was written now.
        if self._waiters is not None and not self.paused:
            self._waiters.succeed(None)

    def stopProducing(self) -> None:
        """
        The connection is lost: the transport wants to be told nothing any more.
        """
        self._consumer = None
        self.forget()
