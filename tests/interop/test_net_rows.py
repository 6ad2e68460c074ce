"""
Each row of docs/net.md: what it says that netkit.net does is done, and comes to what the same few
lines come to in Node, where the two can be compared.
"""

from __future__ import annotations

import codecs
import inspect
import json
import os
import re
import socket as system
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network, summarize_address_range
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_twisted
from twisted.application.service import IService
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import (
    AdoptedStreamServerEndpoint,
    HostnameEndpoint,
    TCP4ClientEndpoint,
    quoteStringArgument,
)
from twisted.internet.error import (
    CannotListenError,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IReactorPluggableNameResolver,
    IReactorSocket,
    ISystemHandle,
)
from twisted.internet.task import deferLater

from netkit import net
from netkit.base.listening import ReactorProxy
from tests.interop.peers import HERE, requirePeer, run

PAGE = HERE.parents[1] / "docs/net.md"

LOCAL = "tcp:0:interface=127.0.0.1"

# The codes of Node's errors, by ours.
CODES: dict[type[Exception], str] = {
    ConnectionRefusedError: "ECONNREFUSED",
    ConnectionLost: "ECONNRESET",
    CannotListenError: "EADDRINUSE",
    CancelledError: "ABORT_ERR",
    net.WriteAfterEndError: "ERR_STREAM_WRITE_AFTER_END",
}


class Row(NamedTuple):
    """
    A row of the page.
    """

    section: str
    name: str
    node: str
    ours: str

    @property
    def key(self) -> str:
        return f"{self.section}: {self.name}"


def rows() -> Iterator[Row]:
    section = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("| ") and section != "Errors" and not line.startswith("| Node |"):
            _, node, ours, _ = line.split("|")
            name = re.search(r"`([^`]*)`", node)
            yield Row(section, name[1] if name else node.strip(), node, ours.strip())


ROWS = {row.key: row for row in rows()}

Check = Callable[[Path], Awaitable[Any]]
CHECKS: dict[str, Check] = {}


def row(section: str, name: str) -> Callable[[Check], Check]:
    """
    Register what checks a row.
    """

    def register(check: Check) -> Check:
        assert CHECKS.setdefault(f"{section}: {name}", check) is check
        return check

    return register


@pytest.fixture(scope="module")
def theirs(folder: Path) -> dict[str, Any]:
    """
    What came out in Node, row by row.
    """
    done = run([requirePeer("node"), str(HERE / "net_rows.mjs"), str(folder)])
    assert done.errors == b""
    results: dict[str, Any] = json.loads(done.output)
    return results


def test_every_row_has_a_check_and_no_other_has(theirs: dict[str, Any]) -> None:
    assert set(ROWS) == set(CHECKS)
    assert set(theirs) <= set(ROWS)


@pytest.mark.parametrize("key", ROWS)
@pytest_twisted.ensureDeferred
async def test_a_row(key: str, theirs: dict[str, Any], tmp_path: Path) -> None:
    assert key in CHECKS, f"no check of the row {key!r}"
    ours = await CHECKS[key](tmp_path)
    # Octets are text in JSON.
    ours = json.loads(json.dumps(ours, default=bytes.decode))
    if key in theirs:
        assert ours == theirs[key]


# What the checks have in common


class Pair(NamedTuple):
    """
    A server, a client of its, and its end of the connection.
    """

    server: net.Server
    client: net.Socket
    accepted: net.Socket

    @property
    def endpoint(self) -> str:
        return client(self.server)


def pathOf(address: UNIXAddress) -> str:
    assert address.name is not None
    return os.fsdecode(address.name)


def client(server: net.Server) -> str:
    """
    Where a client finds a server.
    """
    address = server.address()
    if isinstance(address, UNIXAddress):
        return f"unix:{pathOf(address)}"
    assert isinstance(address, IPv4Address)
    return f"tcp:127.0.0.1:{address.port}"


@asynccontextmanager
async def serving(
    callback: Callable[[net.Socket], object], where: str = LOCAL, **options: Any
) -> AsyncIterator[net.Server]:
    """
    A server, closed at the end.
    """
    server = net.createServer(callback, **options)
    await server.listen(where)
    try:
        yield server
    finally:
        await server.close(0)


