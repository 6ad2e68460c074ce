"""
C{netkit replay}: what real clients did is done again, and compared.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect, unix_connect

from tests.interop.peers import PATIENCE, SCRIPTS, Daemon, Finished, requirePeer, run

NETKIT = str(SCRIPTS / "netkit")
LISTEN = ("-l", "tcp:0:interface=127.0.0.1", "--format", "none")


@contextmanager
def serving(folder: Path, name: str, *options: str) -> Iterator[Daemon]:
    daemon = Daemon(name, *LISTEN, *options, cwd=folder)
    try:
        yield daemon
    finally:
        daemon.stop()


def replay(daemon: Daemon, capture: Path, *options: str, transport: str = "tcp") -> Finished:
    to = daemon.address(transport).client
    return run([NETKIT, "replay", str(capture), "--to", to, "--diff", *options])


def test_http(folder: Path, tmp_path: Path) -> None:
    """
    Exchanges of each kind on two connections, and the same with a service that changed.
    """
    capture = tmp_path / "capture"
    with serving(folder, "netkit-http", "--routes", "--capture", str(capture)) as http:
        origin = http.address("tcp").origin("http")
        urls = [f"{origin}/status/[200-299:9]", f"{origin}/stream/[1-20]", f"{origin}/[1-50]"]
        done = run([requirePeer("curl"), "--silent", "--output", os.devnull, *urls])
        assert done.status == 0
        form = ["--data", "x" * 100_000, f"{origin}/form"]
        run([requirePeer("curl"), "--silent", *form])
    with serving(folder, "netkit-http", "--routes") as same:
        done = replay(same, capture, "--fast")
        assert done.status == 0, done.output
        assert done.output.splitlines()[-1] == b"2 connections, 0 different"
    with serving(folder, "netkit-http", "--routes", "--response", "changed") as other:
        done = replay(other, capture, "--fast")
        assert done.status == 1
        changed = [line for line in done.output.splitlines() if b"content b'changed'" in line]
        assert len(changed) == 51
        done = replay(other, capture, "--fast", "--connection", "2")
        assert done.output.splitlines()[-1] == b"1 connections, 1 different"


@pytest.mark.parametrize(("transport", "compression"), [("tcp", None), ("unix", "deflate")])
def test_websocket(folder: Path, tmp_path: Path, transport: str, compression: str | None) -> None:
    """
    Conversations with both kinds of messages.
    """
    capture = tmp_path / "capture"
    listen = ["-l", f"unix:{folder}/replayed.sock"]
    with serving(folder, "netkit-websocket", *listen, "--capture", str(capture)) as websocket:
        address = websocket.address(transport)
        options: dict[str, Any] = {"compression": compression}
        for number in range(5):
            if address.path:
                client = unix_connect(address.path, "ws://localhost/chat", **options)
            else:
                client = connect(f"{address.origin('ws')}/chat", proxy=None, **options)
            with client as connection:
                for message in (f"hello {number} " * 50, os.urandom(1000), "", b"x" * 100_000):
                    connection.send(message)
                    assert connection.recv(PATIENCE) == message
                connection.ping().wait(PATIENCE)
    with serving(folder, "netkit-websocket", *listen) as same:
        done = replay(same, capture, "--fast", transport=transport)
        assert (done.status, done.output) == (0, b"5 connections, 0 different\n"), done.errors
    with serving(folder, "netkit-websocket", *listen, "--path", "/other") as other:
        one = ["--fast", "--connection", "1", "--timeout", "0.3"]
        done = replay(other, capture, *one, transport=transport)
        assert done.status == 1
        assert b"answer 1: status 404, 101 recorded" in done.output


def test_tcp_dialogues(folder: Path, tmp_path: Path) -> None:
    capture = tmp_path / "capture"
    content = os.urandom(2**20)
    with serving(folder, "netkit-echo", "--capture", str(capture)) as echo:
        client = echo.address("tcp").client
        for data in (b"hello", content, b""):
            assert run([NETKIT, "send", client], data).output == data
    with serving(folder, "netkit-echo") as same:
        done = replay(same, capture, "--speed", "3")
        assert (done.status, done.output) == (0, b"3 connections, 0 different\n")
    with serving(folder, "netkit-print-respond") as other:
        done = replay(other, capture, "--fast", "--timeout", "0.3")
        assert done.status == 1
        assert b"connection 1: 13 octets, 5 recorded; they differ from octet 0 on" in done.output
        assert done.output.endswith(b"3 connections, 3 different\n")


def test_nobody_is_there(folder: Path, tmp_path: Path) -> None:
    capture = tmp_path / "capture"
    with serving(folder, "netkit-echo", "--capture", str(capture)) as echo:
        client = echo.address("tcp").client
        run([NETKIT, "send", client], b"hello")
    done = run([NETKIT, "replay", str(capture), "--to", client, "--diff", "--fast"])
    assert done.status == 1
    assert b"connection 1: there is no connection: " in done.output
    assert b" %b: Connection refused." % client.encode() in done.output
    done = run([NETKIT, "replay", str(capture), "--to", "tcp:80"])
    assert done.status == 2
    assert done.errors.count(b"\n") == 1
    done = run([NETKIT, "replay", str(capture), "--to", client, "--connection", "9"])
    assert done.errors == b"netkit replay: there is no such connection in the recording\n"
