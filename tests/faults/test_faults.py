"""
Tests for L{netkit.faults.faults}: when a fault strikes.
"""

from __future__ import annotations

import pytest

from netkit.faults import Faults, parseFault


def struck(text: str, times: int, seed: int = 1) -> list[int]:
    [armed] = Faults(parseFault(text), seed=seed)
    return [number for number in range(1, times + 1) if armed.strikes()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("refuse", [1, 2, 3, 4, 5, 6]),
        ("refuse:first=2", [1, 2]),
        ("refuse:every=3", [3, 6]),
        ("refuse:every=2,first=2", [2, 4]),
        ("status:after=2", [3, 4, 5, 6]),
        ("status:after=1,every=2", [3, 5]),
        # Of octets: that is for its stage.
        ("reset:after=2", [1, 2, 3, 4, 5, 6]),
        ("refuse:probability=0", []),
        ("refuse:probability=1", [1, 2, 3, 4, 5, 6]),
    ],
)
def test_which_ones(text: str, expected: list[int]) -> None:
    assert struck(text, 6) == expected


def test_the_same_seed_gives_the_same_run() -> None:
    first = struck("refuse:probability=0.3", 1000, seed=7)
    assert 200 < len(first) < 400
    assert struck("refuse:probability=0.3", 1000, seed=7) == first
    assert struck("refuse:probability=0.3", 1000, seed=8) != first


def test_faults_have_chances_of_their_own() -> None:
    """
    What one does makes no difference to another one.
    """
    text = "refuse:probability=0.5"
    one, other = Faults(parseFault(text), parseFault(text), seed=3)
    mixed = [(one.strikes(), other.strikes())[0] for _ in range(100)]
    [alone] = Faults(parseFault(text), seed=3)
    assert [alone.strikes() for _ in range(100)] == mixed
    assert one.chance(1).random() != other.chance(1).random()
    assert one.chance(1).random() == one.chance(1).random() != one.chance(2).random()


def test_names() -> None:
    faults = Faults(parseFault("refuse"), parseFault("refuse"), parseFault("flip"))
    faults.add(parseFault("flip"), "mine")
    assert [armed.name for armed in faults] == ["refuse-1", "refuse-2", "flip-1", "mine"]
    with pytest.raises(KeyError):
        faults.add(parseFault("flip"), "mine")
    faults.remove("refuse-1")
    with pytest.raises(KeyError):
        faults.remove("refuse-1")
    assert faults.add(parseFault("refuse")).name == "refuse-1"
    faults.clear()
    assert len(faults) == 0


def test_a_seed_is_drawn() -> None:
    assert Faults().seed != Faults().seed
