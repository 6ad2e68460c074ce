"""
Tests for L{netkit.capture.recorded} and L{netkit.capture.recorder}.
"""

from __future__ import annotations

import os
from typing import Any

import pytest_twisted
from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from netkit.base.notes import note
from netkit.capture.recorded import RecordedFactory
from netkit.capture.recorder import Recorder
from netkit.echo import EchoFactory
from netkit.wire.recording import (
    Closed,
    Direction,
    End,
    Event,
    HalfClosed,
    Note,
    Octets,
    Opened,
    Role,
)
from tests.clients import connect
from tests.conftest import Listen
from tests.recording import Sink

PEER = IPv4Address("TCP", "192.0.2.1", 50000)
HOST = IPv4Address("TCP", "192.0.2.2", 7)


@implementer(IHalfCloseableProtocol)
class Service(Protocol):
    """
    A protocol that the test speaks for.
    """

    transport: ITCPTransport

    def __init__(self) -> None:
        self.told: list[str | bytes] = []

    def dataReceived(self, data: bytes) -> None:
        self.told.append(data)

    def readConnectionLost(self) -> None:
        self.told.append("read")

    def writeConnectionLost(self) -> None:
        self.told.append("write")

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.told.append("lost")


class Connection:
    """
    A recorded connection, with the test at both of its ends.
    """

    def __init__(self, service: type[Protocol] = Service, *, snaplen: int = 0) -> None:
        self.clock = Clock()
        self.sink = Sink()
        self.recorder = Recorder([self.sink], self.clock, snaplen=snaplen)
        factory = Factory.forProtocol(service)
        recorded = RecordedFactory(factory, self.recorder, "test", Role.SERVER)
        self.protocol = recorded.buildProtocol(PEER)
        self.service: Any = self.protocol.wrappedProtocol
        self.transport: Any = StringTransport(HOST, PEER)
        self.protocol.makeConnection(self.transport)

    def recorded(self) -> list[Event]:
        self.recorder.flush()
        return self.sink.events

    def octets(self) -> list[tuple[str, bytes, int]]:
        return [
            (event.direction.value, event.data, event.length)
            for event in self.recorded()
            if isinstance(event, Octets)
        ]

    def congest(self) -> None:
        """
        Have the sink not keep up.
        """
        self.sink.full = True
        self.protocol.dataReceived(b"too much")
        self.recorder.flush()
        self.protocol.dataReceived(b"noticed")

    def relieve(self) -> None:
        self.sink.full = False
        self.sink.drained()