@asynccontextmanager
async def pair(
    clientOptions: dict[str, Any] | None = None, ends: str = "", **options: Any
) -> AsyncIterator[Pair]:
    """
    Two ends of a connection, cut at the end.

    @param ends: what is appended to the client's endpoint string.
    """
    came: Deferred[net.Socket] = Deferred()
    options = {"allowHalfOpen": True, **options}
    async with serving(came.callback, **options) as server:
        made = await net.createConnection(client(server) + ends, **(clientOptions or {}))
        accepted = await came
        try:
            yield Pair(server, made, accepted)
        finally:
            for socket in (made, accepted):
                socket.destroy()
                await socket.closed


async def code(failing: Awaitable[object]) -> str:
    """
    What Node calls the error of something.
    """
    with pytest.raises(tuple(CODES)) as caught:
        await failing
    return next(text for kind, text in CODES.items() if isinstance(caught.value, kind))


async def turn() -> None:
    """
    Let the reactor go on.
    """
    from twisted.internet import reactor

    await deferLater(reactor, 0)


async def gap(key: str, *owners: type[object]) -> None:
    """
    A row that says that there is no such thing: there is none, under none of the row's names.
    """
    row = ROWS[key]
    assert "gap" in row.ours
    for name in re.findall(r"(\w+)(?:\(|`)", row.node):
        assert not any(hasattr(owner, name) for owner in owners), name


def handleOf(socket: net.Socket) -> Any:
    """
    The system's socket.
    """
    return ISystemHandle(socket.transport).getHandle()


def parameters(function: Callable[..., object]) -> set[str]:
    return set(inspect.signature(function).parameters)


# The module


@row("The module", "net.createServer([options][, listener])")
async def createServer(folder: Path) -> Any:
    async def echo(socket: net.Socket) -> None:
        async for piece in socket:
            await socket.write(piece)

    async with (
        serving(echo) as server,
        await net.createConnection(client(server)) as socket,
    ):
        await socket.end(b"hello")
        return await socket.read()


@row("The module", "net.createConnection()")
async def createConnection(folder: Path) -> Any:
    async with pair() as made:
        connecting = net.createConnection("tcp:127.0.0.1:1")
        connecting.cancel()
        assert await code(connecting) == "ABORT_ERR"
        state = "closed" if made.client.destroyed else "open"
        return [state, await code(net.createConnection("tcp:127.0.0.1:1"))]


@row("The module", "new net.Server()")
async def server(folder: Path) -> None:
    assert isinstance(net.createServer(print), net.Server)


@row("The module", "new net.Socket()")
async def socket(folder: Path) -> None:
    from twisted.internet import reactor

    async with pair() as made:
        assert isinstance(made.client, net.Socket)
    assert callable(IReactorSocket(reactor).adoptStreamConnection)


@row("The module", "net.BlockList")
async def blockList(folder: Path) -> None:
    ways: list[dict[str, Any]] = [{"deny": ["127.0.0.0/8"]}, {"allow": ["10.0.0.0/8"]}]
    for options in ways:
        with pytest.raises(net.AddressBlockedError):
            await net.createConnection("tcp:127.0.0.1:1", **options)
        async with (
            serving(lambda socket: socket.end(b"let in"), **options) as server,
            await net.createConnection(client(server)) as socket,
        ):
            assert await socket.read() == b""


class Nowhere(ReactorProxy):
    """
    A reactor to which nobody answers.
    """

    def connectTCP(self, *arguments: Any, **options: Any) -> Any:
        raise ConnectionRefusedError


async def isBlocked(address: str, *rules: Any) -> bool:
    """
    Whether an address is blocked, by connecting to it.
    """
    from twisted.internet import reactor

    nowhere: Any = Nowhere(reactor)
    endpoint = f"tcp:{quoteStringArgument(address)}:1"
    try:
        await net.createConnection(endpoint, deny=rules, reactor=nowhere)
    except net.AddressBlockedError:
        return True
    except ConnectionRefusedError:
        return False
    raise AssertionError(f"connected to {address}")


@row("The module", "blockList.addAddress(address)")
async def addAddress(folder: Path) -> Any:
    rules = ["10.1.2.3", "192.168.0.0/16", ip_network("2001:db8::/32")]
    addresses = ["10.1.2.3", "10.1.2.4", "192.168.200.1", "192.169.0.1"]
    addresses += ["::ffff:10.1.2.3", "::ffff:192.168.0.1", "2001:db8::1", "2001:db9::1"]
    return [await isBlocked(address, *rules) for address in addresses]


