"""
Tests for L{netkit.printrespond}.
"""

from __future__ import annotations

import os
import re

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent
from twisted.python.failure import Failure

from netkit.printrespond import PrintRespondFactory, PrintRespondProtocol, Until

from .clients import Records, SlowPrinter, connect
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


def test_stop_drops_content_that_is_not_whole_in_time(logged: list[LogEvent]) -> None:
    records, clock = Records(), Clock()
    factory = PrintRespondFactory(printer=records, clock=clock)
    protocol, transport = connected(factory)
    protocol.dataReceived(b"half of it")
    stopped = Deferred.fromCoroutine(factory.closeConnections(2.0))
    clock.advance(1.9)
    assert not transport.disconnected
    clock.advance(0.1)
    assert transport.disconnected
    protocol.connectionLost(Failure(ConnectionAborted()))
    assert stopped.called
    assert records.all == []
    assert [event["length"] for event in logged if "length" in event] == [10]


@pytest_twisted.ensureDeferred
async def test_stop_lets_a_client_come_to_its_end(listen: Listen) -> None:
    records = Records()
    factory = PrintRespondFactory(b"x" * 10**6, banner=b"ready", printer=records)
    endpoint = await listen(factory)
    silent, sending, taking = [await connect(endpoint) for _ in range(3)]
    for client in (silent, sending, taking):
        await client.receive(5)
    sending.transport.write(b"half")
    taking.transport.loseWriteConnection()
    await taking.receive(6)
    stopped = Deferred.fromCoroutine(factory.closeConnections(60.0))
    # Who has said nothing has nothing to lose.
    await silent.lost
    assert silent.received == b"ready"
    sending.transport.write(b" and half")
    sending.transport.loseWriteConnection()
    for client in (sending, taking):
        assert isinstance(await client.lost, ConnectionDone)
        assert client.received == b"ready" + b"x" * 10**6
    await stopped
    assert records.all == [b"", b"half and half"]


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


@pytest_twisted.ensureDeferred
async def test_until_a_line(listen: Listen) -> None:
    """
    The client is answered and let go, though it goes on sending; without a line, its end counts.
    """
    records = Records()
    endpoint = await listen(PrintRespondFactory(until=Until(line=True), printer=records))
    client = await connect(endpoint)
    client.transport.write(b"a ")
    client.transport.write(b"line\n")
    await client.receive(len(b"response data"))
    client.transport.write(b"more")
    assert isinstance(await client.lost, ConnectionDone)
    client = await connect(endpoint)
    client.transport.write(b"no line")
    client.transport.loseWriteConnection()
    assert isinstance(await client.lost, ConnectionDone)
    assert client.received == b"response data"
    assert records.all == [b"a line\n", b"no line"]


def test_until_nothing_came_for_a_time() -> None:
    records, clock = Records(), Clock()
    factory = PrintRespondFactory(until=Until(idle=2.0), printer=records, clock=clock)
    protocol, transport = connected(factory)
    # It begins with what arrives.
    clock.advance(10)
    for piece in (b"one ", b"two ", b"three"):
        protocol.dataReceived(piece)
        clock.advance(1.9)
    assert records.all == []
    clock.advance(0.1)
    assert records.all == [b"one two three"]
    present(transport.producer).resumeProducing()
    assert transport.value() == b"response data"


@pytest.mark.parametrize("end", ["answered", "lost", "refused"])
def test_the_time_ends_with_the_content(end: str) -> None:
    clock = Clock()
    factory = PrintRespondFactory(until=Until(idle=2.0), maxContent=9, clock=clock, idleTimeout=0)
    protocol, transport = connected(factory)
    protocol.dataReceived(b"content")
    if end == "answered":
        protocol.readConnectionLost()
    elif end == "lost":
        protocol.connectionLost(Failure(ConnectionLost()))
    else:
        transport.loseWriteConnection = lambda: None  # type: ignore[attr-defined]
        protocol.dataReceived(b"and more")
    transport.clear()
    clock.advance(2.0)
    assert transport.value() == b""


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("end", Until()),
        ("line", Until(line=True)),
        ("idle:0.5", Until(idle=0.5)),
    ],
)
def test_until_as_text(text: str, until: Until) -> None:
    assert Until.parse(text) == until


@pytest.mark.parametrize("text", ["", "END", "idle", "idle:", "idle:0", "idle:soon", "line:1"])
def test_until_as_text_that_is_wrong(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text.removeprefix("idle:")))):
        Until.parse(text)


def test_who_is_not_shown_yet_is_not_answered_yet() -> None:
    printer = SlowPrinter()
    factory = PrintRespondFactory(printer=printer, clock=Clock())
    protocol, transport = connected(factory)
    protocol.dataReceived(b"content")
    protocol.readConnectionLost()
    assert transport.producer is None
    # What waits to be shown is kept.
    assert factory.budget.used == len(b"content")
    printer.show()
    present(transport.producer).resumeProducing()
    assert transport.value() == b"response data"
    assert factory.budget.used == 0


def test_who_left_before_it_was_shown_is_shown() -> None:
    printer = SlowPrinter()
    factory = PrintRespondFactory(printer=printer, clock=Clock())
    protocol, transport = connected(factory)
    protocol.dataReceived(b"content")
    protocol.readConnectionLost()
    protocol.connectionLost(Failure(ConnectionLost()))
    assert factory.budget.used == len(b"content")
    printer.show()
    assert factory.budget.used == 0
    assert transport.value() == b""
