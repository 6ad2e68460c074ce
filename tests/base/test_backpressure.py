"""
Tests for L{netkit.base.backpressure}.
"""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import AlreadyCalledError, Deferred, succeed
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory
from twisted.internet.testing import StringTransport
from zope.interface.verify import verifyObject

from netkit.base.backpressure import Backpressure

from ..clients import connect
from ..conftest import Listen
from ..net.conftest import Peer
from ..net.results import now
from ..net.test_server import later


@pytest.fixture
def transport() -> StringTransport:
    return StringTransport()


def test_it_is_the_producer(transport: StringTransport) -> None:
    backpressure = Backpressure()
    assert verifyObject(IPushProducer, backpressure)
    for _ in range(2):
        backpressure.register(transport)
        assert backpressure.registered
        assert (transport.producer, transport.streaming) == (backpressure, True)
    for _ in range(2):
        backpressure.unregister()
        assert not backpressure.registered
        assert transport.producer is None
    # It may come back.
    backpressure.register(transport)
    assert transport.producer is backpressure


def test_a_lost_transport_is_told_nothing(transport: StringTransport) -> None:
    backpressure = Backpressure()
    backpressure.register(transport)
    transport.producer = None
    backpressure.stopProducing()
    # StringTransport raises where it has no producer.
    backpressure.unregister()
    assert not backpressure.registered


def test_who_writes_waits() -> None:
    events: list[str] = []
    backpressure = Backpressure(lambda: events.append("pause"), lambda: events.append("drain"))
    now(backpressure.ready())
    backpressure.pauseProducing()
    assert backpressure.paused
    first, second = backpressure.ready(), backpressure.ready()
    second.addErrback(lambda failure: None)
    second.cancel()
    first.addCallback(lambda _: events.append("ready"))
    assert not first.called
    backpressure.resumeProducing()
    assert events == ["pause", "drain", "ready"]
    assert not backpressure.paused
    now(backpressure.ready())


def test_who_need_not_wait_gets_a_deferred_like_any_other() -> None:
    backpressure = Backpressure()

    async def waitFor(ready: Deferred[Any]) -> Any:
        return await ready

    def outcome(ready: Deferred[Any]) -> Any:
        return now(Deferred.fromCoroutine(waitFor(ready)))

    assert outcome(backpressure.ready()) is None
    ready = backpressure.ready()
    assert ready.called
    assert outcome(ready.addCallback(lambda nothing: (nothing, 1))) == (None, 1)
    # Nobody else's has that.
    assert outcome(backpressure.ready()) is None
    with pytest.raises(ZeroDivisionError):
        outcome(backpressure.ready().addCallback(lambda _: 1 / 0))
    waiting = Deferred[int]()
    chained = Deferred.fromCoroutine(waitFor(backpressure.ready().addCallback(lambda _: waiting)))
    assert not chained.called
    waiting.callback(2)
    assert now(chained) == 2
    paused = backpressure.ready()
    paused.pause()
    held = Deferred.fromCoroutine(waitFor(paused))
    assert not held.called
    paused.unpause()
    assert now(held) is None
    cancelled = backpressure.ready()
    cancelled.cancel()
    assert outcome(cancelled) is None
    with pytest.raises(AlreadyCalledError):
        backpressure.ready().callback(None)
    assert now(succeed(None).addCallback(lambda _: backpressure.ready())) is None


def test_who_is_told_to_wait_again() -> None:
    """
    What was written first when there was room took all of it.
    """
    backpressure = Backpressure(onDrain=lambda: backpressure.pauseProducing())
    backpressure.pauseProducing()
    waiting = backpressure.ready()
    backpressure.resumeProducing()
    assert not waiting.called


@pytest_twisted.ensureDeferred
async def test_a_peer_that_does_not_read(listen: Listen) -> None:
    peers: list[Peer] = []
    client = await connect(await listen(Factory.forProtocol(lambda: Peer(peers.append))))
    IPushProducer(client.transport).pauseProducing()
    while not peers:
        await later()
    backpressure = Backpressure()
    backpressure.register(peers[0].transport)
    written = 0
    while not backpressure.paused:
        peers[0].transport.write(bytes(2**16))
        written += 2**16
        await later()
    waiting = backpressure.ready()
    assert not waiting.called
    IPushProducer(client.transport).resumeProducing()
    await waiting
    backpressure.unregister()
    peers[0].transport.loseConnection()
    await client.lost
    assert len(client.received) == written