@row("The module", "blockList.addRange(start, end)")
async def addRange(folder: Path) -> Any:
    rules = list(summarize_address_range(ip_address("10.0.0.3"), ip_address("10.0.0.9")))
    addresses = ["10.0.0.2", "10.0.0.3", "10.0.0.9", "10.0.0.10"]
    return [await isBlocked(address, *rules) for address in addresses]


@row("The module", "blockList.check(address)")
async def check(folder: Path) -> Any:
    network = ip_network("10.0.0.0/8")
    return [ip_address("10.9.9.9") in network, ip_address("11.0.0.1") in network]


@row("The module", "net.SocketAddress")
async def socketAddress(folder: Path) -> None:
    async with pair() as made:
        assert isinstance(made.client.remoteAddress, IPv4Address)
    where = f"unix:{folder}/s"
    async with (
        serving(print, where) as server,
        await net.createConnection(where) as socket,
    ):
        assert isinstance(server.address(), UNIXAddress)
        assert isinstance(socket.remoteAddress, UNIXAddress)


@row("The module", "socketAddress.address")
async def socketAddressFields(folder: Path) -> Any:
    address = IPv6Address("TCP", "::1", 80)
    assert pathOf(UNIXAddress("/run/s")) == "/run/s"
    return [address.host, address.port, type(address).__name__[:4].lower()]


@row("The module", "socketAddress.flowlabel")
async def flowLabel(folder: Path) -> Any:
    return IPv6Address("TCP", "::1", 0, flowInfo=7).flowInfo


@row("The module", "socketAddress.toJSON()")
async def toJSON(folder: Path) -> None:
    await gap("The module: socketAddress.toJSON()", IPv4Address, IPv6Address, UNIXAddress)


@row("The module", "net.isIP(text)")
async def isIP(folder: Path) -> Any:
    texts = ["1.2.3.4", "::1", "::1%lo", "::ffff:1.2.3.4", "01.2.3.4", "1.2.3", "1.2.3.256"]
    texts += ["::g", "", "a"]
    return [[isIPAddress(text), isIPv6Address(text)] for text in texts]


@row("The module", "net.getDefaultAutoSelectFamily()")
async def autoSelectFamily(folder: Path) -> Any:
    # Of localhost, this is one address of up to two.
    async with serving(lambda socket: socket.end(b"here")) as server:
        endpoint = client(server).replace("127.0.0.1", "localhost")
        async with await net.createConnection(endpoint) as socket:
            return [True, await socket.read()]


@row("The module", "net.getDefaultAutoSelectFamilyAttemptTimeout()")
@row("Options", "autoSelectFamily")
async def attemptTimeout(folder: Path) -> None:
    from twisted.internet import reactor

    async with serving(lambda socket: socket.end(b"here")) as server:
        address = server.address()
        assert isinstance(address, IPv4Address)
        endpoint = HostnameEndpoint(reactor, "localhost", address.port, attemptDelay=0.01)
        async with await net.createConnection(endpoint) as socket:
            assert await socket.read() == b"here"


# Options


@row("Options", "allowHalfOpen")
async def allowHalfOpen(folder: Path) -> Any:
    outcomes = []
    for half in (True, False):
        async with pair({"allowHalfOpen": True}, allowHalfOpen=half) as made:
            await made.client.end()
            assert await made.accepted.read() == b""
            # Whoever comes later than the end.
            await turn()
            await turn()
            try:
                await made.accepted.end(b"answer")
                written = True
            # In good order, if the peer had ended as well by then.
            except (net.WriteAfterEndError, ConnectionDone):
                written = False
            outcomes.append([written, await made.client.read()])
    async with pair({"allowHalfOpen": False}) as made:
        await made.accepted.end()
        assert await made.client.read() == b""
        assert await made.accepted.read() == b""
    return outcomes


@row("Options", "noDelay")
async def noDelay(folder: Path) -> None:
    ways: list[dict[str, Any]] = [{}, {"noDelay": True}]
    for delay in ways:
        async with pair(delay, **delay) as made:
            for socket in (made.client, made.accepted):
                assert socket.transport.getTcpNoDelay() == bool(delay)


@row("Options", "keepAlive")
async def keepAlive(folder: Path) -> None:
    options: dict[str, Any] = {"keepAlive": True, "keepAliveInitialDelay": 77.0}
    async with pair(options, **options) as made:
        for socket in (made.client, made.accepted):
            handle = handleOf(socket)
            assert handle.getsockopt(system.SOL_SOCKET, system.SO_KEEPALIVE)
            assert handle.getsockopt(system.IPPROTO_TCP, system.TCP_KEEPIDLE) == 77


