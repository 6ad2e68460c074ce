"""
Tests for L{netkit.forward} on real connections.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IListeningPort,
    IProtocolNegotiationFactory,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from netkit.base.endpoints import clientEndpoint, serverEndpoint
from netkit.base.trust import Trust, loadCertificates
from netkit.echo import EchoFactory
from netkit.forward import RelayFactory
from netkit.forward.upstream import Upstream
from netkit.printrespond import PrintRespondFactory

from ..certificates import Authority
from ..clients import Client, connect
from ..conftest import Listen
from ..narrow import tcpAddress

# Twisted's own use of pyOpenSSL.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

CONTENT = os.urandom(3 * 10**6)


@implementer(IHalfCloseableProtocol)
class Server(Protocol):
    """
    Keeps what it receives, and does as it is told.
    """

    transport: ITCPTransport

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended: Deferred[None] = Deferred()
        self.lost: Deferred[Exception] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def readConnectionLost(self) -> None:
        self.ended.callback(None)

    def writeConnectionLost(self) -> None:
        """
        Our half is closed.
        """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        assert isinstance(reason.value, Exception)
        self.lost.callback(reason.value)


class Servers(Factory[Server]):
    noisy = False

    def __init__(self) -> None:
        self.accepted: Deferred[Server] = Deferred()

    def buildProtocol(self, addr: object) -> Server:
        server = Server()
        server.makeConnection = self._made(server, server.makeConnection)  # type: ignore[method-assign]
        return server

    def _made(self, server: Server, makeConnection: Callable[..., None]) -> Callable[..., None]:
        def made(transport: object) -> None:
            makeConnection(transport)
            self.accepted.callback(server)

        return made


async def relay(listen: Listen, factory: Factory[Any]) -> Client:
    return await connect(await listen(RelayFactory(await listen(factory))))


@pytest_twisted.ensureDeferred
async def test_everything_goes_there_and_back(listen: Listen) -> None:
    client = await relay(listen, EchoFactory())
    client.transport.write(CONTENT)
    client.transport.loseWriteConnection()
    assert isinstance(await client.lost, ConnectionDone)
    assert client.received == CONTENT


@pytest_twisted.ensureDeferred
async def test_an_answer_to_a_half_close(listen: Listen) -> None:
    client = await relay(listen, PrintRespondFactory(CONTENT))
    client.transport.write(b"request")
    client.transport.loseWriteConnection()
    assert isinstance(await client.lost, ConnectionDone)
    assert client.received == CONTENT


@pytest_twisted.ensureDeferred
async def test_the_server_half_closes_first(listen: Listen) -> None:
    servers = Servers()
    client = await relay(listen, servers)
    client.readConnectionLost = lambda: client.transport.write(CONTENT)  # type: ignore[method-assign]
    server = await servers.accepted
    server.transport.write(b"greeting")
    server.transport.loseWriteConnection()
    await client.receive(8)
    while len(server.received) < len(CONTENT):
        await turn()
    client.transport.loseWriteConnection()
    await server.ended
    for end in (server, client):
        end.transport.loseConnection()
        assert isinstance(await end.lost, ConnectionDone)
    assert server.received == CONTENT


async def turn() -> None:
    from twisted.internet import reactor

    await deferLater(reactor, 0)


@pytest.mark.parametrize("who", ["client", "server"])
@pytest_twisted.ensureDeferred
async def test_a_reset_is_told(listen: Listen, who: str) -> None:
    servers = Servers()
    factory = RelayFactory(await listen(servers))
    client = await connect(await listen(factory))
    server = await servers.accepted
    client.transport.write(b"x")
    while not server.received:
        await turn()
    one, other = (client, server) if who == "client" else (server, client)
    system = one.transport.getHandle()  # type: ignore[attr-defined]
    if system.family == socket.AF_UNIX:
        # Which has resets only where something was not read.
        IPushProducer(one.transport).pauseProducing()
        other.transport.write(b"unread")
        while not select.select([system], [], [], 0)[0]:
            await turn()
    one.transport.abortConnection()
    await one.lost
    while factory.connections:
        await turn()
    if system.family == socket.AF_UNIX:
        # Nothing that it was sent is unread: it sees an end.
        other.transport.abortConnection()
    else:
        assert isinstance(await other.lost, ConnectionLost)


@pytest_twisted.ensureDeferred
async def test_a_refused_connection_is_a_reset(listen: Listen) -> None:
    from twisted.internet import reactor

    # The port is taken, and nobody listens.
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        upstream = clientEndpoint(reactor, f"tcp:127.0.0.1:{nobody.getsockname()[1]}")
        client = await connect(await listen(RelayFactory(upstream)))
        client.transport.write(b"\0")
        await client.lost
        assert client.received == b""


# TLS


class Named(Protocol):
    """
    Says what was agreed on in TLS, and half-closes.
    """

    transport: ITCPTransport

    def dataReceived(self, data: bytes) -> None:
        handle = self.transport.getHandle()  # type: ignore[attr-defined]
        self.transport.write(
            b"%b %b" % (handle.get_servername() or b"-", handle.get_alpn_proto_negotiated())
        )
        self.transport.loseConnection()


class NamedFactory(Factory[Named]):
    protocol = Named
    noisy = False


Chain = Callable[..., Awaitable[bytes]]


@pytest_twisted.async_yield_fixture
async def chain(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Chain]:
    """
    A function that has a client ask, by way of a relay, for what a server of TLS knows of it.
    """
    from twisted.internet import reactor

    authority = Authority(tmp_path_factory.mktemp("authority"))
    ports: list[IListeningPort] = []
    secret = authority.issue("a.example")
    local = authority.issue("127.0.0.1")

    async def tls(factory: Factory[Any], certificate: object, protocols: list[bytes]) -> int:
        if protocols:
            factory.acceptableProtocols = lambda: protocols  # type: ignore[attr-defined]
            alsoProvides(factory, IProtocolNegotiationFactory)
        endpoint = serverEndpoint(
            reactor, f"ssl:0:interface=127.0.0.1:privateKey={certificate}:certKey={certificate}"
        )
        ports.append(await endpoint.listen(factory))
        return tcpAddress(ports[-1].getHost()).port

    async def ask(
        *,
        offered: tuple[bytes, ...] = (),
        accepted: tuple[bytes, ...] = (),
        spoken: tuple[bytes, ...] = (b"h2", b"http/1.1"),
        **options: object,
    ) -> bytes:
        trust = Trust(authorities=loadCertificates(authority.path))
        names = bool(options.get("serverName") or options.get("passServerName"))
        port = await tls(NamedFactory(), secret if names else local, list(spoken))
        upstream = Upstream(reactor, f"tls:127.0.0.1:{port}", trust=trust, **options)  # type: ignore[arg-type]
        factory = RelayFactory(upstream, acceptableProtocols=accepted)
        relayPort = await tls(factory, secret, [])
        client = await connect(
            wrapClientTLS(
                trust.connectionCreator("a.example", None, offered),
                clientEndpoint(reactor, f"tcp:127.0.0.1:{relayPort}"),
            )
        )
        client.transport.write(b"?")
        await client.lost
        return bytes(client.received)

    yield ask
    for port in ports:
        await maybeDeferred(port.stopListening)


@pytest_twisted.ensureDeferred
async def test_tls_both_ways(chain: Chain) -> None:
    assert await chain() == b"- "


@pytest_twisted.ensureDeferred
async def test_the_name_that_the_client_asked_for(chain: Chain) -> None:
    assert await chain(passServerName=True) == b"a.example "


@pytest_twisted.ensureDeferred
async def test_a_name_of_its_own(chain: Chain) -> None:
    assert await chain(serverName="a.example") == b"a.example "


@pytest_twisted.ensureDeferred
async def test_a_protocol_of_its_own(chain: Chain) -> None:
    assert await chain(protocols=[b"http/1.1"]) == b"- http/1.1"


@pytest_twisted.ensureDeferred
async def test_the_protocol_that_was_agreed_on(chain: Chain) -> None:
    agreed = await chain(offered=(b"http/1.1", b"h2"), accepted=(b"http/1.1",), protocols=[b"h2"])
    assert agreed == b"- http/1.1"


@pytest.mark.parametrize(("protocol", "answer"), [(b"h2", b""), (b"http/1.1", b"- ")])
@pytest_twisted.ensureDeferred
async def test_a_server_that_agrees_on_nothing(
    chain: Chain, protocol: bytes, answer: bytes
) -> None:
    """
    What the client takes for HTTP/2 would be something else there.
    """
    assert await chain(offered=(protocol,), accepted=(protocol,), spoken=()) == answer


# PROXY


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest_twisted.ensureDeferred
async def test_a_proxy_header_is_sent(version: str) -> None:
    from twisted.internet import reactor

    class Peer(Protocol):
        def connectionMade(self) -> None:
            address = self.transport.getPeer()  # type: ignore[union-attr]
            self.transport.write(str(tcpAddress(address).port).encode())  # type: ignore[union-attr]
            self.transport.loseConnection()  # type: ignore[union-attr]

    server = await serverEndpoint(reactor, "haproxy:tcp:0:interface=127.0.0.1").listen(
        Factory.forProtocol(Peer)
    )
    upstream = Upstream(
        reactor, f"tcp:127.0.0.1:{tcpAddress(server.getHost()).port}", sendProxy=version
    )
    port = await serverEndpoint(reactor, "tcp:0:interface=127.0.0.1").listen(
        RelayFactory(upstream)
    )
    client = await connect(
        clientEndpoint(reactor, f"tcp:127.0.0.1:{tcpAddress(port.getHost()).port}")
    )
    own = tcpAddress(client.transport.getHost()).port
    await client.lost
    assert client.received == str(own).encode()
    for each in (server, port):
        await maybeDeferred(each.stopListening)
