"""
Tests for L{netkit.wire.http.limits}.
"""

from __future__ import annotations

from dataclasses import fields

import pytest

from netkit.wire.http import Limits


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
@pytest.mark.parametrize(
    ("value", "error"),
    [
        (-1, ValueError),
        (None, TypeError),
        ("8192", TypeError),
        (1.5, TypeError),
        (True, TypeError),
    ],
)
def test_mistakes_are_told_at_once(name: str, value: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"{name} is a whole number.*{value!r}"):
        Limits(**{name: value})  # type: ignore[arg-type]
