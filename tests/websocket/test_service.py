"""
Tests for L{netkit.websocket.service}.
"""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.endpoints import clientFromString
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import deferLater

from netkit.websocket import (
    ConnectionRejected,
    Rejection,
    WebSocketClientEndpoint,
    WebSocketClientService,
    WebSocketClosed,
    WebSocketFactory,
)
from tests.conftest import Listen

from .helpers import Waiters, lost


def service(endpoint: Any, clients: Waiters) -> WebSocketClientService[Any]:
    """
    A service that tries again at once.
    """
    return WebSocketClientService(
        WebSocketClientEndpoint.over(endpoint), clients, retryPolicy=lambda failures: 0.0
    )


async def turn() -> None:
    """
    Let the reactor run: a ClientService takes no call from within one of its own.
    """
    from twisted.internet import reactor

    await deferLater(reactor, 0)


@pytest_twisted.ensureDeferred
async def test_stays_connected(listen: Listen) -> None:
    servers, clients = Waiters(), Waiters()
    over = await listen(WebSocketFactory(servers))
    kept = service(over, clients)
    kept.startService()
    first = await kept.whenConnected()
    first.transport.sendTextMessage("1")
    assert await servers.made[0].next() == "1"
    servers.made[0].transport.abortConnection()
    await lost(first)
    await turn()
    second = await kept.whenConnected()
    assert second is not first
    second.transport.sendTextMessage("2")
    assert await servers.made[1].next() == "2"
    await kept.stopService()
    reason = await lost(servers.made[1])
    assert isinstance(reason, WebSocketClosed)
    assert (reason.code, reason.reason) == (1001, "the client stops")
    await lost(second)
    assert len(clients.made) == 2


@pytest_twisted.ensureDeferred
async def test_a_refusal_is_a_failure(listen: Listen) -> None:
    class Refusing(Waiters):
        refusals = 2

        def acceptConnection(self, request: object) -> Rejection | None:
            self.refusals -= 1
            return Rejection() if self.refusals >= 0 else None

    over = await listen(WebSocketFactory(Refusing()))
    kept = service(over, Waiters())
    kept.startService()
    with pytest.raises(ConnectionRejected):
        await kept.whenConnected(failAfterFailures=1)
    await turn()
    client = await kept.whenConnected()
    await turn()
    await kept.stopService()
    await lost(client)


@pytest_twisted.ensureDeferred
async def test_nobody_listens() -> None:
    from twisted.internet import reactor

    kept = service(clientFromString(reactor, "tcp:127.0.0.1:1"), Waiters())
    kept.startService()
    with pytest.raises(ConnectionRefusedError):
        await kept.whenConnected(failAfterFailures=1)
    await turn()
    await kept.stopService()
