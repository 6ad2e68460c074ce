"""
Flow control of what is written to a connection.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from zope.interface import implementer


@implementer(IPushProducer)
class WriteFlow:
    """
    Knows whether the peer takes what is written to a connection.

    @ivar congested: whether so much waits to be sent that no more should be written.
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
        self._relieved = relieved
        self._transport: IConsumer | None = IConsumer(transport)
        self._transport.registerProducer(self, True)

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
        if self._transport is not None:
            self._transport.unregisterProducer()
            self._transport = None

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
        self._transport = None
