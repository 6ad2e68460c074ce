"""
Tests for L{netkit.base.quantities}.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.base.quantities import QuantityError, parseCount, parseSeconds


@given(st.floats(0, 2**31 - 1))
def test_seconds_as_python_writes_them(seconds: float) -> None:
    assert parseSeconds(repr(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("5", 5), ("0.5", 0.5), (".5", 0.5), ("5.", 5), ("1e3", 1000)]
)
def test_seconds(text: str, seconds: float) -> None:
    assert parseSeconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "-1", "-0", "nan", "inf", "1_0", " 1", "1 ", "\u0661", "1e", "1,5", "0x1"]
)
def test_what_is_no_number_of_seconds(text: str) -> None:
    wanted = re.escape(f"{text!r} is not a number of seconds, 0 or more")
    with pytest.raises(QuantityError, match=wanted):
        parseSeconds(text)


@pytest.mark.parametrize("text", ["2147483648", "1e300", "9" * 400, "1e999"])
def test_more_seconds_than_any_clock_has(text: str) -> None:
    with pytest.raises(QuantityError, match="a number of seconds up to 2147483647"):
        parseSeconds(text)


def test_seconds_within_bounds() -> None:
    with pytest.raises(QuantityError, match="'0' is not a number of seconds above 0"):
        parseSeconds("0", zero=False)
    with pytest.raises(QuantityError, match=r"'10\.5' is not .* up to 10"):
        parseSeconds("10.5", most=10)


@given(st.integers(0, 10**18 - 1))
def test_counts_as_python_writes_them(count: int) -> None:
    assert parseCount(str(count)) == count


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "1_0", " 1", "\u0661", "0x1"])
def test_what_is_no_count(text: str) -> None:
    with pytest.raises(QuantityError, match=r"is not a whole number, 0 or more"):
        parseCount(text)


def test_a_count_within_bounds() -> None:
    assert parseCount("10", most=10) == 10
    for text in ("11", "0011"):
        with pytest.raises(QuantityError, match=f"'{text}' is not a whole number up to 10$"):
            parseCount(text, most=10)
    assert parseCount("000000000000000000000010") == 10
    for text in ("1000000000000000000", "9" * 5000):
        with pytest.raises(QuantityError, match=r"up to 999999999999999999$"):
            parseCount(text)
