"""
Files that curl downloads, from both reactors.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.peers import PATIENCE, SCRIPTS, Program, requirePeer

APPLICATION = """
from twisted.application.service import Application

from netkit.http import HTTPFactory, fileResponse
from netkit.service import ListeningService

def handler(request):
    return fileResponse(request, request.path.decode()[1:], root="files")

application = Application("files")
endpoints = ["tcp:0:interface=127.0.0.1", "unix:{socket}", "{tls}"]
service = ListeningService(endpoints, HTTPFactory(handler))
service.setServiceParent(application)
"""

BIG = os.urandom(2**20) * 8


@pytest.fixture(scope="module", params=["epoll", "uvloop"])
def places(
    request: pytest.FixtureRequest, folder: Path, tlsEndpoint: str
) -> Iterator[dict[str, list[str]]]:
    """
    What curl is to be given for each place where a service with files listens.
    """
    (folder / "files").mkdir(exist_ok=True)
    (folder / "files" / "big").write_bytes(BIG)
    socket = folder / f"{request.param}.sock"
    (folder / "files.tac").write_text(APPLICATION.format(socket=socket, tls=tlsEndpoint))
    command = [str(SCRIPTS / "twistd"), "-n", "--pidfile=", f"--reactor={request.param}"]
    program = Program([*command, "-y", "files.tac"], cwd=folder)
    try:
        listening = program.waitForLines(re.compile(r"listens on \S+:(\d+) \((tcp|ssl):"), 2)
        ports = {match[2]: match[1] for match in listening}
        yield {
            "tcp": [f"http://127.0.0.1:{ports['tcp']}/big"],
            "unix": ["--unix-socket", str(socket), "http://x/big"],
            "tls": ["--insecure", f"https://127.0.0.1:{ports['ssl']}/big"],
        }
    finally:
        program.stop()
    assert "Traceback" not in program.output, program.output


@pytest.mark.parametrize("place", ["tcp", "unix", "tls"])
def test_downloads(places: dict[str, list[str]], folder: Path, place: str) -> None:
    output = folder / "downloaded"
    command = [requirePeer("curl"), "--silent", "--fail", "--output", str(output), *places[place]]

    def download(*options: str) -> bytes:
        subprocess.run([*command, *options], check=True, timeout=PATIENCE)
        return output.read_bytes()

    assert download() == BIG
    assert download("--http1.0", "--range", "1000-") == BIG[1000:]
    # It goes on where it was.
    output.write_bytes(BIG[:5_000_000])
    assert download("--continue-at", "-", "--limit-rate", "30M") == BIG
