"""
What a service says of clients that agree on no TLS with it: one line each, with the reason.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.interop.peers import Daemon, requirePeer, run

SERVICES = ("netkit-echo", "netkit-print-respond", "netkit-http", "netkit-websocket")


def curl(port: int) -> None:
    run([requirePeer("curl"), "--silent", f"https://127.0.0.1:{port}/"])


def oldTLS(port: int) -> None:
    tls = ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]
    run([requirePeer("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", *tls])


def plainHTTP(port: int) -> None:
    run([requirePeer("curl"), "--silent", f"http://127.0.0.1:{port}/"])


def leaves(port: int) -> None:
    socket.create_connection(("127.0.0.1", port)).close()


@pytest.fixture(scope="module", params=SERVICES)
def daemon(
    request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    pem = Authority(tmp_path_factory.mktemp("authority")).issue("127.0.0.1")
    endpoint = f"ssl:0:interface=127.0.0.1:privateKey={pem}:certKey={pem}"
    daemon = Daemon(
        request.param, "-l", endpoint, "--output", "printed", "--format", "text", cwd=folder
    )
    yield daemon
    daemon.stop()
    # Nobody sent anything.
    assert (folder / "printed").read_bytes() == b""


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        (curl, "alert unknown ca"),
        (oldTLS, "unsupported protocol"),
        (plainHTTP, "http request: the peer does not speak TLS"),
        (leaves, "the client left"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_failed_handshake(daemon: Daemon, client: Callable[[int], None], reason: str) -> None:
    known = daemon.output.count("\n")
    client(daemon.address("tls").port or 0)
    daemon.waitForLines(re.compile(rf" 127\.0\.0\.1:\d+: the TLS handshake failed: .*{reason}"))
    assert daemon.output.count("\n") == known + 1, daemon.output


@pytest.mark.parametrize("service", SERVICES)
def test_protocols_that_a_service_does_not_know(
    service: str, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """
    Clients of any kind offer those of HTTP (RFC 7301): a service that has none ignores it, one
    that has others says so.
    """
    pem = Authority(tmp_path_factory.mktemp("authority")).issue("127.0.0.1")
    endpoint = f"ssl:0:interface=127.0.0.1:privateKey={pem}:certKey={pem}"
    daemon = Daemon(service, "-l", endpoint, "--format", "none", cwd=folder)
    try:
        for offer, agreed in [("h2,http/1.1", True), ("h2", False)]:
            peer = f"127.0.0.1:{daemon.address('tls').port}"
            client = [requirePeer("openssl"), "s_client", "-connect", peer, "-alpn", offer]
            done = run(client)
            if service in ("netkit-http", "netkit-websocket"):
                assert (b"ALPN protocol: http/1.1" in done.output) == agreed
                assert (b"no application protocol" in done.errors) != agreed
            else:
                assert b"No ALPN negotiated" in done.output
                assert b"BEGIN CERTIFICATE" in done.output
    finally:
        daemon.stop()
