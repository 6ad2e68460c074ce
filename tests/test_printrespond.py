"""
Tests for L{netkit.printrespond}.
"""

from __future__ import annotations

import os
import re
import tracemalloc

import pytest
import pytest_twisted
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent
from twisted.python.failure import Failure

from netkit.printrespond import PrintRespondFactory, PrintRespondProtocol, Until

from .clients import connect
from .conftest import Listen
from .narrow import present
from .recording import Records


@pytest_twisted.ensureDeferred
async def test_prints_what_came_and_answers(listen: Listen) -> None:
    records = Records()
    client = await connect(await listen(records.of(PrintRespondFactory())))
    client.transport.write(b"request \xff data")
    client.transport.loseWriteConnection()
    assert isinstance(await client.lost, ConnectionDone)
    assert client.received == b"response data"
    assert records.all == [b"request \xff data"]


@pytest_twisted.ensureDeferred
async def test_nothing_sent_is_printed_and_answered(listen: Listen) -> None:
    records = Records()
    client = await connect(await listen(records.of(PrintRespondFactory())))
    client.transport.loseWriteConnection()
    assert isinstance(await client.lost, ConnectionDone)
    assert client.received == b"response data"
    assert records.all == [b""]


@pytest_twisted.ensureDeferred
async def test_large_content_and_response(listen: Listen) -> None:
    records = Records()
    content, response = os.urandom(3 * 10**6), os.urandom(3 * 10**6)
    client = await connect(await listen(records.of(PrintRespondFactory(response))))
    client.transport.write(content)
    client.transport.loseWriteConnection()
    assert isinstance(await client.lost, ConnectionDone)
    assert client.received == response
    assert records.all == [content]


@pytest_twisted.ensureDeferred
async def test_content_over_the_limit_is_refused(listen: Listen, logged: list[LogEvent]) -> None:
    records = Records()
    factory = PrintRespondFactory(maxContent=1000)
    client = await connect(await listen(records.of(factory)))
    client.transport.write(b"x" * 10**6)
    assert isinstance(await client.lost, ConnectionDone)
    assert client.received == b"refused: more than 1000 bytes of content\n"
    assert records.notes == ["refused: more than 1000 bytes of content"]
    assert [event["reason"] for event in logged if "reason" in event] == [
        "more than 1000 bytes of content"
    ]


@pytest_twisted.ensureDeferred
async def test_content_at_the_limit_is_taken(listen: Listen) -> None:
    records = Records()
    factory = PrintRespondFactory(maxContent=1000)
    client = await connect(await listen(records.of(factory)))
    client.transport.write(b"x" * 1000)
    client.transport.loseWriteConnection()
    assert isinstance(await client.lost, ConnectionDone)
    assert client.received == b"response data"
    assert records.all == [b"x" * 1000]


def connected(
    factory: PrintRespondFactory, records: Records | None = None
) -> tuple[PrintRespondProtocol, StringTransport]:
    made = (records or Records()).of(factory).buildProtocol(None)
    transport = StringTransport()
    made.makeConnection(transport)
    # As a transport tells it.
    protocol: PrintRespondProtocol = made
    return protocol, transport


def test_a_reset_is_logged_and_leaves_nothing(logged: list[LogEvent]) -> None:
    records = Records()
    factory = PrintRespondFactory(clock=Clock())
    protocol, _ = connected(factory, records)
    protocol.dataReceived(b"half of it")
    protocol.connectionLost(Failure(ConnectionLost()))
    [item] = records.received
    assert b"".join(item.octets()) == b"half of it"
    assert item.wrong.startswith("cut short: ")
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
    protocol, _ = connected(PrintRespondFactory(clock=Clock()), records)
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
    factory = PrintRespondFactory(clock=clock)
    protocol, transport = connected(factory, records)
    protocol.dataReceived(b"half of it")
    stopped = factory.closeConnections(2.0)
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
    factory = PrintRespondFactory(b"x" * 10**6, banner=b"ready")
    endpoint = await listen(records.of(factory))
    silent, sending, taking = [await connect(endpoint) for _ in range(3)]
    for client in (silent, sending, taking):
        await client.receive(5)
    sending.transport.write(b"half")
    taking.transport.loseWriteConnection()
    await taking.receive(6)
    stopped = factory.closeConnections(60.0)
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


def test_content_takes_no_memory() -> None:
    protocol, _ = connected(PrintRespondFactory(maxContent=2**40, clock=Clock()))
    protocol = protocol.wrappedProtocol  # type: ignore[attr-defined]
    piece = bytes(2**20)
    tracemalloc.start()
    for _ in range(100):
        protocol.dataReceived(piece)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest_twisted.ensureDeferred
async def test_until_a_line(listen: Listen) -> None:
    """
    The client is answered and let go, though it goes on sending; without a line, its end counts.
    """
    records = Records()
    endpoint = await listen(records.of(PrintRespondFactory(until=Until(line=True))))
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
    factory = PrintRespondFactory(until=Until(idle=2.0), clock=clock)
    protocol, transport = connected(factory, records)
    transport.loseWriteConnection = lambda: None  # type: ignore[attr-defined]
    # It begins with what arrives.
    clock.advance(10)
    for piece in (b"one ", b"two ", b"three"):
        protocol.dataReceived(piece)
        clock.advance(1.9)
    assert records.all == []
    clock.advance(0.1)
    while transport.producer is not None:
        transport.producer.resumeProducing()
    assert transport.value() == b"response data"
    assert records.all == [b"one two three"]


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


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("response", "text", TypeError),
        ("response", 5, TypeError),
        ("banner", None, TypeError),
        ("until", "line", TypeError),
        ("maxContent", -1, ValueError),
        ("maxContent", "5", TypeError),
    ],
)
def test_mistakes_are_told_at_once(argument: str, value: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"{argument} .*{value!r}"):
        PrintRespondFactory(**{argument: value})  # type: ignore[arg-type]
