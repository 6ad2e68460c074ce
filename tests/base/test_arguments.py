"""
Tests for L{netkit.base.arguments}.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from decimal import Decimal
from functools import partial

import pytest

from netkit.base.arguments import (
    checkCallable,
    checkCount,
    checkFlag,
    checkOctets,
    checkSeconds,
)

ports = partial(checkCount, least=1, most=65535)


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (checkSeconds, 0),
        (checkSeconds, 0.25),
        (checkSeconds, 600),
        (checkCount, 0),
        (checkCount, 2**40),
        (ports, 1),
        (ports, 65535),
        (checkFlag, True),
        (checkFlag, False),
        (checkCallable, print),
        (checkCallable, dict),
        (checkOctets, b""),
        (checkOctets, b"octets"),
    ],
)
def test_taken(check: Callable[[str, object], object], value: object) -> None:
    assert check("name", value) is value


@pytest.mark.parametrize(
    ("check", "value", "error", "text"),
    [
        (checkSeconds, -1, ValueError, "name is a number of seconds from 0 to 2.*, not -1"),
        (checkSeconds, float("inf"), ValueError, "not inf"),
        (checkSeconds, float("nan"), ValueError, "not nan"),
        (checkSeconds, 10**400, ValueError, "not 1000"),
        (checkSeconds, 2**31, ValueError, "not 2147483648"),
        (checkSeconds, None, TypeError, "name is a number of seconds, not None"),
        (checkSeconds, "5", TypeError, "not '5'"),
        (checkSeconds, True, TypeError, "not True"),
        (checkSeconds, Decimal(5), TypeError, "not Decimal"),
        (checkSeconds, 5j, TypeError, "not 5j"),
        (checkCount, -1, ValueError, "name is a whole number, 0 or more, not -1"),
        (checkCount, 1.0, TypeError, "name is a whole number, not 1.0"),
        (checkCount, None, TypeError, "not None"),
        (checkCount, False, TypeError, "not False"),
        (ports, 0, ValueError, "name is a whole number, 1 to 65535, not 0"),
        (ports, 65536, ValueError, "not 65536"),
        (checkFlag, 1, TypeError, "name is True or False, not 1"),
        (checkFlag, "no", TypeError, "not 'no'"),
        (checkFlag, None, TypeError, "not None"),
        (checkCallable, None, TypeError, "name is a function, not None"),
        (checkCallable, "print", TypeError, "not 'print'"),
        (checkOctets, "text", TypeError, r"not 'text' \(str\); encode the text"),
        (checkOctets, 5, TypeError, r"name is bytes, bytearray or memoryview, not 5 \(int\)"),
        (checkOctets, [1, 2, 3], TypeError, r"not \[1, 2, 3\] \(list\)"),
        (checkOctets, None, TypeError, "not None"),
        (checkOctets, array("B", b"octets"), TypeError, "array"),
    ],
)
def test_refused(
    check: Callable[[str, object], object], value: object, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        check("name", value)


def test_a_long_value_is_not_told_whole() -> None:
    with pytest.raises(TypeError) as caught:
        checkOctets("name", "x" * 10_000)
    assert len(str(caught.value)) < 200


def test_octets_that_change_are_copied() -> None:
    changing = bytearray(b"before")
    octets = [checkOctets("name", value) for value in (changing, memoryview(changing))]
    changing[:] = b"after!"
    assert octets == [b"before", b"before"]
    numbers = memoryview(array("H", [0x4141, 0x4242]))
    assert checkOctets("name", numbers) == b"AABB"
    assert checkOctets("name", memoryview(b"abcdef")[::2]) == b"ace"