@row("Options", "highWaterMark")
async def highWaterMark(folder: Path) -> None:
    size = 8_000_000
    async with pair({"highWaterMark": 1000}, highWaterMark=1000) as made:
        for one, other in (made[1:], made[:0:-1]):
            writing = one.write(bytes(size))
            assert not writing.called
            # What comes in one piece is taken in one piece.
            await other.readExactly(1)
            assert other.readableLength < size // 4
            await other.readExactly(size - 1)
            await writing


@row("Options", "pauseOnConnect")
async def pauseOnConnect(folder: Path) -> Any:
    async with pair() as made:
        await made.client.end(b"hello")
        await turn()
        return await made.accepted.read()


@row("Options", "timeout")
async def timeout(folder: Path) -> None:
    async with pair({"timeout": 0.01}) as made:
        assert isinstance(await made.client.closed, TimeoutError)
    async with pair(timeout=0.01) as made:
        assert isinstance(await made.accepted.closed, TimeoutError)
    assert "connectTimeout" in parameters(net.createConnection)


@row("Options", "backlog")
async def backlog(folder: Path) -> None:
    one, other = net.createServer(lambda socket: socket.end(b"one")), net.createServer(print)
    address = await one.listen(LOCAL, backlog=7, reusePort=True)
    assert isinstance(address, IPv4Address)
    await other.listen(f"tcp:{address.port}:interface=127.0.0.1", reusePort=True)
    alone = await one.listen(r"tcp:0:interface=\:\:", ipv6Only=True)
    assert isinstance(alone, IPv6Address)
    async with await net.createConnection(rf"tcp:\:\:1:{alone.port}") as socket:
        assert await socket.read() == b"one"
    await one.close()
    await other.close()


@row("Options", "host")
async def host(folder: Path) -> Any:
    where = f"unix:{folder}/host"
    async with (
        serving(lambda socket: socket.end(b"here"), where),
        await net.createConnection(where) as socket,
    ):
        return await socket.read()


@row("Options", "readableAll")
async def readableAll(folder: Path) -> Any:
    async with serving(print, f"unix:{folder}/all:mode=666"):
        return (folder / "all").stat().st_mode & 0o666


@row("Options", "exclusive")
async def exclusive(folder: Path) -> None:
    assert "exclusive" not in parameters(net.Server.listen)
    await gap("Options: exclusive", net.Server)


@row("Options", "fd")
async def descriptor(folder: Path) -> None:
    from twisted.internet import reactor

    listener = system.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.setblocking(False)
    # Which closes it.
    endpoint = AdoptedStreamServerEndpoint(reactor, listener.detach(), system.AF_INET)
    server = net.createServer(lambda socket: socket.end(b"here"))
    await server.listen(endpoint)
    async with await net.createConnection(client(server)) as socket:
        assert await socket.read() == b"here"
    await server.close()


@row("Options", "localAddress")
async def localAddress(folder: Path) -> Any:
    async with pair(ends=":bindAddress=127.0.0.2") as made:
        assert isinstance(made.accepted.remoteAddress, IPv4Address)
        return made.accepted.remoteAddress.host


@row("Options", "localPort")
async def localPort(folder: Path) -> None:
    from twisted.internet import reactor

    async with serving(lambda socket: socket.end(b"here")) as server:
        address = server.address()
        assert isinstance(address, IPv4Address)
        # The server's own port, of another address.
        there = ("127.0.0.3", address.port)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", address.port, bindAddress=there)
        async with await net.createConnection(endpoint) as socket:
            assert await socket.read() == b"here"
            assert socket.localAddress == IPv4Address("TCP", *there)


@row("Options", "family")
async def family(folder: Path) -> None:
    from twisted.internet import reactor

    assert not {"family", "hints", "lookup"} & parameters(net.createConnection)
    await gap("Options: family", net.Socket)
    assert callable(IReactorPluggableNameResolver(reactor).installNameResolver)


@row("Options", "onread")
async def onRead(folder: Path) -> Any:
    assert "onread" not in parameters(net.createConnection)
    await gap("Options: onread", net.Socket)
    async with pair() as made:
        await made.accepted.end(b"hello")
        async for piece in made.client:
            assert isinstance(piece, bytes)
        return made.client.bytesRead


