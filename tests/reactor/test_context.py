"""
Context variables: each connection has a context of its own.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextvars import ContextVar
from threading import Thread
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from netkit.reactor import UvloopReactor
from tests.reactor.conftest import Run
from tests.reactor.peers import HalfCloseable, Peer, Receiver, connected
from tests.reactor.test_stream import LARGE, Producer, failures

kinds = pytest.mark.parametrize("kind", ["tcp", "unix"])

name: ContextVar[str] = ContextVar("name", default="nobody")


class Named(Peer):
    """
    A peer that sets the variable when the connection is made, and writes down what it is later.
    """

    def __init__(self, own: str) -> None:
        super().__init__()
        self.own = own
        self.seen: list[tuple[str, str]] = []

    def see(self, where: str) -> None:
        self.seen.append((where, name.get()))

    def connectionMade(self) -> None:
        self.see("made")
        name.set(self.own)
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        self.see("received")
        name.set(self.own + "+")
        super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.see("lost")
        super().connectionLost(reason)


@kinds
@pytest.mark.parametrize("end", ["loseConnection", "abortConnection"])
def test_is_kept_by_a_connection(run: Run, kind: str, end: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        client, server = Named("client"), Named("server")
        async with connected(reactor, kind, client, server):
            for _ in range(2):
                for here, there in (client, server), (server, client):
                    there.pieces.clear()
                    here.transport.write(b"data")
                    await there.receive(4)
            getattr(server.transport, end)()
            await server.lost
            await client.lost
        for peer in client, server:
            own = peer.own
            assert peer.seen == [
                ("made", "nobody"),
                ("received", own),
                ("received", own + "+"),
                ("lost", own + "+"),
            ]

    run(scenario)


@kinds
def test_is_there_when_each_half_is_closed(run: Run, kind: str) -> None:
    class Halves(Named, HalfCloseable):
        def readConnectionLost(self) -> None:
            self.see("read lost")
            name.set("half of the server")
            self.transport.loseWriteConnection()

        def writeConnectionLost(self) -> None:
            self.see("write lost")

    async def scenario(reactor: UvloopReactor) -> None:
        client, server = Named("client"), Halves("server")
        async with connected(reactor, kind, client, server):
            client.transport.loseWriteConnection()
            await client.lost
            server.transport.loseConnection()
            await server.lost
        assert server.seen == [
            ("made", "nobody"),
            ("read lost", "server"),
            ("write lost", "half of the server"),
            ("lost", "half of the server"),
        ]

    run(scenario)


@kinds
@pytest.mark.parametrize("streaming", [True, False])
def test_is_there_when_a_producer_is_resumed(run: Run, kind: str, streaming: bool) -> None:
    class Seeing(Producer):
        def resumeProducing(self) -> None:
            client.see("resumed")
            super().resumeProducing()

    client = Named("client")

    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, kind, client):
            # A pull producer is asked for the first time by whoever registers it.
            producer = Seeing(client.transport, *([] if streaming else [b"first"]))
            client.transport.registerProducer(producer, streaming)
            if streaming:
                client.transport.write(LARGE)
                client.transport.write(LARGE)
            await producer.resumed
            assert client.seen[-1] == ("resumed", "client")

    run(scenario)


@kinds
def test_is_not_seen_by_another_connection(run: Run, kind: str) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        # Accepted in one turn, and in the next.
        for _ in range(2):
            servers = [Named("first"), Named("second")]
            async with (
                connected(reactor, kind, server=servers[0]) as (one, _),
                connected(reactor, kind, server=servers[1]) as (two, _),
            ):
                for client, server in zip((one, two), servers, strict=True):
                    client.transport.write(b"data")
                    await server.receive(4)
            assert [server.seen[:2] for server in servers] == [
                [("made", "nobody"), ("received", "first")],
                [("made", "nobody"), ("received", "second")],
            ]

    run(scenario)


def test_is_not_seen_by_those_accepted_with_it(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        servers: list[Named] = []
        made = Deferred[None]()

        class Building(Factory[Protocol]):
            def buildProtocol(self, addr: IAddress | None) -> Protocol:
                server = Named(str(len(servers)))
                server.see("built")
                name.set("built")
                servers.append(server)
                if len(servers) == 5:
                    reactor.callLater(0, made.callback, None)
                return server

        port: Any = reactor.listenTCP(0, Building(), interface="127.0.0.1")
        # Before the reactor has looked at any of them.
        clients = [socket.create_connection(("127.0.0.1", port.getHost().port)) for _ in range(5)]
        await made
        assert [server.seen for server in servers] == [
            [("built", "nobody"), ("made", "built")]
        ] * 5
        assert name.get() == "nobody"
        for client, server in zip(clients, servers, strict=True):
            client.close()
            await server.lost
        await port.stopListening()

    run(scenario)


def test_is_kept_by_an_adopted_connection(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            peer = Named("adopted")
            reactor.adoptStreamConnection(
                ours.fileno(), socket.AF_UNIX, Factory.forProtocol(lambda: peer)
            )
            theirs.sendall(b"data")
            await peer.receive(4)
            assert peer.seen == [("made", "nobody"), ("received", "adopted")]
            assert name.get() == "nobody"
            peer.transport.loseConnection()
            await peer.lost

    run(scenario)


def test_is_kept_where_descriptors_are_received(run: Run) -> None:
    class NamedReceiver(Named, Receiver):
        pass

    async def scenario(reactor: UvloopReactor) -> None:
        server = NamedReceiver("server")
        async with connected(reactor, "unix", server=server) as (client, _):
            client.transport.write(b"data")
            await server.receive(4)
            client.transport.loseConnection()
            await server.lost
        assert server.seen == [
            ("made", "nobody"),
            ("received", "server"),
            ("lost", "server+"),
        ]

    run(scenario)


def test_is_there_when_a_protocol_has_raised(run: Run, logged: list[Any]) -> None:
    class Broken(Named):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            raise ZeroDivisionError

    async def scenario(reactor: UvloopReactor) -> None:
        server = Broken("server")
        async with connected(reactor, "tcp", server=server) as (client, _):
            client.transport.write(b"data")
            await server.lost
        assert server.seen[-1] == ("lost", "server+")

    run(scenario)
    assert failures(logged) == [ZeroDivisionError]


def test_is_the_one_in_which_the_reactor_runs() -> None:
    seen: list[str] = []

    def main() -> None:
        reactor = UvloopReactor()
        reactor._registerAsIOThread = False
        # After the reactor was made, and after a call was asked for.
        reactor.callLater(0, lambda: seen.append(name.get()))
        name.set("set by the program")
        reactor.callLater(0, reactor.stop)
        reactor.run(installSignalHandlers=False)
        reactor.eventloop.close()

    thread = Thread(target=main)
    thread.start()
    thread.join()
    assert seen == ["set by the program"]


def test_is_shared_by_everything_else(run: Run) -> None:
    # As all callbacks under any other reactor.
    class Datagrams(DatagramProtocol):
        def datagramReceived(self, datagram: bytes, addr: object) -> None:
            seen.append(name.get())
            arrived.callback(None)

    seen: list[str] = []
    arrived = Deferred[None]()

    async def scenario(reactor: UvloopReactor) -> None:
        def call(how: Callable[..., object]) -> Deferred[None]:
            done = Deferred[None]()

            def called() -> None:
                seen.append(name.get())
                name.set("shared")
                done.callback(None)

            how(called)
            return done

        await call(lambda function: reactor.callLater(0, function))
        await call(reactor.callFromThread)
        port: Any = reactor.listenUDP(0, Datagrams(), interface="127.0.0.1")
        port.write(b"datagram", ("127.0.0.1", port.getHost().port))
        await arrived
        await port.stopListening()
        assert seen == ["nobody", "shared", "shared"]

    run(scenario)
