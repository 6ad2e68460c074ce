"""
Tests for L{netkit.base.flow}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from netkit.base.flow import Backlog, SharedProducer


@implementer(IPushProducer)
class Producer:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")


def test_a_shared_producer_produces_while_nobody_has_paused_it() -> None:
    producer = Producer()
    shared = SharedProducer(producer)
    shared.pauseProducing()
    shared.pauseProducing()
    assert producer.calls == ["pause"]
    shared.resumeProducing()
    assert producer.calls == ["pause"]
    shared.resumeProducing()
    assert producer.calls == ["pause", "resume"]
    shared.stopProducing()
    assert producer.calls == ["pause", "resume", "stop"]


def test_a_backlog_over_its_limit_pauses() -> None:
    producer = Producer()
    backlog = Backlog(producer, limit=10)
    done: list[Deferred[None]] = [Deferred() for _ in range(4)]
    for deferred, size in zip(done, (10, 1, 5, 0), strict=True):
        backlog.add(size, deferred)
    assert producer.calls == ["pause"]
    done[1].callback(None)
    assert producer.calls == ["pause"]
    done[2].callback(None)
    assert producer.calls == ["pause", "resume"]


def test_what_is_done_already_pauses_nobody_for_long() -> None:
    producer = Producer()
    done: Deferred[None] = Deferred()
    done.callback(None)
    Backlog(producer, limit=10).add(11, done)
    assert producer.calls in ([], ["pause", "resume"])