class Producer:
    """
    Tells what it is told.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


def test_what_happens_on_a_connection() -> None:
    connection = Connection()
    connection.protocol.dataReceived(b"question")
    connection.service.transport.write(b"answer")
    connection.service.transport.writeSequence([b"and", b" more"])
    connection.protocol.readConnectionLost()
    connection.protocol.connectionLost(Failure(ConnectionDone()))
    opened, *_, halfClosed, closed = connection.recorded()
    assert isinstance(opened, Opened)
    assert opened.peer == ("192.0.2.1", 50000)
    assert opened.host == ("192.0.2.2", 7)
    assert (opened.role, opened.service) == (Role.SERVER, "test")
    assert connection.octets() == [
        ("received", b"question", 8),
        ("sent", b"answer", 6),
        ("sent", b"and more", 8),
    ]
    assert isinstance(halfClosed, HalfClosed)
    assert halfClosed.direction is Direction.RECEIVED
    assert isinstance(closed, Closed)
    assert closed.how is End.DONE
    assert {event.connection for event in connection.recorded()} == {opened.connection}
    times = [event.time for event in connection.recorded()]
    assert times == sorted(times)
    assert connection.service.told == [b"question", "read", "lost"]
    assert connection.transport.value() == b"answerand more"


def test_connections_have_numbers_of_their_own() -> None:
    sink = Sink()
    recorder = Recorder([sink], Clock())
    factory = RecordedFactory(Factory.forProtocol(Service), recorder, "test")
    for _ in range(3):
        factory.buildProtocol(PEER).makeConnection(StringTransport(HOST, PEER))
    recorder.flush()
    assert len({event.connection for event in sink.events}) == 3


def test_each_kind_of_end() -> None:
    ends = {
        ConnectionDone: End.DONE,
        ConnectionLost: End.RESET,
        ConnectionAborted: End.ABORTED,
        TimeoutError: End.TIMED_OUT,
    }
    for error, how in ends.items():
        connection = Connection()
        connection.protocol.connectionLost(Failure(error()))
        closed = connection.recorded()[-1]
        assert isinstance(closed, Closed)
        assert closed.how is how
        assert bool(closed.reason) == (how is not End.DONE)


def test_a_service_has_a_note() -> None:
    connection = Connection()
    note(connection.service.transport, "refused: too long")
    recorded = connection.recorded()[-1]
    assert isinstance(recorded, Note)
    assert recorded.text == "refused: too long"


def test_a_note_where_nothing_is_recorded() -> None:
    note(StringTransport(), "refused: too long")


def test_only_the_first_octets_of_each_piece() -> None:
    connection = Connection(snaplen=3)
    connection.protocol.dataReceived(b"question")
    assert connection.octets() == [("received", b"que", 8)]
    assert connection.service.told == [b"question"]


def test_events_are_handed_on_together() -> None:
    connection = Connection()
    connection.protocol.dataReceived(b"one")
    connection.protocol.dataReceived(b"two")
    assert not connection.sink.events
    connection.clock.advance(1)
    assert len(connection.sink.sizes) == 1
    assert len(connection.sink.events) == 3
    assert not connection.clock.getDelayedCalls()


def test_much_is_handed_on_at_once() -> None:
    connection = Connection()
    connection.protocol.dataReceived(b"x" * 3 * 10**6)
    assert len(connection.sink.events) == 2


def test_the_interfaces_of_both_ends_are_passed_on() -> None:
    connection = Connection()
    assert IHalfCloseableProtocol.providedBy(connection.protocol)
    assert IPushProducer.providedBy(connection.protocol)
    assert not ITCPTransport.providedBy(connection.protocol)
    plain = Connection(Protocol)
    assert not IHalfCloseableProtocol.providedBy(plain.protocol)
    assert IProtocol.providedBy(plain.protocol)


def test_the_peer_waits_while_the_recorder_does_not_keep_up() -> None:
    connection = Connection()
    connection.congest()
    assert connection.transport.producerState == "paused"
    connection.relieve()
    assert connection.transport.producerState == "producing"


def test_a_service_that_has_paused_stays_paused() -> None:
    connection = Connection()
    connection.congest()
    connection.service.transport.pauseProducing()
    connection.relieve()
    assert connection.transport.producerState == "paused"
    connection.service.transport.resumeProducing()
    assert connection.transport.producerState == "producing"


def test_a_service_does_not_resume_what_the_recorder_has_paused() -> None:
    connection = Connection()
    connection.congest()
    connection.service.transport.pauseProducing()
    connection.service.transport.resumeProducing()
    assert connection.transport.producerState == "paused"
    connection.relieve()
    assert connection.transport.producerState == "producing"


def test_a_producer_waits_as_well() -> None:
    connection = Connection()
    producer = Producer()
    connection.service.transport.registerProducer(producer, True)
    connection.congest()
    assert producer.told == ["pause"]
    connection.relieve()
    assert producer.told == ["pause", "resume"]
    # The transport has its say too.
    connection.transport.producer.pauseProducing()
    connection.congest()
    connection.relieve()
    assert producer.told == ["pause", "resume", "pause"]
    connection.transport.producer.resumeProducing()
    connection.transport.producer.stopProducing()
    assert producer.told == ["pause", "resume", "pause", "resume", "stop"]


def test_a_producer_that_comes_late_waits_too() -> None:
    connection = Connection()
    connection.congest()
    producer = Producer()
    connection.service.transport.registerProducer(producer, True)
    assert producer.told == ["pause"]
    connection.relieve()
    assert producer.told == ["pause", "resume"]


def test_a_producer_that_is_pulled_from_waits() -> None:
    connection = Connection()
    producer = Producer()
    connection.service.transport.registerProducer(producer, False)
    connection.transport.producer.resumeProducing()
    connection.congest()
    connection.transport.producer.resumeProducing()
    assert producer.told == ["resume"]
    connection.relieve()
    assert producer.told == ["resume", "resume"]


def test_a_connection_that_is_over_waits_for_nothing() -> None:
    connection = Connection()
    connection.congest()
    connection.protocol.connectionLost(Failure(ConnectionLost()))
    connection.transport.producerState = "over"
    connection.relieve()
    assert connection.transport.producerState == "over"


@pytest_twisted.ensureDeferred
async def test_echo_is_exact(listen: Listen) -> None:
    from twisted.internet import reactor

    sink = Sink()
    recorder = Recorder([sink], reactor)
    content = os.urandom(3 * 10**6)
    client = await connect(await listen(RecordedFactory(EchoFactory(), recorder, "echo")))
    client.transport.write(content)
    client.transport.loseWriteConnection()
    assert isinstance(await client.lost, ConnectionDone)
    assert client.received == content
    recorder.flush()
    for direction in Direction:
        pieces = [
            event.data
            for event in sink.events
            if isinstance(event, Octets) and event.direction is direction
        ]
        assert b"".join(pieces) == content


def test_a_peer_that_is_done_is_not_read_from_again() -> None:
    connection = Connection()
    connection.congest()
    connection.protocol.readConnectionLost()
    connection.relieve()
    assert connection.transport.producerState == "paused"


def test_who_connects_while_the_recorder_does_not_keep_up() -> None:
    connection = Connection()
    connection.congest()
    factory = connection.protocol.factory
    transport: Any = StringTransport(HOST, PEER)
    factory.buildProtocol(PEER).makeConnection(transport)
    assert transport.producerState == "paused"
    connection.relieve()
    assert transport.producerState == "producing"


def test_why_tls_failed() -> None:
    connection = Connection()
    connection.protocol.connectionLost(Failure(SSL.Error([("SSL routines", "", "http request")])))
    closed = connection.recorded()[-1]
    assert isinstance(closed, Closed)
    assert closed.reason == "http request: the peer does not speak TLS"
