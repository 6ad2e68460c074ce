"""
Services behind HAProxy, which tells them by the PROXY protocol who the client is.
"""

from __future__ import annotations

import json
import random
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.running import freePort
from tests.interop.http_peers import opened, waitFor
from tests.interop.peers import PATIENCE, Address, Daemon, Program, requirePeer, run

CONTENT = random.Random(1).randbytes(3 * 2**20)

HAPROXY = """
global
    ssl-server-verify none
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen proxy
    bind 127.0.0.1:{port}
    {options}
    server netkit {server} {send}
"""

SENDS = [
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2 proxy-v2-options crc32c,authority,unique-id,ssl,cert-cn",
]

Behind = Callable[..., Address]


@pytest.fixture(params=SENDS, ids=["v1", "v2", "v2-vectors"])
def send(request: pytest.FixtureRequest) -> str:
    """
    How HAProxy is told to tell.
    """
    return str(request.param)


@pytest.fixture
def behind(folder: Path, send: str) -> Iterator[Behind]:
    """
    A function that starts HAProxy in front of a server, and tells where it is.
    """
    programs: list[Program] = []

    def behind(server: Address, more: str = "", options: str = "") -> Address:
        proxy = Address(port=freePort())
        config = folder / "haproxy.cfg"
        place = f"127.0.0.1:{server.port}" if server.path is None else f"unix@{server.path}"
        config.write_text(
            HAPROXY.format(port=proxy.port, server=place, send=f"{send} {more}", options=options)
        )
        programs.append(Program([requirePeer("haproxy"), "-db", "-f", str(config)]))
        waitFor(proxy)
        return proxy

    yield behind
    for program in programs:
        program.stop()


@pytest.fixture(scope="module")
def daemons(folder: Path, tlsEndpoint: str) -> Iterator[Callable[[str], Daemon]]:
    """
    Services that listen on TCP, on a UNIX socket and with TLS, all behind C{haproxy:}.
    """
    running: dict[str, Daemon] = {}

    def daemon(name: str) -> Daemon:
        if name not in running:
            ends = ("tcp:0:interface=127.0.0.1", f"unix:{folder}/{name}.sock", tlsEndpoint)
            listen = [part for end in ends for part in ("-l", f"haproxy:{end}")]
            options = {
                "netkit-echo": [],
                "netkit-print-respond": ["-f", "json"],
                "netkit-http": ["--routes"],
            }[name]
            running[name] = Daemon(name, *listen, *options, cwd=folder)
        return running[name]

    yield daemon
    for program in running.values():
        program.stop()


def place(daemon: Daemon, transport: str) -> Address:
    """
    Where a service listens.
    """
    return daemon.addresses[("tcp", "unix", "tls").index(transport)]


def test_echo(behind: Behind, daemons: Callable[[str], Daemon], transport: str) -> None:
    proxy = behind(place(daemons("netkit-echo"), transport))
    done = run([requirePeer("socat"), "-t", "60", "-", proxy.socat], CONTENT)
    assert (done.status, done.errors) == (0, b"")
    assert done.output == CONTENT


def test_print_respond(behind: Behind, daemons: Callable[[str], Daemon], transport: str) -> None:
    daemon = daemons("netkit-print-respond")
    proxy = behind(place(daemon, transport))
    with opened(proxy) as client, client.makefile("rb") as reply:
        us = "{}:{}".format(*client.getsockname())
        client.sendall(b"by " + transport.encode())
        client.shutdown(socket.SHUT_WR)
        assert reply.read() == b"response data"
    daemon.waitForLines(re.compile(f'"{us}".*"by {transport}"'))


@pytest.mark.parametrize("to", ["tcp", "unix", "tls"])
def test_http(behind: Behind, daemons: Callable[[str], Daemon], to: str) -> None:
    proxy = behind(place(daemons("netkit-http"), to), "ssl" if to == "tls" else "")
    request = (
        b"POST /anything HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
    )
    with opened(proxy) as client, client.makefile("rb") as reply:
        us = "{}:{}".format(*client.getsockname())
        client.sendall(request)
        answer = json.loads(reply.read().split(b"\r\n\r\n", 1)[1])
    assert (answer["peer"], answer["content"]) == (us, "abc")


@pytest.mark.parametrize("send", SENDS[1:2], indirect=True)
def test_a_health_check(behind: Behind, folder: Path) -> None:
    """
    HAProxy says C{LOCAL} then, for itself.
    """
    daemon = Daemon("netkit-http", "-l", f"haproxy:unix:{folder}/check.sock", cwd=folder)
    behind(daemon.addresses[0], "check inter 100ms check-send-proxy", "option httpchk GET /check")
    daemon.waitForLines(re.compile("GET /check"), 3)
    daemon.stop()
    assert "refused" not in daemon.output


def test_curl(daemons: Callable[[str], Daemon]) -> None:
    """
    curl says C{PROXY TCP4}, on TLS as well, in front of it.
    """
    for transport, scheme in (("tcp", "http"), ("tls", "https")):
        port = place(daemons("netkit-http"), transport).port
        url = f"{scheme}://127.0.0.1:{port}/anything"
        done = run([requirePeer("curl"), "-sSk", "--haproxy-protocol", url])
        assert done.status == 0, done.errors
        assert json.loads(done.output)["peer"].startswith("127.0.0.1:")


def test_a_client_that_has_no_header(daemons: Callable[[str], Daemon], transport: str) -> None:
    daemon = daemons("netkit-http")
    with opened(place(daemon, transport)) as client:
        client.settimeout(PATIENCE)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""
    daemon.waitForLines(re.compile("refused, for want of a PROXY header: b'GET / HTTP"))
