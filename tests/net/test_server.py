"""
Tests for L{netkit.net.server} and what it is made of.
"""

from __future__ import annotations

import gc
import os
import socket as system
import weakref
from collections.abc import AsyncIterator, Callable
from errno import EADDRINUSE
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_twisted
from twisted.application.service import Application, IService
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, fail, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import (
    CannotListenError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionRefusedError,
)
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from netkit import net
from netkit.base.addresses import addressText
from netkit.base.listenoptions import ListenOptions
from netkit.base.starting import CannotStart
from netkit.base.transports import StreamTransport
from netkit.net.accesslist import AccessList, Network
from tests.narrow import present, tcpAddress
from tests.net.results import now

LOCAL = "tcp:0:interface=127.0.0.1"

Serve = Callable[..., net.Server]


@pytest_twisted.async_yield_fixture
async def serve() -> AsyncIterator[Serve]:
    """
    C{createServer}; the servers made are closed at the end.
    """
    servers: list[net.Server] = []

    def serve(callback: Callable[[net.Socket], object], **options: Any) -> net.Server:
        servers.append(net.createServer(callback, **options))
        return servers[-1]

    yield serve
    for server in servers:
        await server.close(0)


@pytest.fixture(params=["tcp", "unix"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return LOCAL if request.param == "tcp" else f"unix:{tmp_path / 's'}"


def client(address: IAddress | None) -> str:
    """
    The client endpoint string for where a server listens.
    """
    if isinstance(address, UNIXAddress):
        return f"unix:{present(address.name).decode()}"
    address = tcpAddress(address)
    return f"tcp:{address.host.replace(':', chr(92) + ':')}:{address.port}"


async def respond(socket: net.Socket) -> None:
    await socket.end(b"got " + await socket.read())


async def ask(address: IAddress | None, request: bytes = b"request") -> bytes:
    socket = await net.createConnection(client(address))
    await socket.end(request)
    reply = await socket.read()
    await socket.closed
    return reply


@pytest_twisted.ensureDeferred
async def test_a_server_that_answers_at_half_close(serve: Serve, where: str) -> None:
    server = serve(respond, allowHalfOpen=True)
    assert server.address() is None
    address = await server.listen(where)
    assert server.address() == address
    assert await ask(address) == b"got request"
    await server.close()
    assert server.getConnections() == 0
    assert server.address() is None
    with pytest.raises(Exception, match=r"refused|No such file"):
        await ask(address)


@pytest_twisted.ensureDeferred
async def test_several_endpoints(serve: Serve, tmp_path: Path) -> None:
    server = serve(respond, allowHalfOpen=True)
    first = await server.listen(LOCAL)
    others = [await server.listen(f"unix:{tmp_path / 's'}")]
    from twisted.internet import reactor

    others.append(await server.listen(serverFromString(reactor, LOCAL)))
    assert server.address() == first
    for address in (first, *others):
        assert await ask(address) == b"got request"
    # It may listen again.
    await server.close()
    assert await ask(await server.listen(LOCAL)) == b"got request"


@pytest_twisted.ensureDeferred
async def test_a_callback_may_be_a_function(serve: Serve, where: str) -> None:
    def connected(socket: net.Socket) -> None:
        socket.end(b"hello")

    assert await ask(await serve(connected).listen(where)) == b"hello"


@pytest_twisted.ensureDeferred
async def test_what_a_callback_raises(serve: Serve, where: str, logged: list[LogEvent]) -> None:
    """
    It is logged with who was connected, and closes that connection alone.
    """

    async def connected(socket: net.Socket) -> None:
        request = await socket.readExactly(1)
        if request == b"!":
            raise LookupError("a bug")
        await socket.end(request)

    address = await serve(connected).listen(where)
    with pytest.raises(Exception, match=r"lost|closed") if where == LOCAL else nothing():
        assert await ask(address, b"!") == b""
    assert await ask(address, b"1") == b"1"
    (event,) = [event for event in logged if "log_failure" in event]
    logged.remove(event)
    assert event["log_failure"].check(LookupError)
    assert event["peer"].startswith("127.0.0.1:" if where == LOCAL else "a client of unix:/")


@pytest_twisted.ensureDeferred
async def test_what_a_peer_causes_is_one_line(
    serve: Serve, where: str, logged: list[LogEvent]
) -> None:
    ended: Deferred[Exception] = Deferred()

    async def connected(socket: net.Socket) -> None:
        socket.closed.chainDeferred(ended)
        await socket.readExactly(9)

    address = await serve(connected).listen(where)
    socket = await net.createConnection(client(address))
    await socket.end(b"short")
    assert isinstance(await ended, ConnectionAborted)
    (event,) = [event for event in logged if "callback" in str(event) or "reason" in event]
    assert "log_failure" not in event
    assert event["reason"] == "the peer ended after 5 bytes, with 9 bytes awaited"
    socket.destroy()


@pytest.mark.parametrize("when", ["during", "after"])
@pytest_twisted.ensureDeferred
async def test_a_client_that_ends_when_nobody_reads(serve: Serve, where: str, when: str) -> None:
    """
    Our half follows the client's, whether the callback is done or has something else to do, and
    the connection is over.
    """
    closed: Deferred[Exception] = Deferred()
    never: Deferred[None] = Deferred()

    async def connected(socket: net.Socket) -> None:
        socket.closed.chainDeferred(closed)
        await socket.write(b"answer to " + await socket.readExactly(7))
        if when == "during":
            await never

    address = await serve(connected).listen(where)
    socket = await net.createConnection(client(address))
    await socket.write(b"request")
    assert await socket.readExactly(17) == b"answer to request"
    await socket.end()
    assert await socket.read() == b""
    assert isinstance(await closed, ConnectionDone)
    never.callback(None)


@pytest_twisted.ensureDeferred
async def test_max_connections(serve: Serve, where: str) -> None:
    dropped: list[IAddress] = []
    accepted: list[net.Socket] = []
    server = serve(accepted.append, maxConnections=1, dropped=dropped.append)
    address = await server.listen(where)
    first = await net.createConnection(client(address))
    second = await net.createConnection(client(address))
    assert await second.read() == b""
    await second.closed
    assert (len(accepted), len(dropped)) == (1, 1)
    assert (server.droppedConnections, server.getConnections()) == (1, 1)
    if where == LOCAL:
        assert dropped == [second.localAddress]
    assert server.maxConnections == 1
    server.maxConnections = 2
    third = await net.createConnection(client(address))
    await until(lambda: len(accepted) == 2)
    await accepted[0].write(b"1")
    assert await first.read(1) == b"1"
    await accepted[1].write(b"3")
    assert await third.read(1) == b"3"
    for socket in (first, third):
        socket.destroy()
        await socket.closed


@pytest_twisted.ensureDeferred
async def test_a_dropped_callback_that_fails(serve: Serve, logged: list[LogEvent]) -> None:
    def dropped(address: IAddress) -> None:
        raise LookupError("a bug")

    address = await serve(respond, deny=["127.0.0.0/8"], dropped=dropped).listen(LOCAL)
    assert await ask(address, b"") == b""
    (event,) = [event for event in logged if "log_failure" in event]
    logged.remove(event)
    assert event["log_failure"].check(LookupError)


@pytest_twisted.ensureDeferred
async def test_denied(serve: Serve) -> None:
    server = serve(respond, allowHalfOpen=True, allow=["127.0.0.0/8"], deny=["127.0.0.2"])
    address = await server.listen(LOCAL)
    assert await ask(address) == b"got request"
    denied = await net.createConnection(f"{client(address)}:bindAddress=127.0.0.2")
    assert await denied.read() == b""
    await denied.closed
    assert server.droppedConnections == 1


@pytest.mark.parametrize(
    ("peer", "allowed"),
    [
        (IPv4Address("TCP", "10.1.2.3", 1), True),
        (IPv4Address("TCP", "10.9.2.3", 1), False),
        (IPv4Address("TCP", "11.1.2.3", 1), False),
        (IPv6Address("TCP", "::ffff:10.1.2.3", 1), True),
        (IPv6Address("TCP", "::ffff:10.9.2.3", 1), False),
        (IPv6Address("TCP", "fe80::1%eth0", 1), True),
        (IPv6Address("TCP", "::1", 1), False),
        (UNIXAddress(""), True),
        (None, True),
    ],
)
def test_access_list(peer: IAddress, allowed: bool) -> None:
    accessList = AccessList(["10.0.0.0/8", "fe80::/10"], ["10.9.0.0/16"])
    assert accessList.allows(peer) is allowed


def test_all_networks_but_some() -> None:
    accessList = AccessList(None, ["10.0.0.0/8"])
    assert accessList.allows(IPv4Address("TCP", "11.1.2.3", 1))
    assert not AccessList([], []).allows(IPv4Address("TCP", "11.1.2.3", 1))


@pytest.mark.parametrize(
    ("rule", "denied", "allowed"),
    [
        ("::ffff:127.0.0.1", "127.0.0.1", "127.0.0.2"),
        ("::ffff:7f00:1/128", "127.0.0.1", "127.0.0.2"),
        ("::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3"),
        ("::ffff:0:0/96", "192.0.2.1", "::1"),
        ("10.0.0.0/8", "10.1.2.3", "11.1.2.3"),
        ("0.0.0.0/0", "192.0.2.1", "2001:db8::1"),
        ("::/0", "2001:db8::1", "192.0.2.1"),
        (ip_network("::ffff:10.0.0.0/104"), "10.1.2.3", "11.1.2.3"),
        (ip_address("::ffff:127.0.0.1"), "127.0.0.1", "127.0.0.2"),
        (ip_address("127.0.0.1"), "127.0.0.1", "127.0.0.2"),
    ],
    ids=str,
)
def test_rules_are_unmapped_as_addresses_are(rule: Network, denied: str, allowed: str) -> None:
    """
    On an IPv4 socket a client has one address, on an IPv6 socket another for the same.
    """

    def forms(host: str) -> list[IAddress]:
        if ":" in host:
            return [IPv6Address("TCP", host, 1)]
        return [IPv4Address("TCP", host, 1), IPv6Address("TCP", f"::ffff:{host}", 1)]

    denying, allowing = AccessList(None, [rule]), AccessList([rule], [])
    for peer in forms(denied):
        assert not denying.allows(peer)
        assert allowing.allows(peer)
    for peer in forms(allowed):
        assert denying.allows(peer)
        assert not allowing.allows(peer)


def test_a_bad_network() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8 has host bits set"):
        net.createServer(print, allow=["10.0.0.1/8"])


@pytest.mark.parametrize("description", ["9872", "nosuch:1", "tcp:http"])
def test_a_bad_string(description: str) -> None:
    with pytest.raises(ValueError, match=f"'{description}' is not a server endpoint .*write tcp:"):
        now(net.createServer(print).listen(description))


@pytest_twisted.ensureDeferred
async def test_a_taken_port(serve: Serve) -> None:
    address = tcpAddress(await serve(respond).listen(LOCAL))
    with pytest.raises(
        CannotListenError,
        match=rf"^tcp:{address.port}:interface=127\.0\.0\.1: Address already in use$",
    ):
        await serve(respond).listen(f"tcp:{address.port}:interface=127.0.0.1")


@pytest_twisted.ensureDeferred
async def test_reuse_port(serve: Serve) -> None:
    """
    Two servers share a port; neither takes it from one that does not share.
    """
    shared = await serve(respond, allowHalfOpen=True).listen(LOCAL, reusePort=True, backlog=9)
    address = tcpAddress(shared)
    same = f"tcp:{address.port}:interface=127.0.0.1"
    assert await serve(respond, allowHalfOpen=True).listen(same, reusePort=True) == address
    assert await ask(address) == b"got request"
    with pytest.raises(CannotListenError, match=str(address.port)):
        await serve(respond).listen(same)
    alone = tcpAddress(await serve(respond).listen(LOCAL))
    with pytest.raises(CannotListenError, match=str(alone.port)):
        await serve(respond).listen(f"tcp:{alone.port}:interface=127.0.0.1", reusePort=True)


@pytest_twisted.ensureDeferred
async def test_ipv6_only(serve: Serve) -> None:
    if not hasIPv6():
        pytest.skip("this machine has no IPv6")
    server = serve(respond, allowHalfOpen=True)
    both = tcpAddress(await server.listen(r"tcp:0:interface=\:\:"))
    assert await ask(IPv4Address("TCP", "127.0.0.1", both.port)) == b"got request"
    alone = tcpAddress(await server.listen(r"tcp:0:interface=\:\:", ipv6Only=True))
    assert await ask(IPv6Address("TCP", "::1", alone.port)) == b"got request"
    with pytest.raises(ConnectionRefusedError):
        await ask(IPv4Address("TCP", "127.0.0.1", alone.port))


def hasIPv6() -> bool:
    try:
        with system.socket(system.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest_twisted.ensureDeferred
async def test_backlog(serve: Serve, where: str) -> None:
    server = serve(respond, allowHalfOpen=True)
    assert await ask(await server.listen(where, backlog=5)) == b"got request"


@pytest.mark.parametrize("where", [LOCAL, "unix:s"])
@pytest.mark.parametrize(
    ("said", "options", "expected"),
    [
        ("", {}, 511),
        (":backlog=50", {}, 50),
        (":backlog=7", {}, 7),
        ("", {"backlog": 9}, 9),
        (":backlog=7", {"backlog": 9}, 9),
    ],
)
def test_how_many_may_wait(where: str, said: str, options: dict[str, Any], expected: int) -> None:
    reactor = MemoryReactorClock()
    server = net.createServer(print, reactor=IReactorTime(reactor))
    now(server.listen(f"{where}{said}", **options))
    [port] = reactor.tcpServers or reactor.unixServers
    assert port[2] == expected


@pytest_twisted.ensureDeferred
async def test_many_clients_at_the_same_time(serve: Serve, tmp_path: Path) -> None:
    """
    Those that come within one turn of the reactor all wait to be accepted.
    """
    server = serve(respond, allowHalfOpen=True)
    await server.listen(f"unix:{tmp_path / 's'}")
    clients = [system.socket(system.AF_UNIX) for _ in range(200)]
    for waiting in clients:
        waiting.setblocking(False)
        # It would raise BlockingIOError.
        waiting.connect(str(tmp_path / "s"))
    while server.getConnections() < len(clients):
        await later()
    for waiting in clients:
        waiting.close()


@implementer(IStreamServerEndpoint)
class Broken:
    def __init__(self, result: Deferred[Any]) -> None:
        self.result = result

    def listen(self, factory: object) -> Deferred[IListeningPort]:
        return self.result


def test_listen_options_are_the_reactor_for_all_else() -> None:
    clock = Clock()
    assert ListenOptions(clock, None, False, False).seconds == clock.seconds


def test_options_of_an_endpoint_object() -> None:
    with pytest.raises(ValueError, match="go with an endpoint string"):
        now(net.createServer(print).listen(Broken(Deferred()), backlog=5))


@pytest.mark.parametrize("given", ["closed", "cancelled"])
@pytest_twisted.ensureDeferred
async def test_listening_that_is_given_up(serve: Serve, where: str, given: str) -> None:
    """
    The port comes when nobody wants it any more: it stops to listen.
    """
    from twisted.internet import reactor

    server = serve(respond, allowHalfOpen=True)
    endpoint = Broken(Deferred())
    listening = server.listen(endpoint)
    if given == "closed":
        await server.close()
        with pytest.raises(CannotListenError, match=r"Broken.*: the server was closed"):
            now(listening)
    else:
        listening.cancel()
        with pytest.raises(CancelledError):
            now(listening)
    port = await serverFromString(reactor, where).listen(server._factory)
    address = port.getHost()
    endpoint.result.callback(port)
    await later()
    assert server.address() is None
    with pytest.raises(Exception, match=r"refused|No such file"):
        await ask(address)
    # It may listen again.
    assert await ask(await server.listen(where)) == b"got request"


def test_listening_that_is_given_up_and_fails(logged: list[LogEvent]) -> None:
    server = net.createServer(print)
    endpoint = Broken(Deferred())
    listening = server.listen(endpoint)
    now(server.close())
    endpoint.result.errback(CannotListenError("", 1, "taken"))
    with pytest.raises(CannotListenError, match="the server was closed"):
        now(listening)
    assert any("listening was given up" in str(event.get("log_format")) for event in logged)


@pytest.mark.parametrize(
    ("description", "error", "text"),
    [
        ("unix:/no/such/folder/s", CannotListenError, "No such file"),
        (f"unix:/{'x' * 200}", CannotListenError, "path too long"),
        ("tcp:65536", ValueError, "port"),
        ("tcp:-1", ValueError, "port"),
        ("tcp:0:interface=192.0.2.1", CannotListenError, "assign requested address"),
        ("tcp:0:interface=nosuch.invalid", CannotListenError, "not known"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"reusePort": True}], ids=["", "shared"])
def test_errors_of_listening_are_of_their_kind(
    description: str, error: type[Exception], text: str, options: dict[str, bool]
) -> None:
    with pytest.raises(error, match=text) as caught:
        now(net.createServer(print).listen(description, **options))
    assert description in str(caught.value)


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ("unix:/no/such/folder/n.sock", "No such file or directory"),
        ("tcp:0:interface=192.0.2.1", "Cannot assign requested address"),
    ],
)
def test_why_there_is_no_listening_is_told_in_a_few_words(description: str, reason: str) -> None:
    with pytest.raises(CannotListenError) as caught:
        now(net.createServer(print).listen(description))
    assert str(caught.value) == f"{description}: {reason}"


def test_an_error_of_an_endpoint_itself() -> None:
    with pytest.raises(LookupError, match="a bug"):
        now(net.createServer(print).listen(Broken(fail(LookupError("a bug")))))


@pytest_twisted.ensureDeferred
async def test_close_waits(serve: Serve, where: str) -> None:
    server = serve(respond, allowHalfOpen=True)
    address = await server.listen(where)
    socket = await net.createConnection(client(address))
    while not server.getConnections():
        await later()
    closings = [server.close(), server.close()]
    await socket.write(b"still ")
    assert not any(closing.called for closing in closings)
    await socket.end(b"here")
    assert await socket.read() == b"got still here"
    for closing in closings:
        await closing


@pytest_twisted.ensureDeferred
async def test_close_with_grace(serve: Serve, where: str, logged: list[LogEvent]) -> None:
    """
    An idle connection and a stuck one are aborted when the time is over, a busy one is left to
    end; the reasons tell them apart.
    """
    clock = Clock()
    ends: dict[bytes, Deferred[Exception]] = {}
    known: Deferred[None] = Deferred()

    async def connected(socket: net.Socket) -> None:
        kind = await socket.readExactly(5)
        ends[kind] = socket.closed
        if kind == b"stuck":
            # More than every buffer on the way has room for.
            socket.write(bytes(2**24)).addErrback(lambda failure: None)
        if len(ends) == 3:
            known.callback(None)
        rest = await socket.read()
        await socket.end(rest)

    server = serve(connected, allowHalfOpen=True, timeout=0, reactor=Timed(clock))
    address = await server.listen(where)
    sockets = [await net.createConnection(client(address)) for _ in range(3)]
    for socket, kind in zip(sockets, (b"idle!", b"busy!", b"stuck"), strict=True):
        await socket.write(kind)
    sockets[2].pause()
    await known
    closing = server.close(10)
    # The time begins once nobody can connect any more.
    while not clock.getDelayedCalls():
        await later()
    clock.advance(9)
    await sockets[1].end(b"data")
    assert await sockets[1].read() == b"data"
    assert isinstance(await ends[b"busy!"], ConnectionDone)
    assert server.getConnections() == 2
    assert not closing.called
    clock.advance(1)
    await closing
    idle, stuck = str(await ends[b"idle!"]), str(await ends[b"stuck"])
    assert "the server was closed, with 0 bytes unsent and 0 unread" in idle
    assert "the server was closed, with 0 bytes unsent" not in stuck
    for line in ("aborted: {reason}", "{peer}: closed: {reason}"):
        assert len([event for event in logged if event.get("log_format") == line]) == 2
    for socket in sockets:
        socket.destroy()


class Timed:
    """
    The global reactor, with another clock.
    """

    def __init__(self, clock: Clock) -> None:
        from twisted.internet import reactor

        self._reactor = reactor
        self.callLater = clock.callLater
        self.seconds = clock.seconds

    def __getattr__(self, name: str) -> object:
        return getattr(self._reactor, name)


def test_grace_is_over_before_there_is_a_socket(logged: list[LogEvent]) -> None:
    """
    As in a TLS handshake that is not done.
    """
    clock = Clock()
    server = net.createServer(print, reactor=clock)
    factory = server._factory
    protocol = factory.buildProtocol(None)
    transport = StringTransport()
    protocol.transport = cast(StreamTransport, transport)
    factory.connectionOpened(protocol)
    closing = server.close(1)
    clock.advance(1)
    assert transport.disconnected
    protocol.connectionLost(Failure(ConnectionAborted()))
    now(closing)
    assert any("agreed on no connection" in event["log_format"] for event in logged)


@pytest_twisted.ensureDeferred
async def test_a_service(where: str, logged: list[LogEvent]) -> None:
    application = Application("test")
    server = net.createServer(respond, allowHalfOpen=True)
    service = net.ServerService(server, where)
    service.setServiceParent(application)
    services = IService(application)
    services.privilegedStartService()
    address = present(server.address())
    services.startService()
    assert server.address() == address
    assert f"listens on {addressText(address)} ({where})" in map(formatEvent, logged)
    assert await ask(address) == b"got request"
    await maybeDeferred(services.stopService)
    assert server.address() is None
    # It may be started again, by startService alone.
    service.startService()
    assert await ask(server.address()) == b"got request"
    await service.stopService()


def test_a_service_that_cannot_start(logged: list[LogEvent]) -> None:
    """
    One line says why, and what to do: to whoever starts it, or in the log.
    """
    server = net.createServer(print)
    taken = CannotListenError("", 1, OSError(EADDRINUSE, os.strerror(EADDRINUSE)))
    with pytest.raises(CannotStart, match="cannot listen: Address already in use"):
        net.ServerService(server, Broken(fail(taken))).startService()
    later: Deferred[object] = Deferred()
    net.ServerService(server, Broken(later)).startService()
    later.errback(taken)
    (event,) = [event for event in logged if event["log_level"] is LogLevel.error]
    logged.remove(event)
    assert present(formatEvent(event)).endswith(">: Address already in use")
    assert "log_failure" not in event


def test_a_service_that_is_stopped_before_it_listens() -> None:
    """
    What comes of that then is nobody's concern, and not in the log.
    """
    pending: Deferred[object] = Deferred()
    service = net.ServerService(net.createServer(print), Broken(pending))
    service.startService()
    service.stopService()
    if not pending.called:
        pending.errback(CannotListenError("", 1, "taken"))


def later() -> Deferred[None]:
    """
    Fires when the reactor has looked at its connections.
    """
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    return deferLater(reactor, 0)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await later()


class nothing:
    """
    Expects nothing.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


class Upload(bytearray):
    """
    What a callback has in a variable.
    """


async def reads(socket: net.Socket) -> None:
    await socket.readExactly(100)


async def writes(socket: net.Socket) -> None:
    while True:
        await socket.write(bytes(10**5))


async def ends(socket: net.Socket) -> None:
    await socket.end(bytes(10**7))


async def catches(socket: net.Socket) -> None:
    try:
        await socket.readExactly(100)
    except Exception:
        await socket.closed


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("goOn", [reads, writes, ends, catches])
async def test_nothing_outlives_the_connection(
    where: str, goOn: Callable[[net.Socket], Any]
) -> None:
    """
    Not even up to the next collection.
    """
    uploads: list[weakref.ref[Upload]] = []

    async def callback(socket: net.Socket) -> None:
        upload = Upload()
        uploads.append(weakref.ref(upload))
        # The client is there still; it goes away in the middle of what follows.
        await socket.readExactly(5)
        met.callback(None)
        await goOn(socket)
        assert upload is not None

    server = net.createServer(callback)
    met = Deferred[None]()
    gone = await net.createConnection(client(await server.listen(where)))
    gc.collect()
    gc.disable()
    try:
        await gone.write(b"hello")
        await met
        gone.destroy()
        await server.close()
        assert [upload() for upload in uploads] == [None]
    finally:
        gc.enable()


@pytest_twisted.ensureDeferred
async def test_as_context_managers(where: str) -> None:
    ended: Deferred[bytes] = Deferred()

    async def readAll(socket: net.Socket) -> None:
        async with socket:
            ended.callback(await socket.read())

    async with net.createServer(readAll) as server:
        address = await server.listen(where)
        async with await net.createConnection(client(address)) as socket:
            await socket.write(b"data")
        # What was written arrived, and both connections are gone.
        assert await ended == b"data"
        assert isinstance(await socket.closed, Exception)
    assert server.address() is None


@pytest_twisted.ensureDeferred
async def test_context_managers_where_the_block_fails(where: str) -> None:
    hanging: Deferred[None] = Deferred(lambda waiting: None)
    server = net.createServer(lambda socket: hanging)
    sockets: list[net.Socket] = []

    async def fail() -> None:
        async with server:
            address = await server.listen(where)
            async with await net.createConnection(client(address)) as socket:
                sockets.append(socket)
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert isinstance(await sockets[0].closed, ConnectionAborted)
    assert server.getConnections() == 0
    hanging.callback(None)


@pytest_twisted.ensureDeferred
async def test_the_log_names_the_callback(logged: list[LogEvent], serve: Serve) -> None:
    await serve(respond).listen(LOCAL)
    texts = [formatEvent(event) for event in logged]
    assert any(text.startswith("respond starting on ") for text in texts)
    assert not any("_SocketServerFactory" in text for text in texts)
