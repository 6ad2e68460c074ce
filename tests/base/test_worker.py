"""
Tests for L{netkit.base.worker}.
"""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred

from netkit.base.worker import Worker


class Work:
    """
    What a worker does, once it is let.
    """

    def __init__(self, **arguments: Any) -> None:
        from twisted.internet import reactor

        self.go = Event()
        self.done: list[str] = []
        self.worker: Worker[str] = Worker("a test", self.do, reactor, **arguments)  # type: ignore[arg-type]
        self.worker.start()

    def do(self, thing: str) -> None:
        self.go.wait()
        self.done.append(thing)


@pytest_twisted.ensureDeferred
async def test_what_waits_is_done_in_order_before_the_end() -> None:
    ended: list[int] = []
    work: Work = Work(finish=lambda: ended.append(len(work.done)))
    for thing in "abc":
        work.worker.put(thing, 10)
    assert work.worker.queued == 30
    assert not work.worker.full
    stopped = work.worker.stop()
    work.go.set()
    await stopped
    assert ended == [3]
    assert work.done == ["a", "b", "c"]
    assert work.worker.queued == 0


@pytest_twisted.ensureDeferred
async def test_whoever_has_more_waits_until_half_is_done() -> None:
    work = Work(maxQueued=100)
    drained: Deferred[int] = Deferred()
    work.worker.onDrain(lambda: drained.callback(work.worker.queued))
    for thing in ("a", "b", "c"):
        work.worker.put(thing, 40)
    assert work.worker.full
    work.go.set()
    assert await drained <= 50
    assert not work.worker.full
    await work.worker.stop()


@pytest_twisted.ensureDeferred
async def test_there_is_no_room_until_half_is_done() -> None:
    work = Work(maxQueued=100)
    drained: Deferred[None] = Deferred()
    work.worker.onDrain(lambda: drained.callback(None))
    assert work.worker.hasRoom(1000)
    work.worker.put("a", 60)
    assert work.worker.hasRoom(40)
    assert not work.worker.hasRoom(41)
    # Not for less either, now.
    assert not work.worker.hasRoom(1)
    work.go.set()
    await drained
    assert work.worker.hasRoom(100)
    await work.worker.stop()


@pytest_twisted.ensureDeferred
async def test_each_wait_ends() -> None:
    """
    However the thread and whoever has more get in between each other.
    """
    work = Work(maxQueued=3)
    work.go.set()
    waits: list[Deferred[None]] = []
    work.worker.onDrain(lambda: waits.pop().callback(None))
    for _ in range(1000):
        while not work.worker.full:
            work.worker.put("a", 1)
        drained: Deferred[None] = Deferred()
        waits.append(drained)
        await drained
    await work.worker.stop()
    assert work.worker.queued == 0


@pytest_twisted.ensureDeferred
async def test_a_thread_that_is_given_up() -> None:
    work = Work()
    work.worker.put("a", 1)
    stopped = work.worker.stop()
    stopped.cancel()
    with pytest.raises(CancelledError):
        await stopped
    work.go.set()
    assert work.worker.join(60)
    assert work.done == ["a"]
