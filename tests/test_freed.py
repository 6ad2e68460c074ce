"""
Connections that are over leave nothing to the collector of reference cycles, which takes longer
for it than the connections themselves do, and leaves their memory in use until then.
"""

from __future__ import annotations

import gc
import socket
import ssl
import weakref
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThread

from netkit import net
from netkit.base.endpoints import clientEndpoint, serverEndpoint
from netkit.echo import EchoFactory
from netkit.forward import RelayFactory
from netkit.server import ServerFactory
from tests.certificates import Authority

_TCP = "tcp:0:interface=127.0.0.1"
_PROXY = b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n"


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Authority(tmp_path_factory.mktemp("authority")).issue("localhost")


@pytest.fixture
def noCollection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest_twisted.async_yield_fixture
async def echo() -> AsyncIterator[str]:
    """
    An echo, for others to connect to.
    """
    from twisted.internet import reactor

    port = await serverEndpoint(reactor, _TCP).listen(EchoFactory())
    address: Any = port.getHost()
    yield f"tcp:127.0.0.1:{address.port}"
    await maybeDeferred(port.stopListening)


def freed(thing: object) -> Deferred[None]:
    """
    Tell when something is freed.
    """
    from twisted.internet import reactor

    gone: Deferred[None] = Deferred()
    weakref.finalize(thing, gone.callback, None)
    return gone.addTimeout(10, IReactorTime(reactor))


def watched(factory: ServerFactory, gone: list[Deferred[None]]) -> ServerFactory:
    """
    Have it told when the protocols that a factory makes are freed.
    """
    build = factory.buildProtocol

    def buildProtocol(addr: Any) -> Any:
        protocol = build(addr)
        gone.append(freed(protocol))
        return protocol

    factory.buildProtocol = buildProtocol  # type: ignore[method-assign]
    return factory


def talk(port: int, first: bytes = b"", tls: bool = False) -> None:
    """
    Have something echoed, and leave.
    """
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(first)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        client = context.wrap_socket(client)
    with client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        if isinstance(client, ssl.SSLSocket):
            client.unwrap()


@pytest.mark.parametrize(
    ("prefix", "relayed", "first"),
    [
        ("tcp", False, b""),
        ("tcp", True, b""),
        ("ssl", False, b""),
        ("ssl", True, b""),
        ("haproxy:tcp", False, _PROXY),
    ],
    ids=["echo", "relay", "tls", "relay of tls", "PROXY"],
)
@pytest.mark.usefixtures("noCollection")
@pytest_twisted.ensureDeferred
async def test_a_connection_to_a_server(
    prefix: str, relayed: bool, first: bytes, echo: str, pem: Path
) -> None:
    from twisted.internet import reactor

    tls = prefix == "ssl"
    description = f"{prefix}:0:interface=127.0.0.1"
    if tls:
        description += f":privateKey={pem}:certKey={pem}"
    gone: list[Deferred[None]] = []
    factory = RelayFactory(clientEndpoint(reactor, echo)) if relayed else EchoFactory()
    port = await serverEndpoint(reactor, description).listen(watched(factory, gone))
    address: Any = port.getHost()
    await deferToThread(talk, address.port, first, tls)
    await gone[0]
    await maybeDeferred(port.stopListening)


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
@pytest.mark.usefixtures("noCollection")
@pytest_twisted.ensureDeferred
async def test_a_socket_of_a_server(tls: bool, pem: Path) -> None:
    gone: list[Deferred[None]] = []

    async def echo(socket: net.Socket) -> None:
        gone.append(freed(socket))
        async for data in socket:
            await socket.write(data)

    server = net.createServer(echo)
    await server.listen(f"ssl:0:privateKey={pem}:certKey={pem}" if tls else _TCP)
    address: Any = server.address()
    await deferToThread(talk, address.port, b"", tls)
    await gone[0]
    await server.close()


@pytest.mark.usefixtures("noCollection")
@pytest_twisted.ensureDeferred
async def test_a_socket_of_a_client(echo: str) -> None:
    async def converse() -> list[Deferred[None]]:
        socket = await net.createConnection(echo, timeout=10)
        gone = freed(socket)
        await socket.write(b"x")
        assert await socket.readExactly(1) == b"x"
        await socket.end()
        await socket.closed
        return [gone]

    [gone] = await converse()
    await gone
