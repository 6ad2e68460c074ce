"""
Tests for L{netkit.capture.views.lanes}, in each of its languages.
"""

from __future__ import annotations

import gc
from random import Random
from types import ModuleType
from typing import Any
from weakref import ref

import pytest

from netkit.wire.recording import Closed, Direction, End, Octets
from tests.compiled import languages

GET = b"GET / HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
RECEIVED, SENT = Direction.RECEIVED, Direction.SENT

lanes = languages("netkit.capture.views.lanes")


def isGet(octets: bytes) -> bool:
    return octets.startswith(GET[:4])


class Lanes:
    """
    A lane, and what passes there.
    """

    def __init__(self, module: ModuleType, most: int = 100) -> None:
        self.taken: list[bytes] = []
        self.lane = module.Lane(RECEIVED, isGet, self.taken, most)
        self.lane.answer = OK, len(OK) + 2
        self._passes = module.passes

    def passes(self, direction: Direction, data: bytes, *, more: int = 0, number: int = 1) -> Any:
        return self._passes({1: self.lane}, (number, 0, direction, data, len(data) + more))


def test_requests_pass_and_are_put_aside(lanes: ModuleType) -> None:
    made = Lanes(lanes)
    assert made.passes(RECEIVED, GET)
    assert made.passes(RECEIVED, GET + b"2")
    assert made.taken == [GET, GET + b"2"]
    assert (made.lane.waiting, made.lane.octets) == (2, 2 * len(GET) + 1)


def test_named_tuples_pass_and_other_events_do_not(lanes: ModuleType) -> None:
    made = Lanes(lanes)
    assert lanes.passes({1: made.lane}, Octets(1, 0, RECEIVED, GET, len(GET))) is True
    assert lanes.passes({1: made.lane}, Closed(1, 0, End.DONE)) is False


def test_what_does_not_pass(lanes: ModuleType) -> None:
    made = Lanes(lanes, most=2)
    assert not made.passes(RECEIVED, b"POST")
    assert not made.passes(RECEIVED, GET, more=1)
    assert not made.passes(RECEIVED, GET, number=2)
    assert not made.passes(RECEIVED, GET * 2**13)
    assert not made.passes(SENT, OK + b"ok")
    assert made.passes(RECEIVED, GET)
    assert made.passes(RECEIVED, GET)
    assert not made.passes(RECEIVED, GET)
    assert not made.passes(SENT, OK + b"o")
    assert not made.passes(SENT, OK[:-4] + b"3\r\n\r\nok")
    assert not made.passes(SENT, OK + b"ok", more=1)
    made.lane.open = False
    assert not made.passes(SENT, OK + b"ok")
    made.lane.open = True
    made.lane.answer = None
    assert not made.passes(SENT, OK + b"ok")
    assert (made.taken, made.lane.waiting) == ([GET, GET], 2)


def test_answers_pass(lanes: ModuleType) -> None:
    made = Lanes(lanes)
    made.passes(RECEIVED, GET)
    assert made.passes(SENT, OK + b"ok")
    assert made.lane.waiting == 0
    assert not made.passes(SENT, OK + b"ok")


def test_who_is_asked_may_fail(lanes: ModuleType) -> None:
    def fail(octets: bytes) -> bool:
        raise ZeroDivisionError

    lane = lanes.Lane(RECEIVED, fail, [], 1)
    with pytest.raises(ZeroDivisionError):
        lanes.passes({1: lane}, (1, 0, RECEIVED, GET, len(GET)))
    assert lane.waiting == 0


def test_it_is_freed(lanes: ModuleType) -> None:
    class Asked:
        lane: Any

        def __call__(self, octets: bytes) -> bool:
            return True

    asked = Asked()
    asked.lane = lanes.Lane(RECEIVED, asked, [], 1)
    gone = ref(asked)
    del asked
    gc.collect()
    assert gone() is None


def test_misuse(lanes: ModuleType) -> None:
    with pytest.raises(TypeError):
        lanes.Lane(RECEIVED, isGet)
    with pytest.raises(TypeError):
        lanes.Lane(RECEIVED, isGet, taken=[], most=1)
    with pytest.raises(TypeError):
        lanes.passes({})


def test_misuse_in_c(lanes: ModuleType) -> None:
    if lanes.__name__.endswith("python"):
        pytest.skip("Python says so itself")
    lane = lanes.Lane(RECEIVED, isGet, [], 1)
    event = (1, 0, RECEIVED, GET, len(GET))
    for known, given in (
        *(({1: lane}, event[:4]), ({1: lane}, (1, 0, RECEIVED, "text", 4)), ({1: 1}, event)),
        *(
            ({1: lane}, (*event[:4], "1")),
            ({1: lane}, ([], *event[1:])),
        ),
    ):
        with pytest.raises(TypeError):
            lanes.passes(known, given)
    with pytest.raises(SystemError):
        lanes.passes([], event)
    assert lanes.passes({1: lane}, event)
    for answer in (1, (b"",), ("", 1), (b"", "")):
        lane.answer = answer
        with pytest.raises(TypeError):
            lanes.passes({1: lane}, (1, 0, SENT, b"", 0))


def test_any_octets_come_to_the_same_as_one_by_one(lanes: ModuleType) -> None:
    """
    What passes is what is taken, and all that waits was taken.
    """
    chance = Random(3)
    made = Lanes(lanes, most=5)
    requests = answers = 0
    for _ in range(2000):
        if chance.random() < 0.6:
            requests += made.passes(RECEIVED, chance.choice([GET, b"POST"]))
        else:
            answers += made.passes(SENT, OK + chance.choice([b"ok", b"okay"]))
    assert len(made.taken) == requests > answers > 100
    assert made.lane.waiting == requests - answers
