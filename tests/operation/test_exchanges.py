"""
What is done for each exchange: in C and in Python the same.
"""

from __future__ import annotations

from random import Random
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from netkit.operation.exchanges import python
from tests.compiled import compiled
from tests.operation.exchanges_fuzz import compareOnce

native = compiled("netkit.operation.exchanges")


@pytest.fixture(params=["python", "native"], scope="module")
def exchanges(request: pytest.FixtureRequest) -> ModuleType:
    """
    The module in one of the languages.
    """
    if request.param == "python":
        return python
    if native is None:
        pytest.skip("exchanges are not counted in C: there was no compiler")
    return native


def head(method: bytes) -> Any:
    return SimpleNamespace(method=method)


def test_a_tally(exchanges: ModuleType) -> None:
    tally = exchanges.Tally((b"GET", b"HEAD"), (0.5, 2.0))
    assert tally.counts() == {}
    for counted, status, seconds in (
        (head(b"GET"), 200, 0.25),
        (head(b"GET"), 299, 0.5),
        (head(b"HEAD"), 404, 0.75),
        (head(b"HEADER"), 200, 2.0),
        (None, 999, 1e9),
    ):
        tally.count(counted, status, 5, seconds, 1.0, object())
    assert tally.counts() == {
        (b"GET", 2): 2,
        (b"HEAD", 4): 1,
        (None, 2): 1,
        (None, 9): 1,
    }
    assert tally.buckets() == [2, 2, 1]
    assert tally.seconds() == 1000000003.5


@pytest.mark.parametrize("status", [-1, 1000, 10**30])
def test_what_is_no_status_is_not_counted(exchanges: ModuleType, status: int) -> None:
    tally = exchanges.Tally((b"GET",), (0.5,))
    with pytest.raises((ValueError, OverflowError)):
        tally.count(None, status, 5, 0.0, 1.0, None)
    assert tally.counts() == {}
    assert tally.buckets() == [0, 0]


def test_what_a_tally_cannot_hold(exchanges: ModuleType) -> None:
    with pytest.raises(ValueError, match="at most 32"):
        exchanges.Tally((b"GET",), (1.0,) * 33)
    with pytest.raises(ValueError, match="at most 32"):
        exchanges.Tally((b"GET",) * 33, ())


def test_both_languages_do_the_same() -> None:
    if native is None:
        pytest.skip("exchanges are not counted in C: there was no compiler")
    for seed in range(100):
        compareOnce(Random(seed))
