"""
File descriptors sent over UNIX connections.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import Factory

from netkit.reactor import UvloopReactor
from tests.reactor.conftest import Run
from tests.reactor.peers import Peer, Receiver, connected, later
from tests.reactor.test_stream import LARGE


async def checkReceived(receiver: Receiver, descriptor: int) -> None:
    received = await receiver.descriptor
    assert os.path.samestat(os.fstat(received), os.fstat(descriptor))
    os.close(received)


def test_passes_a_descriptor(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        server = Receiver()
        async with connected(reactor, "unix", server=server) as (client, _):
            with open(__file__) as file:
                client.transport.sendFileDescriptor(file.fileno())
                client.transport.write(b"data")
                await checkReceived(server, file.fileno())
            assert await server.receive(4) == b"data"

    run(scenario)


def test_passes_a_descriptor_in_mid_connection(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        client, server = Peer(), Peer()
        async with connected(reactor, "unix", client, server):
            await later(reactor)
            client.transport.write(b"first")
            assert await server.receive(5) == b"first"
            # A channel has the connection, and something to send, when the descriptor follows.
            server.transport.pauseProducing()
            client.transport.write(LARGE)
            await later(reactor, 0.05)
            receiver = Receiver()
            receiver.makeConnection(server.transport)
            server.transport.protocol = receiver
            with open(__file__) as file:
                client.transport.sendFileDescriptor(file.fileno())
                client.transport.write(b"last")
                server.transport.resumeProducing()
                await checkReceived(receiver, file.fileno())
            assert await receiver.receive(len(LARGE) + 4) == LARGE + b"last"
            receiver.transport.write(b"back")
            assert await client.receive(4) == b"back"
            client.transport.loseConnection()
            await receiver.lost
            server.lost.callback(None)

    run(scenario)


def test_sends_a_descriptor_before_a_channel_has_the_connection(run: Run) -> None:
    class Sender(Peer):
        def connectionMade(self) -> None:
            self.transport.write(b"before")
            self.transport.sendFileDescriptor(file.fileno())
            super().connectionMade()

    async def scenario(reactor: UvloopReactor) -> None:
        client = Receiver()
        async with connected(reactor, "unix", client, Sender()) as (_, server):
            await checkReceived(client, file.fileno())
            assert await client.receive(6) == b"before"
            client.transport.write(b"answer")
            assert await server.receive(6) == b"answer"

    with open(__file__) as file:
        run(scenario)


def test_is_no_place_for_tcp_options(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, "unix") as (client, server):
            for peer in (client, server):
                peer.transport.setTcpNoDelay(True)
                assert not peer.transport.getTcpNoDelay()

    run(scenario)


def identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_ino, status.st_mode


def test_leaves_an_adopted_port_alone(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "s"

    async def scenario(reactor: UvloopReactor) -> None:
        port = reactor.adoptStreamPort(made.fileno(), socket.AF_UNIX, Factory.forProtocol(Peer))
        assert identity(path) == before
        await port.stopListening()
        assert identity(path) == before

    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
        made.listen()
        path.chmod(0o600)
        before = identity(path)
        run(scenario)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_as_many_wait_as_the_backlog_says(run: Run, tmp_path: Path) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        for backlog in (3, 9):
            path = bytes(tmp_path / str(backlog))
            port = reactor.listenUNIX(path, Factory.forProtocol(Peer), backlog=backlog)
            clients = [socket.socket(socket.AF_UNIX) for _ in range(20)]
            for client in clients:
                client.setblocking(False)
            # Nobody is accepted before this turn ends. Linux lets one more wait.
            waiting = [client.connect_ex(path) for client in clients]
            assert waiting.count(0) == backlog + 1
            for client in clients:
                client.close()
            await maybeDeferred(port.stopListening)

    run(scenario)