@row("Options", "signal")
async def signal(folder: Path) -> Any:
    connecting = net.createConnection("tcp:127.0.0.1:1")
    connecting.cancel()
    aborted = await code(connecting)
    server = net.createServer(print)
    await server.listen(LOCAL)
    await server.close()
    return [aborted, server.address() is not None]


@row("Options", "blockList")
async def blockListOption(folder: Path) -> None:
    await blockList(folder)
    assert await isBlocked("10.1.2.3", "::ffff:10.0.0.0/104")
    assert not await isBlocked("10.1.2.3", "::/0")
    assert await isBlocked("::1", "::/0")


# net.Server


@row("net.Server", "server.listen(...)")
async def listen(folder: Path) -> None:
    server = net.createServer(lambda socket: socket.end(b"here"))
    places = [LOCAL, f"unix:{folder}/s", r"tcp:0:interface=\:\:1"]
    tcp, unix, tcp6 = [await server.listen(where) for where in places]
    assert isinstance(tcp, IPv4Address)
    assert isinstance(unix, UNIXAddress)
    assert isinstance(tcp6, IPv6Address)
    ends = [f"tcp:127.0.0.1:{tcp.port}", f"unix:{folder}/s", rf"tcp:\:\:1:{tcp6.port}"]
    for endpoint in ends:
        async with await net.createConnection(endpoint) as socket:
            assert await socket.read() == b"here"
    assert server.address() == tcp
    await server.close()


@row("net.Server", "server.address()")
async def address(folder: Path) -> Any:
    server = net.createServer(print)
    unbound = server.address()
    listening = await server.listen(LOCAL)
    await server.listen(f"unix:{folder}/address")
    first = server.address()
    assert isinstance(first, IPv4Address)
    async with serving(print, f"unix:{folder}/other") as unix:
        other = unix.address()
        assert isinstance(other, UNIXAddress)
        path = pathOf(other) == f"{folder}/other"
    await server.close()
    return [first.host, type(first).__name__[:4], first == listening, path, unbound]


@row("net.Server", "server.close([callback])")
async def close(folder: Path) -> Any:
    async with pair() as made:
        endpoint = made.endpoint
        closing = made.server.close()
        refused = await code(net.createConnection(endpoint))
        assert not closing.called
        await made.accepted.end()
        await made.client.end()
        assert await made.client.read() == await made.accepted.read() == b""
        await closing
        ended = made.accepted.destroyed
    async with pair() as made:
        # And who does not end is cut after the grace.
        await made.server.close(0.01)
        assert made.accepted.destroyed
    return [refused, ended]


@row("net.Server", "server[Symbol.asyncDispose]()")
async def asyncDispose(folder: Path) -> None:
    server = net.createServer(print)
    await server.listen(LOCAL)
    await server.close()
    assert server.address() is None


@row("net.Server", "server.getConnections(callback)")
async def getConnections(folder: Path) -> Any:
    async with pair() as made:
        before = made.server.getConnections()
        made.client.destroy()
        await made.server.close()
        return [before, made.server.getConnections()]


@row("net.Server", "server.listening")
@row("net.Server", "'listening'")
async def listening(folder: Path) -> Any:
    server = net.createServer(print)
    states = [server.address() is not None]
    await server.listen(LOCAL)
    states.append(server.address() is not None)
    await server.close()
    return [*states, server.address() is not None]


@row("net.Server", "server.maxConnections")
async def maxConnections(folder: Path) -> Any:
    async with pair(maxConnections=5) as made:
        assert made.server.maxConnections == 5
        made.server.maxConnections = 1
        async with await net.createConnection(made.endpoint) as second:
            assert await second.read() == b""
            await second.closed
        return [second.bytesRead, "closed" if made.client.destroyed else "open"]


@row("net.Server", "server.dropMaxConnection")
async def dropMaxConnection(folder: Path) -> None:
    await maxConnections(folder)


@row("net.Server", "server.ref()")
async def refOfServer(folder: Path) -> None:
    await gap("net.Server: server.ref()", net.Server)


@row("net.Server", "'connection'")
async def connection(folder: Path) -> None:
    async with pair() as made:
        assert isinstance(made.accepted, net.Socket)
        assert made.accepted.remoteAddress == made.client.localAddress


@row("net.Server", "'close'")
async def closeOfServer(folder: Path) -> None:
    await close(folder)


