"""
Tests for L{netkit.operation.repeats}.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogEvent, Logger, LogPublisher, formatEvent

from netkit.operation.repeats import MOST, RELAYED, SECONDS, Summed


class Reactor(MemoryReactorClock):
    def callFromThread(self, call: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """
        There is one thread.
        """
        call(*args, **kwargs)


class Log:
    """
    What is logged through a L{Summed}.
    """

    def __init__(self) -> None:
        self.reactor = Reactor()
        self.events: list[LogEvent] = []
        keep: Any = self.events.append
        self.publisher = LogPublisher(Summed(keep, self.reactor))
        self.logger = Logger("tests", observer=self.publisher)

    @property
    def texts(self) -> list[str]:
        return [formatEvent(event) for event in self.events]


def test_many_of_a_kind_are_summed_up_and_others_are_not() -> None:
    log = Log()
    for number in range(MOST + 5):
        log.logger.warn("refused {client}", client=number)
    log.logger.warn("something else")
    assert log.texts == [*(f"refused {each}" for each in range(MOST)), "something else"]
    log.reactor.advance(SECONDS)
    assert log.texts[MOST + 1 :] == [
        f"5 more of these, of which this is the last: refused {MOST + 4}"
    ]
    assert log.events[-1]["log_level"] is log.events[0]["log_level"]
    # And again from the start.
    log.logger.warn("refused {client}", client="another")
    assert log.texts[-1] == "refused another"
    log.reactor.advance(SECONDS)
    assert len(log.texts) == MOST + 3


def test_what_is_left_is_told_at_the_end() -> None:
    log = Log()
    for _ in range(MOST + 1):
        log.logger.warn("refused")
    [(_, phases)] = log.reactor.triggers.items()
    [(tell, args, kwargs)] = phases["shutdown"]
    tell(*args, **kwargs)
    assert log.texts[-1] == "1 more of these, of which this is the last: refused"


def test_texts_without_values_are_told_apart_and_what_was_summed_up_is_passed_on() -> None:
    log = Log()
    for number in range(2 * MOST):
        log.logger.info("{log_text}", log_text=f"old {number}")
        log.logger.info("{line}", line="relayed", **{RELAYED: True})
    log.reactor.advance(SECONDS)
    assert len(log.texts) == 4 * MOST


def test_any_number_of_kinds_takes_little_memory() -> None:
    """
    Nothing of what was passed on is kept, and beyond a thousand kinds not even their numbers.
    """
    log = Log()
    for number in range(3000):
        log.logger.warn(f"of the kind {number}")
    assert len(log.texts) == 3000
    watched = weakref.ref(value := Value())
    log.logger.warn("{value}", value=value)
    log.events.clear()
    del value
    gc.collect()
    assert watched() is None
    for _ in range(MOST + 2):
        log.logger.warn("of the kind 7")
        log.logger.warn("of the kind 2999")
    # The one is counted, the other is not.
    assert log.texts.count("of the kind 7") == MOST - 1
    assert log.texts.count("of the kind 2999") == MOST + 2
    log.reactor.advance(SECONDS)


class Value:
    """
    Something that is logged.
    """
