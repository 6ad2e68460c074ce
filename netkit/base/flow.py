"""
Flow control: who produces more than is dealt with is paused.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
class SharedProducer:
    """
    A producer that several may pause, each of them once: it produces while none does.
    """

    def __init__(self, producer: IPushProducer) -> None:
        """
        @param producer: what produces.
        """
        self._producer = producer
        self._pauses = 0

    def pauseProducing(self) -> None:
        self._pauses += 1
        if self._pauses == 1:
            self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        self._pauses -= 1
        if not self._pauses:
            self._producer.resumeProducing()

    def stopProducing(self) -> None:
        self._producer.stopProducing()


class _Pausable(Protocol):
    def pauseProducing(self) -> object: ...

    def resumeProducing(self) -> object: ...


class Backlog:
    """
    What came from a producer and is not dealt with yet: while it is too much, that is paused.
    """

    def __init__(self, producer: _Pausable, limit: int = 2**16) -> None:
        """
        @param producer: what produces.
        @param limit: how many octets may be in the backlog.
        """
        self._producer = producer
        self._limit = limit
        self._size = 0

    def add(self, size: int, done: Deferred[None]) -> None:
        """
        Add something.

        @param size: how many octets.
        @param done: fires when it is dealt with; it must not fail.
        """
        if self._size <= self._limit < self._size + size:
            self._producer.pauseProducing()
        self._size += size
        done.addCallback(self._remove, size)

    def _remove(self, result: None, size: int) -> None:
        self._size -= size
        if self._size <= self._limit < self._size + size:
            self._producer.resumeProducing()
