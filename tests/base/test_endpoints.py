"""
Tests for L{netkit.base.endpoints}.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.error import CannotListenError, ConnectionRefusedError
from twisted.internet.interfaces import IStreamServerEndpointStringParser
from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import getPlugins

from netkit import net
from netkit.base.addresses import addressText
from netkit.base.endpoints import clientEndpoint, serverEndpoint
from netkit.base.listening import ReactorProxy
from netkit.echo import EchoFactory

from ..certificates import Authority
from ..clients import connect
from ..narrow import tcpAddress

EXAMPLE = "or the like"


class Names(ReactorProxy):
    """
    The reactor, with a resolver of names that knows these, each with several addresses.
    """

    def __init__(self, **names: list[str]) -> None:
        from twisted.internet import reactor

        super().__init__(reactor)
        self.nameResolver = self
        self._names = names

    def resolveHostName(self, receiver: Any, name: str, portNumber: int, **hints: Any) -> None:
        receiver.resolutionBegan(None)
        for host in self._names[name]:
            kind = IPv6Address if ":" in host else IPv4Address
            receiver.addressResolved(kind("TCP", host, portNumber))
        receiver.resolutionComplete()


@pytest.mark.parametrize(
    ("description", "says"),
    [
        ("9872", "write tcp:9872"),
        ("haproxy:9872", "write tcp:9872"),
        ("/run/x", "write unix:/run/x"),
        ("", EXAMPLE),
        ("fd:99999", "string: Bad file descriptor"),
        ("nosuch:1", "Unknown endpoint type: 'nosuch'"),
        ("haproxy:nosuch:1", "Unknown endpoint type: 'nosuch'"),
        ("tcp", "it lacks 'port'"),
        ("tcp:65536", "65536 is no port, which is a number up to 65535"),
        ("tcp:-1:interface=localhost", "-1 is no port"),
        ("tcp:port=65536", "65536 is no port"),
        ("tcp6:99999", "99999 is no port"),
        ("ssl:65536:privateKey=x", "65536 is no port"),
        ("tls:certificates:65536", "65536 is no port"),
        ("haproxy:tcp:65536", "65536 is no port"),
        ("tcp:abc", "'abc' is no number"),
        ("tcp:80:backlog=x", "'x' is no number"),
        ("tcp:80:nosuch=x", "'nosuch' is none of its arguments"),
        ("tcp:80:lo:interface=x", "'interface' is there twice"),
        ("tcp:80:81:82:83", "too many parts"),
        ("tcp:80\\", "backslash"),
        ("tcp:127.0.0.1:80", "write tcp:80:interface=127.0.0.1"),
        ("tcp:localhost:80", "write tcp:80:interface=localhost"),
        ("ssl:localhost:80", "write ssl:80:interface=localhost"),
        ("tcp:::1:80", "write tcp:80:interface=\\:\\:1"),
        ("tcp:80:interface=::1", "write interface=\\:\\:1"),
        ("tcp:80:interface=::1:backlog=5", "write interface=\\:\\:1"),
        ("tcp:80:backlog=5:interface=::", "write interface=\\:\\:"),
        ("tcp:80:interface=[::1]", "write interface=\\:\\:1"),
        ("tcp6:80:interface=2001:db8::1", "write interface=2001\\:db8\\:\\:1"),
        ("tcp:80:interface=fe80::1%lo", "write interface=fe80\\:\\:1%lo"),
        ("ssl:443:interface=::1", "write interface=\\:\\:1"),
        ("tls:certificates:443:interface=::1", "write interface=\\:\\:1"),
        ("haproxy:tcp:80:interface=::1", "write interface=\\:\\:1"),
        ("ssl:443:privateKey=/no/such", "/no/such': No such file or directory"),
        ("unix:", "it lacks a path"),
        ("unix:@", "it lacks a path"),
        ("unix:mode=660", "it lacks 'address'"),
        ("systemd:domain=INET:index=0", "no such socket"),
        ("systemd:domain=INET:name=web", "no such socket"),
        ("haproxy:systemd:domain=INET:index=0", "no such socket"),
        ("systemd:domain=INET", "index or name"),
        ("systemd:index=0", "it lacks 'domain'"),
        ("stdio:", "one connection"),
        ("haproxy:stdio:", "one connection"),
        ("ws:stdio\\:", "one connection"),
    ],
)
def test_no_server_endpoint(description: str, says: str) -> None:
    from twisted.internet import reactor

    with pytest.raises(ValueError, match="is not a server endpoint string: ") as caught:
        serverEndpoint(reactor, description)
    line = str(caught.value)
    assert line.startswith(repr(description))
    assert says in line
    assert "\n" not in line
    assert "()" not in line


@pytest.mark.parametrize(
    ("description", "says"),
    [
        ("9872", "write tcp:localhost:9872"),
        ("/run/x", "write unix:/run/x"),
        ("", EXAMPLE),
        ("stdio:", "Unknown endpoint type: 'stdio'"),
        ("tls:localhost:443:trustRoots=/nosuch", "'/nosuch': No such file or directory"),
        ("ssl:localhost:443:caCertsDir=/nosuch", "'/nosuch': No such file or directory"),
        ("tcp", "it lacks 'host' and 'port'"),
        ("tcp:localhost", "it lacks 'port'"),
        ("tcp:localhost:http", "'http' is no number"),
        ("tcp:localhost:80:nosuch=1", "'nosuch' is none of its arguments"),
        ("tcp:::1:80", "write tcp:\\:\\:1:80"),
        ("tcp:[::1]:80", "write tcp:\\:\\:1:80"),
        ("tcp:host=::1:80:timeout=5", "write tcp:\\:\\:1:80"),
        ("ssl:[2001:db8::1]:443", "write ssl:2001\\:db8\\:\\:1:443"),
        ("tls:::1:443", "write tls:\\:\\:1:443"),
        ("unix:", "it lacks a path"),
        ("unix", "it lacks 'path'"),
        ("tcp:localhost:65536", "65536 is no port, which is a number up to 65535"),
        ("tcp:127.0.0.1:-1", "-1 is no port"),
        ("tcp:localhost:port=65536", "65536 is no port"),
        ("tcp:\\:\\:1:65536", "65536 is no port"),
        ("tls:localhost:65536:timeout=5", "65536 is no port"),
        ("ssl:localhost:65536", "65536 is no port"),
        (f"unix:/{'x' * 107}", "the path has 108 bytes"),
        (f"unix:path=/{'é' * 60}:timeout=5", "the path has 121 bytes"),
    ],
)
def test_no_client_endpoint(description: str, says: str) -> None:
    from twisted.internet import reactor

    with pytest.raises(ValueError, match="is not a client endpoint string: ") as caught:
        clientEndpoint(reactor, description)
    line = str(caught.value)
    assert line.startswith(repr(description))
    assert says in line
    assert "\n" not in line


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "server",
    [
        "unix:@{name}",
        "unix:address=@{name}",
        "unix:mode=600:@{name}",
        "unix:@{name}:lockfile=0",
        "unix:\0{name}",
    ],
)
@pytest.mark.parametrize("client", ["unix:@{name}", "unix:path=@{name}:timeout=9"])
async def test_an_abstract_socket(
    server: str, client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twisted.internet import reactor

    name = f"netkit-{os.getpid()}"
    monkeypatch.chdir(tmp_path)
    port = await serverEndpoint(reactor, server.format(name=name)).listen(EchoFactory())
    assert addressText(port.getHost()) == f"unix:@{name}"
    its = await connect(clientEndpoint(reactor, client.format(name=name)))
    its.transport.write(b"hello")
    its.transport.loseWriteConnection()
    await its.lost
    assert its.received == b"hello"
    await maybeDeferred(port.stopListening)
    assert list(tmp_path.iterdir()) == []


@pytest_twisted.ensureDeferred
async def test_an_abstract_socket_that_is_taken() -> None:
    from twisted.internet import reactor

    endpoint = f"unix:@netkit-{os.getpid()}"
    port = await serverEndpoint(reactor, endpoint).listen(EchoFactory())
    with pytest.raises(CannotListenError, match="already in use"):
        await serverEndpoint(reactor, endpoint).listen(EchoFactory())
    await maybeDeferred(port.stopListening)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("wrapped", ["haproxy:unix:@{name}", "ws:unix\\:@{name}"])
async def test_an_abstract_socket_within_a_string(wrapped: str) -> None:
    from twisted.internet import reactor

    name = f"netkit-{os.getpid()}"
    port = await serverEndpoint(reactor, wrapped.format(name=name)).listen(EchoFactory())
    its = await connect(clientEndpoint(reactor, f"unix:@{name}"))
    its.transport.loseConnection()
    await its.lost
    await maybeDeferred(port.stopListening)


@pytest_twisted.ensureDeferred
async def test_net_on_an_abstract_socket() -> None:
    endpoint = f"unix:@netkit-{os.getpid()}"
    server = net.createServer(lambda socket: socket.end(b"welcome"))
    for backlog in (None, 5):
        await server.listen(endpoint, backlog=backlog)
        its = await net.createConnection(endpoint)
        assert await its.read() == b"welcome"
        await server.close()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("name", ["./@file", "\\@file"])
async def test_a_file_whose_name_begins_with_an_at_sign(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twisted.internet import reactor

    monkeypatch.chdir(tmp_path)
    port = await serverEndpoint(reactor, f"unix:{name}").listen(EchoFactory())
    assert (tmp_path / "@file").is_socket()
    await maybeDeferred(port.stopListening)


def test_haproxy_is_twisteds_for_others() -> None:
    parsers = getPlugins(IStreamServerEndpointStringParser)
    [haproxy] = [parser for parser in parsers if parser.prefix == "haproxy"]
    assert type(haproxy).__module__.startswith("twisted.")


def adopted(monkeypatch: pytest.MonkeyPatch, made: socket.socket, domain: int) -> str | None:
    """
    What is said of a socket that systemd passed on.
    """
    from twisted.internet import reactor

    def parsed(reactor: object, description: str) -> AdoptedStreamServerEndpoint:
        return AdoptedStreamServerEndpoint(reactor, made.fileno(), domain)

    monkeypatch.setattr("netkit.base.endpoints.serverFromString", parsed)
    try:
        serverEndpoint(reactor, "systemd:domain=INET:index=0")
    except ValueError as error:
        return str(error)
    return None


def test_a_socket_of_another_domain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
        made.listen()
        said = adopted(monkeypatch, made, socket.AF_INET)
        assert said is not None
        assert "domain UNIX" in said
        assert adopted(monkeypatch, made, socket.AF_UNIX) is None


def test_a_socket_that_does_not_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as made:
            said = adopted(monkeypatch, made, socket.AF_INET)
            assert said is not None
            assert "does not listen" in said


@pytest.mark.parametrize("addresses", [["127.0.0.2", "127.0.0.1"], ["::1", "127.0.0.1"]])
@pytest_twisted.ensureDeferred
async def test_a_name_of_which_another_address_lives(addresses: list[str]) -> None:
    """
    All are tried, of both families: the first refuses, or is none that this machine can reach.
    """
    reactor = Names(several=addresses)
    port = await serverEndpoint(reactor, "tcp:0:interface=127.0.0.1").listen(EchoFactory())
    client = await connect(
        clientEndpoint(reactor, f"tcp:several:{tcpAddress(port.getHost()).port}")
    )
    client.transport.write(b"data")
    assert await client.receive(4) == b"data"
    assert client.transport.getPeer().host == "127.0.0.1"
    client.transport.loseConnection()
    await client.lost
    await maybeDeferred(port.stopListening)


@pytest_twisted.ensureDeferred
async def test_a_name_in_ipv6_alone() -> None:
    reactor = Names(six=["::1"])
    try:
        port = await serverEndpoint(reactor, r"tcp:0:interface=\:\:1").listen(EchoFactory())
    except CannotListenError:
        pytest.skip("this machine has no IPv6")
    client = await connect(
        clientEndpoint(reactor, f"tcp:host=six:{tcpAddress(port.getHost()).port}")
    )
    assert client.transport.getPeer().host == "::1"
    client.transport.loseConnection()
    await client.lost
    await maybeDeferred(port.stopListening)


@pytest.mark.parametrize("kind", ["tcp", "ssl"])
@pytest_twisted.ensureDeferred
async def test_a_name_of_which_no_address_lives(kind: str) -> None:
    reactor = Names(dead=["127.0.0.2", "127.0.0.1"])
    with pytest.raises(ConnectionRefusedError):
        await connect(clientEndpoint(reactor, f"{kind}:dead:1"))


@pytest.mark.parametrize(
    ("description", "host"),
    [
        ("tcp:127.0.0.1:80", "127.0.0.1"),
        (r"tcp:\:\:1:80", "::1"),
        ("ssl:127.0.0.1:80", "127.0.0.1"),
    ],
)
def test_an_address_is_no_name(description: str, host: str) -> None:
    """
    Nothing is asked of a resolver.
    """
    reactor = MemoryReactorClock()
    clientEndpoint(reactor, description).connect(EchoFactory())
    [(connected, port, *_)] = reactor.tcpClients or reactor.sslClients
    assert (connected, port) == (host, 80)


# Twisted's own use of pyOpenSSL.
@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")
@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("tcp:80", 511),
        ("tcp:80:interface=127.0.0.1", 511),
        ("tcp:80:backlog=50", 50),
        ("tcp:80:127.0.0.1:7", 7),
        ("tcp:80:interface=a\\:backlog=7", 511),
        ("tcp:80:interface=a\\\\:backlog=50", 50),
        ("haproxy:tcp:80", 511),
        ("haproxy:tcp:80:backlog=7", 7),
        ("unix:/run/s", 511),
        ("unix:/run/s:mode=600:backlog=50", 50),
        ("haproxy:unix:/run/s", 511),
        ("ssl:80:privateKey={pem}", 511),
        ("ssl:80:privateKey={pem}:backlog=50", 50),
    ],
)
def test_how_many_may_wait(description: str, expected: int, tmp_path: Path) -> None:
    pem = Authority(tmp_path).issue("localhost") if "{pem}" in description else ""
    reactor = MemoryReactorClock()
    serverEndpoint(reactor, description.format(pem=pem)).listen(EchoFactory())
    [port] = reactor.tcpServers or reactor.unixServers or reactor.sslServers
    assert expected in port
