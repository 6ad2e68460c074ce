"""
One connection that floods takes no more than its share of a turn.
"""

from __future__ import annotations

import socket
from time import sleep
from typing import Any

from twisted.internet.protocol import Factory

from netkit.reactor import UvloopReactor
from tests.reactor.conftest import Run
from tests.reactor.peers import Peer, later
from tests.reactor.test_stream import LARGE


class Marking(Peer):
    """
    Writes down its name for each piece that arrives.
    """

    def __init__(self, order: list[str], name: str) -> None:
        super().__init__()
        self.order = order
        self.name = name

    def dataReceived(self, data: bytes) -> None:
        self.order.append(self.name)
        super().dataReceived(data)


async def flooded(reactor: UvloopReactor, *peers: Peer) -> None:
    """
    Connect peers, of which the first one has far more to read than it can at once, each other one
    an octet. None of them reads yet.
    """
    protocols = iter(peers)
    port: Any = reactor.listenTCP(
        0, Factory.forProtocol(lambda: next(protocols)), interface="127.0.0.1"
    )
    for peer in peers:
        with socket.create_connection(("127.0.0.1", port.getHost().port)) as client:
            while not peer.connected:
                await later(reactor, 0.001)
            peer.transport.pauseProducing()
            client.setblocking(False)
            # It is in the kernel, which goes on sending it: nobody has to run for that.
            client.send(LARGE if peer is peers[0] else b"x")
    await port.stopListening()


def test_reads_of_each_connection_in_a_turn(run: Run) -> None:
    class Flood(Marking):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            # What a protocol does with so much takes its time.
            sleep(0.003)
            # Once there is more than it can take at once, there is somebody else as well.
            if len(data) > 200_000 and "full" not in order:
                order.append("full")
                victim.transport.resumeProducing()

    order: list[str] = []
    flood, victim = Flood(order, "flood"), Marking(order, "victim")

    async def scenario(reactor: UvloopReactor) -> None:
        await flooded(reactor, flood, victim)
        flood.transport.resumeProducing()
        await flood.lost
        await victim.lost
        assert order.count("flood") > 4
        # In the next turn, in which either may be the first.
        assert order.index("victim") - order.index("full") <= 2

    run(scenario)


def test_can_be_paused_while_it_rests(run: Run) -> None:
    class Pausing(Peer):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            sleep(0.003)
            self.transport.pauseProducing()

    async def scenario(reactor: UvloopReactor) -> None:
        flood = Pausing()
        await flooded(reactor, flood)
        for number in range(1, 4):
            flood.transport.resumeProducing()
            while len(flood.pieces) < number:
                await later(reactor)
            await later(reactor, 0.02)
            assert len(flood.pieces) == number
            assert flood.transport not in reactor.getReaders()
        flood.transport.abortConnection()
        await flood.lost

    run(scenario)


def test_reads_while_it_rests(run: Run) -> None:
    class Looking(Peer):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            sleep(0.003)
            reactor.callLater(0, self.look)

        def look(self) -> None:
            seen.append(self.transport in reactor.getReaders())
            # Neither of these is to disturb it.
            self.transport.resumeProducing()
            self.transport.resumeProducing()

        def connectionLost(self, reason: Any = None) -> None:
            self.lost.callback(None)

    seen: list[bool] = []
    reactor: UvloopReactor

    async def scenario(used: UvloopReactor) -> None:
        nonlocal reactor
        reactor = used
        flood = Looking()
        await flooded(reactor, flood)
        flood.transport.resumeProducing()
        await flood.lost
        assert len(flood.pieces) > 4
        assert all(seen[:4])
        assert LARGE.startswith(flood.received)

    run(scenario)
