"""
Flow control of what is written to a connection.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from zope.interface import implementer

# So much is written without waiting for what follows: one more write is cheaper than a copy then.
_TOGETHER = 2**13


@implementer(IPushProducer)
class WriteFlow:
    """
    Writes to a connection, and knows whether the peer takes it.

    @ivar congested: whether so much waits to be sent that no more should be written.
    @ivar held: what waits for something else to leave with.
    @ivar producer: what is paused with it, where there is something.
    """

    producer: IPushProducer | None = None
    _waiting: Deferred[None] | None = None

    def __init__(self, transport: ITransport, relieved: Callable[[], None]) -> None:
        """
        @param transport: the connection.
        @param relieved: called when the peer has taken what was waiting.
        """
        self.congested = False
        self.held = b""
        self._relieved = relieved
        self._transport = transport
        self._consumer: IConsumer | None = IConsumer(transport)
        self._consumer.registerProducer(self, True)

    def write(self, octets: bytes, more: bool = False) -> None:
        """
        Write.

        @param octets: what to write, behind all that was written before.
        @param more: whether something may follow that can leave with it; if nothing does,
            L{flush} has to be called.
        """
        if self.held:
            octets = self.held + octets
            self.held = b""
        if more and len(octets) < _TOGETHER:
            self.held = octets
        else:
            self._transport.write(octets)

    def flush(self) -> None:
        """
        Write what waits for something else to leave with.
        """
        octets, self.held = self.held, b""
        self._transport.write(octets)

    def ready(self) -> Deferred[None]:
        """
        Wait until more may be written.
        """
        if not self.congested:
            return succeed(None)
        self._waiting = Deferred(self._stoppedWaiting)
        return self._waiting

    def _stoppedWaiting(self, waiting: Deferred[None]) -> None:
        self._waiting = None

    def end(self) -> None:
        """
        Nothing more is written. A transport does not close before it was told so.
        """
        if self.held:
            self.flush()
        if self._consumer is not None:
            self._consumer.unregisterProducer()
            self._consumer = None

    def pauseProducing(self) -> None:
        """
        Called by the transport when too much is waiting.
        """
        self.congested = True
        if self.producer is not None:
            self.producer.pauseProducing()

    def resumeProducing(self) -> None:
        """
        Called by the transport when it is sent.
        """
        self.congested = False
        if self.producer is not None:
            self.producer.resumeProducing()
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)
        self._relieved()

    def stopProducing(self) -> None:
        """
        Called by the transport when the connection is lost, of which the protocol hears too.
        """
        self._consumer = None
