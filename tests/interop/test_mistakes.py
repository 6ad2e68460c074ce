"""
A mistake on the command line ends the process with a non-zero status and one line.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.peers import Address, daemonCommand, run


@pytest.fixture(params=["tcp", "unix"])
def taken(request: pytest.FixtureRequest, folder: Path) -> Iterator[Address]:
    """
    An address where somebody listens already.
    """
    if request.param == "tcp":
        server = socket.create_server(("127.0.0.1", 0))
        address = Address(port=server.getsockname()[1])
    else:
        address = Address(path=str(folder / "taken.sock"))
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(address.path))
        server.listen()
    with server:
        yield address
    if address.path is not None:
        os.unlink(address.path)


def assertRefused(folder: Path, launcher: str, arguments: list[str], said: str) -> None:
    done = run(daemonCommand(*arguments, launcher=launcher), cwd=folder)
    assert done.status > 0
    lines = (done.output + done.errors).decode().splitlines()
    # What was wrong comes last; what may come before is the log of the start.
    assert said in lines[-1]
    assert [line for line in lines[:-1] if not re.search(r"#info\] |\[-\] ", line)] == []


@pytest.mark.parametrize("launcher", ["twistd", "twist"])
def test_taken_address(folder: Path, launcher: str, taken: Address) -> None:
    """
    It stays taken, however often one tries.
    """
    for _ in range(2):
        assertRefused(folder, launcher, ["netkit-echo", "-l", taken.server], taken.server)


@pytest.mark.parametrize("launcher", ["twistd", "twist"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["netkit-echo", "-l", "9872"], "tcp:9872", id="bare port"),
        pytest.param(["netkit-echo", "-l", "nosuch:1"], "'nosuch:1'", id="unknown kind"),
        pytest.param(["netkit-echo", "-l", ""], "''", id="empty endpoint"),
        pytest.param(["netkit-echo", "-l", "tcp:0", "-l", "tcp:x"], "'tcp:x'", id="second bad"),
        pytest.param(["netkit-echo", "-l", "tcp:99999"], "'tcp:99999'", id="no such port"),
        pytest.param(
            ["netkit-print-respond", "-l", "tcp:0", "--max-content", "minus"],
            "--max-content takes a whole number",
            id="max-content",
        ),
        pytest.param(
            ["netkit-print-respond", "-l", "tcp:0", "--output", "no/such/folder/file"],
            "no/such/folder/file",
            id="unwritable output",
        ),
        pytest.param(["netkit-echo", "-l", "tcp:0", "--format", "x"], "'x'", id="format"),
        pytest.param(["netkit-echo", "--no-such-option"], "no-such-option", id="option"),
        pytest.param(["netkit-echo", "9872"], "'9872'", id="argument"),
        pytest.param(
            ["netkit-print-respond", "-r", "a", "--response-file", "/etc/hostname"],
            "--response-file",
            id="two responses",
        ),
    ],
)
def test_mistake(folder: Path, launcher: str, arguments: list[str], said: str) -> None:
    assertRefused(folder, launcher, arguments, said)