@row("net.Server", "'error'")
async def errorOfServer(folder: Path) -> Any:
    async with serving(print) as server:
        address = server.address()
        assert isinstance(address, IPv4Address)
        other = net.createServer(print)
        return await code(other.listen(f"tcp:{address.port}:interface=127.0.0.1"))


@row("net.Server", "'drop'")
async def drop(folder: Path) -> Any:
    dropped: Deferred[Any] = Deferred()
    async with pair(maxConnections=1, dropped=dropped.callback) as made:
        async with await net.createConnection(made.endpoint) as second:
            came = await dropped
        assert made.server.droppedConnections == 1
        return came == second.localAddress


@row("net.Server", "part of an application")
async def partOfAnApplication(folder: Path) -> None:
    service = net.ServerService(net.createServer(print), LOCAL)
    assert IService.providedBy(service)


# net.Socket


@row("net.Socket", "socket.connect(...)")
async def connect(folder: Path) -> None:
    assert not hasattr(net.Socket, "connect")
    await connected(folder)


@row("net.Socket", "socket.write(data[, encoding][, callback])")
async def write(folder: Path) -> Any:
    async with pair() as made:
        await made.accepted.write(b"one ")
        text: Any = "two"
        with pytest.raises(TypeError):
            made.accepted.write(text)
        await made.accepted.write(text.encode())
        await made.accepted.end()
        return await made.client.read()


@row("net.Socket", "socket.end([data][, callback])")
async def end(folder: Path) -> Any:
    async with pair({"allowHalfOpen": True}) as made:
        await made.client.end(b"request")
        asked = await made.accepted.read()
        await made.accepted.end(b"response")
        answered = await made.client.read()
    async with pair() as made:
        await made.client.end()
        return [asked, answered, await code(made.client.write(b"late"))]


class Mine(Exception):
    """
    A reason of one's own.
    """


@row("net.Socket", "socket.destroy([error])")
async def destroy(folder: Path) -> Any:
    async with pair() as made:
        made.client.destroy(Mine())
        with pytest.raises(Mine):
            await made.client.read()
        assert isinstance(await made.client.closed, Mine)
        return [made.client.destroyed, "MINE"]


@row("net.Socket", "await using socket")
async def awaitUsing(folder: Path) -> None:
    came: list[net.Socket] = []
    async with net.createServer(came.append) as server:
        await server.listen(LOCAL)
        async with await net.createConnection(client(server)) as socket:
            await socket.end(b"all of it")
        assert isinstance(await socket.closed, ConnectionDone)
    assert server.address() is None
    async with pair() as made:
        with pytest.raises(Mine):
            async with made.client:
                raise Mine
        assert not isinstance(await made.client.closed, ConnectionDone)


@row("net.Socket", "socket.destroySoon()")
async def destroySoon(folder: Path) -> Any:
    async with pair() as made:
        made.accepted.write(b"x" * 300_000)
        gone = made.accepted.destroySoon()
        length = len(await made.client.read())
        await gone
        return length


@row("net.Socket", "socket.resetAndDestroy()")
@row("net.Socket", "'error'")
async def reset(folder: Path) -> Any:
    async with pair() as made:
        reading = made.client.read()
        made.accepted.destroy()
        failed = await code(reading)
        assert isinstance(await made.client.closed, ConnectionLost)
        return failed


@row("net.Socket", "socket.read([size])")
async def read(folder: Path) -> Any:
    async with pair() as made:
        await made.accepted.end(b"abcdef")
        pieces = [await made.client.readExactly(2), await made.client.read(4)]
        assert await made.client.read(1) == await made.client.read() == b""
    async with pair() as made:
        await made.accepted.end(b"line\nrest")
        assert await made.client.readUntil(b"\n") == b"line\n"
        assert await made.client.read() == b"rest"
    return [*pieces, None]


@row("net.Socket", "for await (const data of socket)")
async def forAwait(folder: Path) -> Any:
    async with pair({"allowHalfOpen": True}) as made:
        await made.accepted.end(b"hello")
        text = b"".join([piece async for piece in made.client])
        assert not made.client.destroyed
        return text


@row("net.Socket", "socket.pipe(other)")
async def pipe(folder: Path) -> Any:
    async with pair() as left, pair({"allowHalfOpen": True}) as right:
        piping = left.accepted.pipeTo(right.client, end=False)
        await left.client.end(b"first ")
        assert await piping == 6
        await right.client.end(b"second")
        return await right.accepted.read()


