"""
Tests for L{netkit.server}: what every server connection shares.
"""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from netkit.base.deadlines import LINGER
from netkit.base.notes import INoted
from netkit.server import ServerFactory, ServerProtocol

from .clients import connect
from .conftest import Listen


class Plain(ServerProtocol):
    """
    Answers C{go} by closing, with C{bye} as its last word.
    """

    def dataReceived(self, data: bytes) -> None:
        self.idleTicks = 0
        if not self.lingering and data.startswith(b"go"):
            self.transport.write(b"bye")
            self.lingeringClose()


def plainFactory(**limits: Any) -> ServerFactory:
    factory = ServerFactory(**limits)
    factory.protocol = Plain
    return factory


def accept(factory: ServerFactory) -> tuple[ServerProtocol, StringTransport]:
    """
    Give the factory one more connection.
    """
    protocol = factory.buildProtocol(None)
    transport = StringTransport()
    protocol.makeConnection(transport)
    return protocol, transport


def lose(protocol: ServerProtocol) -> None:
    protocol.connectionLost(Failure(ConnectionDone()))


def test_knows_its_connections() -> None:
    factory = plainFactory(clock=Clock())
    first, _ = accept(factory)
    second, _ = accept(factory)
    assert factory.connections == {first, second}
    lose(first)
    assert factory.connections == {second}


class Forgetful(ServerProtocol):
    """
    Extends nothing of what it defines.
    """

    def connectionMade(self) -> None:
        self.made = True

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        raise ZeroDivisionError


def test_who_forgets_super_is_counted_all_the_same() -> None:
    factory = plainFactory()
    factory.protocol = Forgetful
    protocol, _ = accept(factory)
    assert factory.connections == {protocol}
    with pytest.raises(ZeroDivisionError):
        lose(protocol)
    assert factory.connections == set()


def test_one_connection_too_many_is_closed(logged: list[LogEvent]) -> None:
    factory = plainFactory(maxConnections=2, clock=Clock())
    kept, keptTransport = accept(factory)
    accept(factory)
    for _ in range(2):
        refused, transport = accept(factory)
        assert transport.disconnecting
        lose(refused)
    assert factory.refused == 2
    assert len(factory.connections) == 2
    assert not keptTransport.disconnecting
    assert [event["limit"] for event in logged if "limit" in event] == [2]

    # A place is free again: the next one is let in.
    lose(kept)
    _, transport = accept(factory)
    assert not transport.disconnecting


def test_no_limit_on_connections() -> None:
    factory = plainFactory(maxConnections=0, clock=Clock())
    assert not any(accept(factory)[1].disconnecting for _ in range(10))


def test_silent_connection_is_aborted() -> None:
    clock = Clock()
    factory = plainFactory(idleTimeout=8.0, clock=clock)
    silent, silentTransport = accept(factory)
    busy, busyTransport = accept(factory)
    for _ in range(9):
        assert not silentTransport.disconnected
        busy.dataReceived(b"x")
        clock.advance(1)
    clock.advance(1)
    assert silentTransport.disconnected
    assert not busyTransport.disconnected
    lose(silent)
    lose(busy)
    assert clock.getDelayedCalls() == []


def test_silence_allowed_for_ever() -> None:
    clock = Clock()
    _, transport = accept(plainFactory(idleTimeout=0, clock=clock))
    assert clock.getDelayedCalls() == []
    assert not transport.disconnected


def closing(factory: ServerFactory, grace: float) -> Deferred[int]:
    return factory.closeConnections(grace)


def test_close_tells_every_connection_and_waits_for_it() -> None:
    clock = Clock()
    factory = plainFactory(clock=clock)
    connections = [accept(factory) for _ in range(3)]
    done = closing(factory, 5.0)
    assert all(transport.disconnecting for _, transport in connections)
    for protocol, _ in connections:
        assert not done.called
        lose(protocol)
    assert done.called
    assert clock.getDelayedCalls() == []


def test_close_aborts_those_that_take_too_long() -> None:
    clock = Clock()
    factory = plainFactory(clock=clock)
    stuck, transport = accept(factory)
    done = closing(factory, 5.0)
    clock.advance(4.9)
    assert not transport.disconnected
    clock.advance(0.2)
    assert transport.disconnected
    lose(stuck)
    assert done.called


def test_close_with_no_connection() -> None:
    assert closing(plainFactory(clock=Clock()), 5.0).called


@pytest_twisted.ensureDeferred
async def test_half_close_ends_a_plain_connection(listen: Listen) -> None:
    client = await connect(await listen(plainFactory()))
    client.transport.loseWriteConnection()
    assert isinstance(await client.lost, ConnectionDone)


@pytest_twisted.ensureDeferred
async def test_last_word_reaches_a_peer_that_goes_on_sending(listen: Listen) -> None:
    client = await connect(await listen(plainFactory()))
    client.transport.write(b"go" + b"x" * 2**20)
    assert isinstance(await client.lost, ConnectionDone)
    assert client.received == b"bye"


def test_a_peer_that_does_not_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    protocol, transport = accept(plainFactory(clock=clock, idleTimeout=0))
    monkeypatch.setattr(transport, "loseWriteConnection", lambda: None, raising=False)
    protocol.dataReceived(b"go")
    clock.advance(LINGER - 0.1)
    assert not transport.disconnecting
    clock.advance(0.2)
    assert transport.disconnecting
    assert transport.value() == b"bye"


@pytest_twisted.ensureDeferred
async def test_last_word_reaches_a_peer_that_reads_it_late(listen: Listen) -> None:
    """
    When the time is over the system has it, and goes on to deliver it.
    """
    from twisted.internet import reactor

    clock = Clock()
    factory = plainFactory(clock=clock, idleTimeout=0)
    client = await connect(await listen(factory))
    client.transport.write(b"go")
    IPushProducer(client.transport).pauseProducing()
    while not clock.getDelayedCalls():
        await deferLater(reactor, 0)
    while factory.connections:
        clock.advance(LINGER)
        await deferLater(reactor, 0)
    IPushProducer(client.transport).resumeProducing()
    await client.lost
    assert client.received == b"bye"


@implementer(INoted)
class Noted(StringTransport):
    """
    A transport that is recorded.
    """

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def abortConnection(self) -> None:
        pass


def test_why_a_connection_is_ended_is_recorded() -> None:
    clock = Clock()
    factory = plainFactory(idleTimeout=8.0, maxConnections=1, clock=clock)
    transports = [Noted(), Noted()]
    for transport in transports:
        factory.buildProtocol(None).makeConnection(transport)
    clock.pump([2.0] * 6)
    idle, refused = (transport.notes for transport in transports)
    assert idle[0] == "was idle for too long: closed"
    assert refused == ["refused: 1 connections are open, the limit"]
