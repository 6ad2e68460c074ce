"""
A uvloop reactor for each test, in a thread of its own: asyncio knows one running loop per thread,
and the main one may have that of pytest-twisted's reactor.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from threading import Thread
from traceback import format_stack
from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from netkit.reactor import UvloopReactor

Scenario = Callable[[UvloopReactor], Coroutine[Deferred[object], object, None]]
Run = Callable[[Scenario], None]

# In seconds: a scenario that takes longer hangs.
PATIENCE = 20


def onReactor(scenario: Scenario) -> None:
    outcome: list[object] = []

    def main() -> None:
        reactor = UvloopReactor()
        # The main thread is that of the other reactor.
        reactor._registerAsIOThread = False

        def start() -> None:
            done = Deferred.fromCoroutine(scenario(reactor))
            done.addBoth(outcome.append)
            done.addBoth(lambda _: reactor.stop())

        reactor.callWhenRunning(reactor.callLater, 0, start)
        reactor.callLater(PATIENCE, reactor.crash)
        reactor.run(installSignalHandlers=False)
        reactor.eventloop.close()

    thread = Thread(target=main, daemon=True)
    thread.start()
    thread.join(PATIENCE + 5)
    assert outcome, f"the scenario hangs: {_stack(thread)}"
    if isinstance(outcome[0], Failure):
        outcome[0].raiseException()


def _stack(thread: Thread) -> str:
    """
    Where a thread is.
    """
    frame = sys._current_frames().get(thread.ident or 0)
    return "it has ended" if frame is None else "".join(format_stack(frame))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """
    A function that runs a coroutine function, which is given a reactor, on that reactor.
    """
    # What is loaded is frozen before the tests begin. Would a reactor thaw it as it ends, then the
    # collection after the test would look at all of it, and take longer than the test.
    neither = SimpleNamespace(freeze=lambda: None, unfreeze=lambda: None)
    monkeypatch.setattr("netkit.reactor.core.gc", neither)
    return onReactor
