"""
Tests for L{netkit.net.blocking}: what is not connected to.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver
from zope.interface import implementer

from netkit import net
from netkit.base.listening import ReactorProxy
from tests.net.results import now

NAMED = ["127.0.0.2", "127.0.0.1"]


@implementer(IHostResolution)
class Resolution:
    """
    Is over at once.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        pass


class Named(ReactorProxy):
    """
    A reactor for which every name is that of C{NAMED}.
    """

    @property
    def nameResolver(self) -> Any:
        return self

    def resolveHostName(
        self,
        receiver: IResolutionReceiver,
        name: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        resolution: Any = Resolution(name)
        receiver.resolutionBegan(resolution)
        for host in NAMED:
            receiver.addressResolved(IPv4Address("TCP", host, portNumber))
        receiver.resolutionComplete()
        return IHostResolution(resolution)


@pytest.fixture
def reactor() -> Any:
    from twisted.internet import reactor

    return Named(reactor)


@pytest_twisted.async_yield_fixture
async def server() -> AsyncIterator[net.Server]:
    """
    A server that tells where its client came to.
    """

    async def connected(socket: net.Socket) -> None:
        assert isinstance(socket.localAddress, IPv4Address)
        await socket.end(socket.localAddress.host.encode())

    made = net.createServer(connected)
    await made.listen("tcp:0:interface=0.0.0.0")
    yield made
    await made.close(0)


def port(server: net.Server) -> int:
    address = server.address()
    assert isinstance(address, IPv4Address | IPv6Address)
    return address.port


async def cameTo(server: net.Server, host: str, **options: Any) -> bytes:
    async with await net.createConnection(f"tcp:{host}:{port(server)}", **options) as socket:
        return await socket.read()


@pytest_twisted.ensureDeferred
async def test_of_a_name_what_is_blocked_is_not_tried(server: net.Server, reactor: Any) -> None:
    assert await cameTo(server, "name.example", reactor=reactor) == b"127.0.0.2"
    for options in ({"deny": ["127.0.0.2"]}, {"allow": ["127.0.0.1/32"]}):
        assert await cameTo(server, "name.example", reactor=reactor, **options) == b"127.0.0.1"
    with pytest.raises(net.AddressBlockedError, match=r"tcp:name\.example:\d+: 127\.0\.0\.1"):
        await cameTo(server, "name.example", reactor=reactor, deny=["127.0.0.0/8"])
    with pytest.raises(net.AddressBlockedError, match=r"^The address is none that may be"):
        await cameTo(server, "name.example", reactor=reactor, allow=[])


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp:127.0.0.1:1",
        r"tcp:\:\:ffff\:127.0.0.1:1",
        "ssl:127.0.0.1:1",
        "tls:127.0.0.1:1",
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_address_is_not_tried(endpoint: str) -> None:
    with pytest.raises(net.AddressBlockedError, match=r"127\.0\.0\.1"):
        await net.createConnection(endpoint, deny=["127.0.0.0/8"])


@pytest_twisted.ensureDeferred
async def test_what_is_allowed(server: net.Server) -> None:
    assert await cameTo(server, "127.0.0.1", deny=["127.0.0.2", "::/0"]) == b"127.0.0.1"


@pytest_twisted.ensureDeferred
async def test_a_unix_socket_is_never_blocked(tmp_path: Any) -> None:
    server = net.createServer(lambda socket: socket.end(b"here"))
    await server.listen(f"unix:{tmp_path}/s")
    async with await net.createConnection(f"unix:{tmp_path}/s", allow=[]) as socket:
        assert await socket.read() == b"here"
    await server.close()


def test_an_endpoint_that_connects_by_itself(reactor: Any) -> None:
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", 1)
    with pytest.raises(ValueError, match="allow and deny go with an endpoint string"):
        now(net.createConnection(endpoint, deny=["10.0.0.0/8"]))
