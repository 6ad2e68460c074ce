"""
Fixtures for tests of L{netkit.net}.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from netkit import net
from tests.clients import Client
from tests.conftest import Listen


class Peer(Client):
    """
    The other side of a socket: leaves its half open until it is told.
    """

    def __init__(self, made: Callable[[Peer], None]) -> None:
        super().__init__()
        self.ended: Deferred[None] = Deferred()
        self._made = made

    def connectionMade(self) -> None:
        self._made(self)

    def readConnectionLost(self) -> None:
        self.ended.callback(None)


Connect = Callable[..., Awaitable[tuple[net.Socket, Peer]]]


@pytest_twisted.async_yield_fixture
async def connect(listen: Listen) -> AsyncIterator[Connect]:
    """
    A function that makes a connected socket, on TCP in one run of the test and on a UNIX socket in
    the other, and its peer. It takes the options of C{createConnection}.
    """
    sockets: list[net.Socket] = []
    peers: list[Peer] = []
    made: list[Deferred[Peer]] = []

    factory = Factory.forProtocol(lambda: Peer(lambda peer: made[-1].callback(peer)))
    endpoint = await listen(factory)

    async def connect(**options: Any) -> tuple[net.Socket, Peer]:
        made.append(Deferred())
        socket = await net.createConnection(endpoint, **options)
        sockets.append(socket)
        peers.append(await made[-1])
        return socket, peers[-1]

    yield connect
    for socket, peer in zip(sockets, peers, strict=True):
        socket.destroy()
        await socket.closed
        peer.transport.abortConnection()
        await peer.lost
