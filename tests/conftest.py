"""
Fixtures that every test has.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent, globalLogPublisher


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[LogEvent]]:
    """
    The events logged while the test ran.

    A failure that was logged and not looked at fails the test: a failed Deferred with no errback
    would pass unseen otherwise. A test that expects one takes it out with L{flushFailures}.
    """
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    try:
        yield events
        # A Deferred reports its unhandled failure when it is collected.
        gc.collect()
    finally:
        globalLogPublisher.removeObserver(events.append)
    failures = [event["log_failure"] for event in events if event.get("log_failure") is not None]
    assert not failures, "\n".join(failure.getTraceback() for failure in failures)
