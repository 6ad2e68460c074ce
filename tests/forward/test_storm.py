"""
Many connections at once through a relay, each of which does something else: C{compliance.forward}
with fewer of them.
"""

from __future__ import annotations

import secrets
from typing import Any

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred

from compliance.forward import behindRelay, storm

CONNECTIONS = 60


@pytest_twisted.ensureDeferred
async def test_nothing_is_lost_and_nothing_left() -> None:
    seed = secrets.randbelow(2**32)
    print(f"seed {seed}")
    made: list[Any] = []
    counts = await storm(
        reactor, seed, CONNECTIONS, lambda factory: behindRelay(reactor, factory, made)
    )
    assert sum(counts.values()) == CONNECTIONS
    server, relay, port = made
    for listening in (server, port):
        await maybeDeferred(listening.stopListening)
    await relay.closeConnections(5.0)
    assert not relay.connections
    assert relay.budget.used == 0