@row("net.Socket", "a.pipe(b); b.pipe(a)")
async def pipeBothWays(folder: Path) -> Any:
    half = {"allowHalfOpen": True}
    async with pair(half) as left, pair(half) as right:
        piping = left.accepted.pipe(right.client)
        await left.client.end(b"question")
        asked = await right.accepted.read()
        await right.accepted.end(b"answer")
        answered = await left.client.read()
        assert await piping == (8, 6)
    async with pair(half) as left, pair(half) as right:
        piping = left.accepted.pipe(right.client)
        left.client.destroy()
        assert isinstance(await right.accepted.closed, ConnectionLost)
        assert await code(piping) == "ECONNRESET"
    return [asked, answered]


@row("net.Socket", "socket.unpipe(other)")
async def unpipe(folder: Path) -> Any:
    async with pair() as left, pair() as right:
        piping = left.accepted.pipeTo(right.client)
        await left.client.write(b"one")
        assert await right.accepted.readExactly(3) == b"one"
        piping.cancel()
        with pytest.raises(CancelledError):
            await piping
        await left.client.end(b"two")
        return await left.accepted.read()


@row("net.Socket", "socket.pause()")
async def pause(folder: Path) -> Any:
    async with pair() as made:
        made.client.pause()
        reading = made.client.read()
        await made.accepted.end(b"hello")
        await turn()
        assert not reading.called
        made.client.resume()
        return ["", await reading]


@row("net.Socket", "socket.setEncoding()")
async def setEncoding(folder: Path) -> Any:
    await gap("net.Socket: socket.setEncoding()", net.Socket)
    decoder = codecs.getincrementaldecoder("utf-8")()
    async with pair() as made:
        await made.accepted.write(b"\xe2\x82")
        text = decoder.decode(await made.client.readExactly(2))
        await made.accepted.end(b"\xac")
        return text + decoder.decode(await made.client.read(), True)


@row("net.Socket", "socket.setTimeout(timeout[, callback])")
@row("net.Socket", "'timeout'")
async def setTimeout(folder: Path) -> Any:
    async with pair() as made:
        told: Deferred[net.Socket] = Deferred()
        made.client.setTimeout(0.02, told.callback)
        assert await told is made.client
        destroyed = made.client.destroyed
        again: Deferred[net.Socket] = Deferred()
        made.client.setTimeout(0.02, again.callback)
        await made.accepted.write(b"moved")
        assert await again is made.client
        made.client.setTimeout(0.02)
        assert isinstance(await made.client.closed, TimeoutError)
        return destroyed


@row("net.Socket", "socket.timeout")
async def timeoutOfSocket(folder: Path) -> None:
    await gap("net.Socket: socket.timeout", net.Socket)


@row("net.Socket", "socket.setNoDelay()")
async def setNoDelay(folder: Path) -> None:
    async with pair() as made:
        made.client.setNoDelay()
        assert made.client.transport.getTcpNoDelay()
        made.client.setNoDelay(False)
        assert not made.client.transport.getTcpNoDelay()


@row("net.Socket", "socket.setKeepAlive([enable][, initialDelay])")
async def setKeepAlive(folder: Path) -> None:
    async with pair() as made:
        made.client.setKeepAlive(True, 77)
        handle = handleOf(made.client)
        assert handle.getsockopt(system.IPPROTO_TCP, system.TCP_KEEPIDLE) == 77
        made.client.setKeepAlive(False)
        assert not made.client.transport.getTcpKeepAlive()


@row("net.Socket", "socket.getTypeOfService()")
async def typeOfService(folder: Path) -> None:
    async with pair() as made:
        handle = handleOf(made.client)
        handle.setsockopt(system.IPPROTO_IP, system.IP_TOS, 0x10)
        assert handle.getsockopt(system.IPPROTO_IP, system.IP_TOS) == 0x10


@row("net.Socket", "socket.cork()")
async def cork(folder: Path) -> None:
    async with pair({"noDelay": True}) as made:
        made.client.write(b"one ")
        made.client.write(b"two")
        assert await made.accepted.read(100) == b"one two"


def parts(address: object) -> list[object]:
    assert isinstance(address, IPv4Address)
    return [address.host, type(address).__name__[:4]]


@row("net.Socket", "socket.address()")
async def addressOfSocket(folder: Path) -> Any:
    async with pair() as made:
        mine, theirs = made.client.localAddress, made.accepted.remoteAddress
        return [*parts(mine), mine == theirs]


