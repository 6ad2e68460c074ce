"""
Tests for L{netkit.base.waiters}.
"""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError

from netkit.base.waiters import Waiters
from tests.net.results import now


def test_each_gets_the_result() -> None:
    waiters: Waiters[int] = Waiters()
    deferreds = [waiters.wait(), waiters.wait()]
    waiters.succeed(1)
    assert [now(deferred) for deferred in deferreds] == [1, 1]
    failing = waiters.wait()
    waiters.fail(LookupError("why"))
    with pytest.raises(LookupError):
        now(failing)


def test_who_cancels_waits_no_longer() -> None:
    """
    Before the others get their result, or while they get it.
    """
    waiters: Waiters[object] = Waiters()
    early, first, late, failed = (waiters.wait() for _ in range(4))
    for deferred in (early, late, failed):
        deferred.addErrback(lambda failure: failure.trap(CancelledError))
    early.cancel()
    first.addCallback(lambda result: late.cancel())
    waiters.succeed(1)
    waiters.fail(LookupError())
    assert now(early) is now(late) is CancelledError
    assert now(failed) == 1
    failing, never = waiters.wait(), waiters.wait()
    never.addErrback(lambda failure: failure.trap(CancelledError))
    failing.addErrback(lambda failure: never.cancel())
    waiters.fail(LookupError())
    assert now(never) is CancelledError


def test_who_comes_late_waits_on() -> None:
    waiters: Waiters[int] = Waiters()
    again = []
    waiters.wait().addCallback(lambda result: again.append(waiters.wait()))
    waiters.succeed(1)
    assert not again[0].called
