"""
Tests for L{netkit.http.factory}.
"""

from __future__ import annotations

from twisted.internet.interfaces import IProtocolNegotiationFactory

from netkit.http import HTTPFactory, Response


def test_alpn() -> None:
    factory = HTTPFactory(lambda request: Response())
    assert IProtocolNegotiationFactory(factory).acceptableProtocols() == [b"http/1.1"]
