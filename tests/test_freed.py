"""
Connections that are over leave nothing to the collector of reference cycles, which takes longer
for it than the connections themselves do, and leaves their memory in use until then.
"""

from __future__ import annotations

import gc
import socket
import ssl
import struct
import weakref
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThread

from netkit import net
from netkit.base.endpoints import clientEndpoint, serverEndpoint
from netkit.capture.recorded import RecordedFactory
from netkit.capture.recorder import Recorder
from netkit.echo import EchoFactory
from netkit.faults import Faults, FaultyFactory, parseFault
from netkit.forward import RelayFactory
from netkit.http import HTTPFactory, Response
from netkit.server import ServerFactory
from tests.certificates import Authority

F = TypeVar("F", bound="Factory[Any]")

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


def watched(factory: F, gone: list[Deferred[None]]) -> F:
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


def visit(port: int, octets: bytes, tls: bool, reset: bool) -> None:
    """
    Send something, wait for any answer there is, and leave.
    """
    # Some faults leave no chance to, or to connect.
    with suppress(ConnectionError, ssl.SSLError), ExitStack() as stack:
        client = socket.create_connection(("127.0.0.1", port), timeout=10)
        stack.callback(lambda: client.close())
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            client = context.wrap_socket(client)
        client.sendall(octets)
        client.recv(65536)


async def leavesNothing(
    wrapping: Factory[Any],
    gone: list[Deferred[None]],
    description: str,
    octets: bytes,
    tls: bool,
    reset: bool,
) -> None:
    """
    Have a server visited once, and see that both of the connection's protocols are freed.

    @param wrapping: the factory, which wraps one that is L{watched}.
    """
    from twisted.internet import reactor

    port = await serverEndpoint(reactor, description).listen(watched(wrapping, gone))
    address: Any = port.getHost()
    await deferToThread(visit, address.port, octets, tls, reset)
    for each in gone:
        await each
    assert len(gone) == 2
    await maybeDeferred(port.stopListening)


_SAID = {
    "x": b"x",
    "GET": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n" + bytes(50_000),
}
_OCTETS = (
    *("latency:delay=0", "throttle:rate=1000000", "slice:size=9", "limit:octets=99999"),
    *("reset:seconds=99", "half-close:octets=99999", "truncate:octets=99999"),
    *("reset-peer:after=99999,probability=0", "black-hole:upstream,seconds=99,probability=0"),
    *("timeout:seconds=99,probability=0", "slow-close:delay=0", "flip:share=0"),
)
_MESSAGES = (
    *("delay-head:delay=0", "drip:size=9,delay=0", "cut:octets=99", "close:code=1011"),
    *("wrong-length:by=0", "latency:delay=0,path=/", "black-hole:seconds=99,path=/none"),
)


@pytest.mark.parametrize(
    ("service", "faults", "said", "tls", "reset"),
    [
        ("echo", (), "x", False, False),
        ("echo", (), "x", True, False),
        ("echo", (), "x", False, True),
        ("echo", _OCTETS, "x", False, False),
        ("echo", _OCTETS, "x", True, False),
        ("echo", _OCTETS, "x", False, True),
        ("echo", ("refuse",), "x", False, False),
        ("echo", ("reset",), "x", True, False),
        ("echo", ("timeout:seconds=0.01",), "x", False, False),
        ("http", (), "GET", False, False),
        ("http", (), "POST", False, False),
        ("http", _MESSAGES, "GET", False, False),
        ("http", _MESSAGES, "GET", True, False),
        ("http", ("status",), "GET", False, True),
        ("relay", (), "x", False, False),
        ("relay", (*_OCTETS, *_MESSAGES), "x", True, False),
    ],
)
@pytest.mark.usefixtures("noCollection")
@pytest_twisted.ensureDeferred
async def test_a_connection_with_faults(
    service: str,
    faults: Sequence[str],
    said: str,
    tls: bool,
    reset: bool,
    echo: str,
    pem: Path,
) -> None:
    from twisted.internet import reactor

    description = _TCP
    if tls:
        description = f"ssl:0:interface=127.0.0.1:privateKey={pem}:certKey={pem}"
    factory: ServerFactory = EchoFactory()
    if service == "http":
        factory = HTTPFactory(lambda request: Response(200, b"x"))
    elif service == "relay":
        factory = RelayFactory(clientEndpoint(reactor, echo))
    gone: list[Deferred[None]] = []
    faulty = FaultyFactory(watched(factory, gone), Faults(*map(parseFault, faults)))
    await leavesNothing(faulty, gone, description, _SAID[said], tls, reset)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("said", ["x", "GET"])
@pytest.mark.usefixtures("noCollection")
@pytest_twisted.ensureDeferred
async def test_a_connection_that_is_recorded(said: str, reset: bool) -> None:
    from twisted.internet import reactor

    factory: ServerFactory = EchoFactory()
    if said == "GET":
        factory = HTTPFactory(lambda request: Response(200, b"x"))
    gone: list[Deferred[None]] = []
    recorder = Recorder([], IReactorTime(reactor))
    recorded = RecordedFactory(watched(factory, gone), recorder, "test")
    await leavesNothing(recorded, gone, _TCP, _SAID[said], False, reset)
    recorder.flush()


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
