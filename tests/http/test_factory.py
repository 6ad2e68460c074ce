"""
Tests for L{netkit.http.factory}.
"""

from __future__ import annotations

import pytest
from twisted.internet.interfaces import IProtocolNegotiationFactory

from netkit.http import HTTPFactory, Response


def test_alpn() -> None:
    factory = HTTPFactory(lambda request: Response())
    spoken = IProtocolNegotiationFactory(factory).acceptableProtocols()
    assert spoken == [b"http/1.1", b"http/1.0"]


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("limits", {}, TypeError),
        ("limits", 5, TypeError),
        ("headTimeout", "30", TypeError),
        ("headTimeout", None, TypeError),
        ("headTimeout", -1, ValueError),
        ("contentTimeout", True, TypeError),
        ("contentTimeout", float("inf"), ValueError),
        ("refusedMethods", b"TRACE", TypeError),
        ("refusedMethods", "TRACE", TypeError),
        ("refusedMethods", {"TRACE"}, TypeError),
        ("refusedMethods", None, TypeError),
        ("allowHalfOpen", "no", TypeError),
        ("clock", 5, TypeError),
    ],
)
def test_mistakes_are_told_at_once(argument: str, value: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"{argument} .*{value!r}"):
        HTTPFactory(lambda request: Response(), **{argument: value})  # type: ignore[arg-type]