@row("net.Socket", "socket.localAddress")
async def localAddressOfSocket(folder: Path) -> Any:
    async with pair() as made:
        mine, theirs = made.accepted.localAddress, made.client.remoteAddress
        return [*parts(mine), mine == theirs]


@row("net.Socket", "socket.remoteAddress")
async def remoteAddress(folder: Path) -> Any:
    async with pair() as made:
        mine, theirs = made.accepted.remoteAddress, made.client.localAddress
        return [*parts(mine), mine == theirs]


@row("net.Socket", "socket.bytesRead")
async def bytesRead(folder: Path) -> Any:
    async with pair() as made:
        await made.client.end(b"hello")
        await made.accepted.read()
        return [made.accepted.bytesRead, made.client.bytesWritten, made.accepted.bytesWritten]


@row("net.Socket", "socket.bufferSize")
async def bufferSize(folder: Path) -> None:
    async with pair() as made:
        writing = made.client.write(bytes(8_000_000))
        assert made.client.writableLength > 0
        await made.accepted.readExactly(8_000_000)
        await writing
        assert made.client.writableLength == 0


@row("net.Socket", "socket.readableLength")
async def readableLength(folder: Path) -> Any:
    async with pair() as made:
        await made.accepted.write(b"hello!")
        await made.client.readExactly(1)
        before = made.client.readableLength
        await made.client.read(5)
        return [before, made.client.readableLength]


@row("net.Socket", "socket.connecting")
async def connecting(folder: Path) -> Any:
    async with pair() as made:
        # From the start it can be written to.
        await made.client.write(b"x")
        return [False, False]


@row("net.Socket", "socket.destroyed")
async def destroyed(folder: Path) -> Any:
    async with pair() as made:
        before = made.client.destroyed
        made.client.destroy()
        return [before, made.client.destroyed]


@row("net.Socket", "socket.readyState")
async def readyState(folder: Path) -> None:
    await gap("net.Socket: socket.readyState", net.Socket)


@row("net.Socket", "socket.autoSelectFamilyAttemptedAddresses")
async def attemptedAddresses(folder: Path) -> None:
    await gap("net.Socket: socket.autoSelectFamilyAttemptedAddresses", net.Socket)


@row("net.Socket", "socket.ref()")
async def refOfSocket(folder: Path) -> None:
    await gap("net.Socket: socket.ref()", net.Socket)


@row("net.Socket", "'connect'")
async def connected(folder: Path) -> None:
    async with pair() as made:
        assert made.client.remoteAddress == made.server.address()


@row("net.Socket", "'connectionAttempt'")
async def connectionAttempt(folder: Path) -> None:
    await gap("net.Socket: 'connectionAttempt'", net.Socket)
    assert await code(net.createConnection("tcp:localhost:1")) == "ECONNREFUSED"


@row("net.Socket", "'lookup'")
async def lookup(folder: Path) -> None:
    await gap("net.Socket: 'lookup'", net.Socket)


@row("net.Socket", "'data'")
async def data(folder: Path) -> Any:
    async with pair() as made:
        await made.accepted.write(b"hello")
        return await made.client.read(100)


@row("net.Socket", "'end'")
async def endOfPeer(folder: Path) -> Any:
    async with pair() as made:
        await made.accepted.end()
        assert [piece async for piece in made.client] == []
        return await made.client.read()


@row("net.Socket", "'drain'")
async def drain(folder: Path) -> Any:
    async with pair() as made:
        writing = made.client.write(bytes(8_000_000))
        room = writing.called
        await made.accepted.readExactly(8_000_000)
        await writing
        return [room, made.client.writableLength]


@row("net.Socket", "'close'")
async def closeOfSocket(folder: Path) -> Any:
    async with pair() as made:
        await made.accepted.end()
        await made.client.end()
        assert await made.accepted.read() == await made.client.read() == b""
        reason = await made.client.closed
        return [not isinstance(reason, ConnectionDone)]


@row("net.Socket", "not in Node")
async def notInNode(folder: Path) -> None:
    where = f"unix:{folder}/s"
    came: Deferred[net.Socket] = Deferred()
    async with serving(came.callback, where), await net.createConnection(where):
        credentials = (await came).peerCredentials
        if credentials is not None:
            assert credentials.uid == (folder / "s").stat().st_uid
