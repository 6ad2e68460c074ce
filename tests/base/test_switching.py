"""
Tests for L{netkit.base.switching}.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from netkit.base.switching import SwitchedProtocol


class Told(Protocol):
    """
    A protocol that keeps what it is told.
    """

    def __init__(self) -> None:
        self.told: list[Any] = []

    def connectionMade(self) -> None:
        self.told.append("made")

    def dataReceived(self, data: bytes) -> None:
        self.told.append(data)

    def connectionLost(self, reason: object = None) -> None:
        self.told.append(reason)


@implementer(IHalfCloseableProtocol)
class Halves(Told):
    """
    One that knows of half-closes, and of services that stop.
    """

    def readConnectionLost(self) -> None:
        self.told.append("no more to read")

    def writeConnectionLost(self) -> None:
        self.told.append("no more to write")

    def serviceStopping(self) -> None:
        self.told.append("stopping")


def test_all_is_told() -> None:
    protocol, transport = Halves(), StringTransport()
    switched = SwitchedProtocol(protocol, transport)
    assert switched.protocol is protocol
    assert protocol.transport is transport
    switched.dataReceived(b"x")
    switched.writeConnectionLost()
    switched.readConnectionLost()
    switched.serviceStopping()
    assert not transport.disconnecting
    lost = Failure(ConnectionDone())
    switched.connectionLost(lost)
    assert protocol.told == [
        *("made", b"x", "no more to write", "no more to read", "stopping"),
        lost,
    ]


@pytest.mark.parametrize("end", ["readConnectionLost", "serviceStopping"])
def test_what_does_not_know_of_it_is_closed(end: str) -> None:
    protocol, transport = Told(), StringTransport()
    switched = SwitchedProtocol(protocol, transport)
    switched.writeConnectionLost()
    assert not transport.disconnecting
    getattr(switched, end)()
    assert transport.disconnecting
    assert protocol.told == ["made"]
