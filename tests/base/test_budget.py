"""
Tests for L{netkit.base.budget}.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.base.budget import Budget, BudgetExceededError


def test_shares_use_up_a_budget_together() -> None:
    budget = Budget(100)
    first, second = budget.share(), budget.share()
    first.keep(60)
    second.keep(40)
    assert budget.used == 100
    with pytest.raises(BudgetExceededError, match="100 bytes"):
        second.keep(41)
    assert (second.kept, budget.used) == (40, 100)


def test_what_is_given_back_is_there_for_others() -> None:
    budget = Budget(100)
    first, second = budget.share(), budget.share()
    first.keep(100)
    first.keep(30)
    second.keep(70)
    first.keep(0)
    second.keep(100)
    assert budget.used == 100


def test_no_limit() -> None:
    share = Budget(0).share()
    share.keep(2**62)
    assert share.kept == 2**62


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50))))
def test_a_budget_is_never_exceeded(steps: list[tuple[int, int]]) -> None:
    budget = Budget(100)
    shares = [budget.share() for _ in range(4)]
    for which, size in steps:
        try:
            shares[which].keep(size)
        except BudgetExceededError:
            assert budget.used + size - shares[which].kept > 100
        assert budget.used == sum(share.kept for share in shares) <= 100
    for share in shares:
        share.keep(0)
    assert budget.used == 0
