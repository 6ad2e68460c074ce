"""
All four services in one process.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import unix_connect

from tests.interop.peers import PATIENCE, Program, daemonCommand, requirePeer, run

SERVICES = ("echo", "print-respond", "http", "websocket")


@pytest.fixture(scope="module", params=["twistd", "twist"])
def sockets(request: pytest.FixtureRequest, folder: Path) -> Iterator[dict[str, str]]:
    """
    Start C{netkit}; the UNIX socket of each service.
    """
    paths = {name: str(folder / f"{name}.sock") for name in SERVICES}
    listen = [argument for name in SERVICES for argument in (f"--{name}", f"unix:{paths[name]}")]
    command = daemonCommand("netkit", *listen, "--format", "none", launcher=request.param)
    netkit = Program(command, cwd=folder)
    try:
        netkit.waitForLines(re.compile("netkit listens:"))
        # The table: a line for each service.
        rows = netkit.waitForLines(re.compile(r"^\s*([a-z-]+)\s+unix:(\S+)$"), len(SERVICES))
        assert {row[1]: row[2] for row in rows} == paths
        yield paths
    finally:
        netkit.stop()
    assert "Traceback" not in netkit.output


def test_all_answer(sockets: dict[str, str]) -> None:
    socat = [requirePeer("socat"), "-t", "60", "-"]
    assert run([*socat, f"UNIX-CONNECT:{sockets['echo']}"], b"hello").output == b"hello"
    answer = run([*socat, f"UNIX-CONNECT:{sockets['print-respond']}"], b"hello").output
    assert answer == b"response data"
    curl = [requirePeer("curl"), "--silent", "--unix-socket", sockets["http"]]
    assert run([*curl, "http://localhost/"]).output == b"response data"
    with unix_connect(sockets["websocket"], "ws://localhost/") as connection:
        connection.send("hello")
        assert connection.recv(PATIENCE) == "hello"
