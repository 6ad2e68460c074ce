"""
Tests for L{netkit.net.waiting}.
"""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError

from netkit.net.waiting import Waiting
from tests.net.results import now


def test_each_gets_the_result() -> None:
    waiting: Waiting[int] = Waiting()
    deferreds = [waiting.wait(), waiting.wait()]
    waiting.succeed(1)
    assert [now(deferred) for deferred in deferreds] == [1, 1]
    failing = waiting.wait()
    waiting.fail(LookupError("why"))
    with pytest.raises(LookupError):
        now(failing)


def test_who_cancels_waits_no_longer() -> None:
    """
    Before the others get their result, or while they get it.
    """
    waiting: Waiting[object] = Waiting()
    early, first, late, failed = (waiting.wait() for _ in range(4))
    for deferred in (early, late, failed):
        deferred.addErrback(lambda failure: failure.trap(CancelledError))
    early.cancel()
    first.addCallback(lambda result: late.cancel())
    waiting.succeed(1)
    waiting.fail(LookupError())
    assert now(early) is now(late) is CancelledError
    assert now(failed) == 1
    failing, never = waiting.wait(), waiting.wait()
    never.addErrback(lambda failure: failure.trap(CancelledError))
    failing.addErrback(lambda failure: never.cancel())
    waiting.fail(LookupError())
    assert now(never) is CancelledError


def test_who_comes_late_waits_on() -> None:
    waiting: Waiting[int] = Waiting()
    again = []
    waiting.wait().addCallback(lambda result: again.append(waiting.wait()))
    waiting.succeed(1)
    assert not again[0].called
