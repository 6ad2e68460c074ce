"""
Tests for L{netkit.operation.counted}.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from netkit.echo import EchoFactory
from netkit.operation.accesslog import AccessLog, parseFormat
from netkit.operation.counted import CountedConnection, CountedFactory


class Counted:
    """
    A counted echo service in memory.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.done: list[CountedConnection] = []
        echo = EchoFactory(clock=self.clock)
        self.factory = CountedFactory(echo, "echo", self.clock, self.done.append)

    def connect(self) -> tuple[Any, StringTransport]:
        protocol: Any = self.factory.buildProtocol(None)
        transport = StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.1", 1234))
        protocol.makeConnection(transport)
        return protocol, transport

    def octets(self) -> tuple[float, float]:
        figures = self.factory.figures()
        return figures["octets", "echo", "received"], figures["octets", "echo", "sent"]


def logged(format: str, done: CountedConnection) -> bytes:
    written: list[bytes] = []
    file: Any = SimpleNamespace(write=lambda lines, count: written.append(lines))
    clock = Clock()
    AccessLog(file, parseFormat(format), clock).log(done)
    clock.advance(1)
    return b"".join(written)


def test_octets_are_counted_while_a_connection_is_open_and_after() -> None:
    counted = Counted()
    first, transport = counted.connect()
    first.dataReceived(b"12345")
    assert transport.value() == b"12345"
    assert counted.octets() == (5, 5)
    second, _ = counted.connect()
    second.dataReceived(b"123")
    second.writeSequence([b"4", b"56"])
    assert counted.octets() == (8, 11)
    for each in first, second:
        each.connectionLost(Failure(ConnectionDone()))
    assert counted.octets() == (8, 11)


@pytest.mark.parametrize(
    ("reason", "status"), [(ConnectionDone, 200), (ConnectionLost, 499), (ConnectionAborted, 500)]
)
def test_what_is_told_of_a_connection(reason: type[Exception], status: int) -> None:
    counted = Counted()
    protocol, _ = counted.connect()
    counted.clock.advance(1.5)
    protocol.dataReceived(b"12345")
    protocol.writeSequence([b"67"])
    assert counted.done == []
    protocol.connectionLost(Failure(reason()))
    [done] = counted.done
    line = logged("combined", done).decode()
    assert line.startswith("192.0.2.1 - - [")
    assert line.endswith(f'] "echo" {status} 7 "-" "-"\n')
    told = json.loads(logged("json", done))
    del told["time"]
    assert told == {
        "peer": "192.0.2.1:1234",
        "service": "echo",
        "status": status,
        "octets": 7,
        "received": 5,
        "seconds": 1.5,
    }


def test_a_clock_that_is_set_back() -> None:
    counted = Counted()
    protocol, _ = counted.connect()
    counted.clock.advance(-1)
    protocol.connectionLost(Failure(ConnectionDone()))
    assert [each.seconds for each in counted.done] == [0.0]


def test_a_half_that_is_closed_is_told_to_the_service() -> None:
    counted = Counted()
    protocol, transport = counted.connect()
    assert IHalfCloseableProtocol.providedBy(protocol)
    protocol.readConnectionLost()
    assert transport.disconnecting
