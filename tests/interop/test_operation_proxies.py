"""
Services behind nginx and HAProxy are reloaded and stopped while a client is served.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.running import freePort
from compliance.operation import HAPROXY, NGINX
from tests.interop.http_peers import waitFor
from tests.interop.peers import (
    SCRIPTS,
    Address,
    Program,
    daemonCommand,
    eventually,
    requirePeer,
)

# Each request that is over has a line with its status.
TAC = """
from twisted.application.service import Application
from twisted.internet import reactor
from twisted.internet.task import deferLater
from netkit.http import HTTPFactory, Response
from netkit.service import ListeningService

answered = open("answered", "a", buffering=1)

async def handler(request):
    await deferLater(reactor, 0.02)
    return Response(200, b"done")

factory = HTTPFactory(handler, exchangeDone=lambda *done: answered.write(f"{done[1]}\\n"))
application = Application("http")
ListeningService("tcp:0:interface=127.0.0.1", factory).setServiceParent(application)
"""

COMMANDS = {
    "tac": [str(SCRIPTS / "twistd"), "-n", "--pidfile=", "-y", "http.tac"],
    "twist": daemonCommand(
        *["netkit-http", "-l", "tcp:0:interface=127.0.0.1", "--format=none", "--delay=0.02"],
        *["--access-log=answered", "--access-log-format={status}"],
        launcher="twist",
    ),
}


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    """
    The programs that are ended with the test.
    """
    programs: list[Program] = []
    yield programs
    for program in programs:
        program.stop()
        assert "Traceback" not in program.output, program.output


@pytest.mark.parametrize(("proxy", "launcher"), [("nginx", "tac"), ("haproxy", "twist")])
def test_behind_a_proxy(programs: list[Program], folder: Path, proxy: str, launcher: str) -> None:
    """
    A reload loses no request, a stop none that was taken.
    """
    hey = requirePeer("hey")
    its = folder / proxy
    its.mkdir()
    (its / "http.tac").write_text(TAC)
    service = Program(COMMANDS[launcher], cwd=its)
    programs.append(service)
    (found,) = service.waitForLines(re.compile(r"listens on 127.0.0.1:(\d+)"))
    address = Address(port=freePort())
    template = NGINX if proxy == "nginx" else HAPROXY
    places = {"folder": its, "port": address.port, "behind": found[1]}
    (its / "config").write_text(template.format(**places))
    option = ["-e", "stderr", "-c"] if proxy == "nginx" else ["-db", "-f"]
    programs.append(Program([requirePeer(proxy), *option, str(its / "config")]))
    waitFor(address)

    def answered() -> list[str]:
        lines = (its / "answered").read_text() if (its / "answered").exists() else ""
        return lines.splitlines()

    def more() -> None:
        """
        Wait until more requests were answered.
        """
        before = len(answered())
        eventually(lambda: len(answered()), lambda count: count >= before + 200)

    def begin() -> Program:
        client = Program([hey, "-z", "60s", "-c", "20", f"http://127.0.0.1:{address.port}/"])
        programs.append(client)
        more()
        return client

    def end(client: Program) -> dict[str, int]:
        """
        How often each status came, and how often none.
        """
        os.kill(client.pid, signal.SIGINT)
        client.waitForLines(re.compile("Status code distribution"))
        client.stop()
        found = re.findall(r"^  \[(\d+)\]\t(?:(\d+) responses|(.*))", client.output, re.MULTILINE)
        # A status and how many responses, or how many errors and which.
        return {other or key: int(count or key) for key, count, other in found}

    client = begin()
    os.kill(service.pid, signal.SIGHUP)
    service.waitForLines(re.compile("The fresh workers serve"))
    more()
    statuses = end(client)
    assert set(statuses) == {"200"}, statuses
    assert eventually(lambda: len(answered()), lambda count: count >= statuses["200"])
    assert answered() == ["200"] * statuses["200"]
    before = len(answered())
    client = begin()
    assert service.stop() == -signal.SIGTERM
    statuses = end(client)
    # Those that it never heard of are refused by the proxy.
    assert answered()[before:] == ["200"] * statuses["200"], statuses
