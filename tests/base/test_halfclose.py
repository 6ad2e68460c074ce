"""
Tests for L{netkit.base.halfclose}.
"""

from __future__ import annotations

from typing import cast

from twisted.internet.interfaces import ISSLTransport, ITCPTransport
from twisted.internet.testing import StringTransport
from zope.interface import alsoProvides

from netkit.base.halfclose import endWriting, hasHalves


class Transport(StringTransport):
    halfClosed = False

    def loseWriteConnection(self) -> None:
        self.halfClosed = True


def made(*interfaces: object) -> ITCPTransport:
    transport = Transport()
    alsoProvides(transport, *interfaces)
    return cast(ITCPTransport, transport)


def test_a_socket_has_halves() -> None:
    transport = made(ITCPTransport)
    assert hasHalves(transport)
    endWriting(transport)
    assert isinstance(transport, Transport)
    assert transport.halfClosed
    assert not transport.disconnecting


def test_tls_and_what_is_no_socket_have_none() -> None:
    for interfaces in ([ITCPTransport, ISSLTransport], []):
        transport = made(*interfaces)
        assert not hasHalves(transport)
        endWriting(transport)
        assert isinstance(transport, Transport)
        assert transport.disconnecting
        assert not transport.halfClosed
