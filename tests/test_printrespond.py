"""
Tests for L{netkit.printrespond}.
"""

from __future__ import annotations

import os

import pytest
import pytest_twisted
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent
from twisted.python.failure import Failure

from netkit.printrespond import PrintRespondFactory, PrintRespondProtocol

from .clients import Records, connect
from .conftest import Listen
from .narrow import present


@pytest_twisted.ensureDeferred
async def test_prints_what_came_and_answers(listen: Listen) -> None:
    records = Records()
    client = await connect(await listen(PrintRespondFactory(printer=records)))
    client.transport.write(b"request \xff data")
    client.transport.loseWriteConnection()
    assert isinstance(await client.lost, ConnectionDone)
    assert client.received == b"response data"
    assert records.all == [b"request \xff data"]


@pytest_twisted.ensureDeferred
async def test_nothing_sent_is_printed_and_answered(listen: Listen) -> None:
    records = Records()
    client = await connect(await listen(PrintRespondFactory(printer=records)))
    client.transport.loseWriteConnection()
    assert isinstance(await client.lost, ConnectionDone)
    assert client.received == b"response data"
    assert records.all == [b""]


@pytest_twisted.ensureDeferred
async def test_large_content_and_response(listen: Listen) -> None:
    records = Records()
    content, response = os.urandom(3 * 10**6), os.urandom(3 * 10**6)
    client = await connect(await listen(PrintRespondFactory(response, printer=records)))
    client.transport.write(content)
    client.transport.loseWriteConnection()
    assert isinstance(await client.lost, ConnectionDone)
    assert client.received == response
    assert records.all == [content]


@pytest_twisted.ensureDeferred
async def test_content_over_the_limit_is_refused(listen: Listen, logged: list[LogEvent]) -> None:
    records = Records()
    factory = PrintRespondFactory(printer=records, maxContent=1000)
    client = await connect(await listen(factory))
    client.transport.write(b"x" * 10**6)
    assert isinstance(await client.lost, ConnectionDone)
    assert client.received == b"refused: more than 1000 bytes of content\n"
    assert records.all == []
    assert [event["reason"] for event in logged if "reason" in event] == [
        "more than 1000 bytes of content"
    ]


@pytest_twisted.ensureDeferred
async def test_content_at_the_limit_is_taken(listen: Listen) -> None:
    records = Records()
    factory = PrintRespondFactory(printer=records, maxContent=1000)
    client = await connect(await listen(factory))
    client.transport.write(b"x" * 1000)
    client.transport.loseWriteConnection()
    assert isinstance(await client.lost, ConnectionDone)
    assert client.received == b"response data"
    assert records.all == [b"x" * 1000]


def connected(factory: PrintRespondFactory) -> tuple[PrintRespondProtocol, StringTransport]:
    protocol = factory.buildProtocol(None)
    assert isinstance(protocol, PrintRespondProtocol)
    transport = StringTransport()
    protocol.makeConnection(transport)
    return protocol, transport


def test_a_reset_is_logged_and_leaves_nothing(logged: list[LogEvent]) -> None:
    records = Records()
    factory = PrintRespondFactory(printer=records, clock=Clock())
    protocol, _ = connected(factory)
    protocol.dataReceived(b"half of it")
    protocol.connectionLost(Failure(ConnectionLost()))
    assert records.all == []
    assert not factory.connections
    assert [event["length"] for event in logged if "length" in event] == [10]


@pytest_twisted.ensureDeferred
async def test_a_client_that_goes_away_unanswered_is_logged(logged: list[LogEvent]) -> None:
    protocol, transport = connected(PrintRespondFactory(b"x" * 10**6, clock=Clock()))
    protocol.readConnectionLost()
    present(transport.producer).stopProducing()
    protocol.connectionLost(Failure(ConnectionLost()))
    assert any("before it had the whole response" in event["log_format"] for event in logged)


def test_an_end_without_a_half_close_is_printed() -> None:
    # As TLS has it.
    records = Records()
    protocol, _ = connected(PrintRespondFactory(printer=records, clock=Clock()))
    protocol.dataReceived(b"content")
    protocol.connectionLost(Failure(ConnectionDone()))
    assert records.all == [b"content"]


def test_a_vanished_client_is_ended() -> None:
    clock = Clock()
    protocol, transport = connected(PrintRespondFactory(idleTimeout=4.0, clock=clock))
    protocol.dataReceived(b"content")
    clock.pump([1] * 6)
    assert transport.disconnected


def test_a_client_that_takes_the_response_slowly_is_not_idle() -> None:
    clock = Clock()
    factory = PrintRespondFactory(b"x" * 10**6, idleTimeout=4.0, clock=clock)
    protocol, transport = connected(factory)
    protocol.readConnectionLost()
    for _ in range(10):
        present(transport.producer).resumeProducing()
        clock.advance(1)
    assert not transport.disconnected
    clock.pump([1] * 5)
    assert transport.disconnected


def test_stop_drops_content_that_is_not_whole() -> None:
    records = Records()
    factory = PrintRespondFactory(printer=records, clock=Clock())
    protocol, transport = connected(factory)
    protocol.dataReceived(b"half of it")
    protocol.serviceStopping()
    assert transport.disconnected
    assert records.all == []


def test_content_over_what_all_may_keep_together_is_refused(logged: list[LogEvent]) -> None:
    """
    Who goes over it is told; the others live, and have what a connection that ends leaves.
    """
    records = Records()
    factory = PrintRespondFactory(printer=records, maxBuffered=1000, clock=Clock())
    (kept, keptTransport), (greedy, refused) = connected(factory), connected(factory)
    refused.loseWriteConnection = lambda: None  # type: ignore[attr-defined]
    kept.dataReceived(b"a" * 600)
    greedy.dataReceived(b"b" * 400)
    greedy.dataReceived(b"b")
    reason = "the server keeps as much as it may for all its connections together: 1000 bytes"
    assert refused.value() == f"refused: {reason}\n".encode()
    assert [event["reason"] for event in logged if "reason" in event] == [reason]
    greedy.dataReceived(b"b" * 10**6)
    greedy.connectionLost(Failure(ConnectionDone()))

    # What it kept is there for the one that lives.
    kept.dataReceived(b"a" * 400)
    kept.readConnectionLost()
    present(keptTransport.producer).resumeProducing()
    assert keptTransport.value() == b"response data"
    assert records.all == [b"a" * 1000]


@pytest.mark.parametrize("end", ["answered", "lost", "ended", "stopped"])
def test_what_a_connection_kept_is_given_back(end: str) -> None:
    factory = PrintRespondFactory(b"", maxBuffered=10, clock=Clock())
    for _ in range(3):
        protocol, transport = connected(factory)
        protocol.dataReceived(b"0123456789")
        if end == "answered":
            protocol.readConnectionLost()
        elif end == "stopped":
            protocol.serviceStopping()
        if end != "answered":
            reason = ConnectionDone() if end == "ended" else ConnectionLost()
            protocol.connectionLost(Failure(reason))
        assert b"refused" not in transport.value()
