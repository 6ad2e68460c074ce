"""
Tests for L{netkit.base.endpoints}.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.interfaces import IStreamServerEndpointStringParser
from twisted.plugin import getPlugins

from netkit import net
from netkit.base.addresses import addressText
from netkit.base.endpoints import clientEndpoint, serverEndpoint
from netkit.echo import EchoFactory

from ..clients import connect

EXAMPLE = "or the like"


@pytest.mark.parametrize(
    ("description", "says"),
    [
        ("9872", "write tcp:9872"),
        ("haproxy:9872", "write tcp:9872"),
        ("/run/x", "write unix:/run/x"),
        ("", EXAMPLE),
        ("nosuch:1", "Unknown endpoint type: 'nosuch'"),
        ("haproxy:nosuch:1", "Unknown endpoint type: 'nosuch'"),
        ("tcp", "it lacks 'port'"),
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
