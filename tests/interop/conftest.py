"""
Fixtures that every interop test has.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.peers import Address, Daemon


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """
    A folder for sockets, which pytest's own are too long for: a UNIX socket's path has about a
    hundred bytes.
    """
    path = Path(tempfile.mkdtemp(prefix="netkit", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def serve(folder: Path) -> Iterator[Callable[..., Daemon]]:
    """
    Start services, each on a TCP port and on a UNIX socket: C{serve("netkit-echo", OPTION...)}
    is a L{Daemon}. Each is stopped at the module's end, where each has to end cleanly.
    """
    daemons: list[Daemon] = []

    def start(name: str, *options: str, launcher: str = "twistd") -> Daemon:
        socket = folder / f"{len(daemons)}.sock"
        listen = ["-l", "tcp:0:interface=127.0.0.1", "-l", f"unix:{socket}"]
        daemon = Daemon(name, *listen, *options, cwd=folder, launcher=launcher)
        daemons.append(daemon)
        return daemon

    yield start
    troubles = []
    for daemon in daemons:
        try:
            daemon.stop()
        except Exception as trouble:
            troubles.append(trouble)
    if troubles:
        raise ExceptionGroup("a service did not end cleanly", troubles)


@pytest.fixture(params=["tcp", "unix"])
def transport(request: pytest.FixtureRequest) -> str:
    """
    Run a test over TCP, and over a UNIX socket.
    """
    return str(request.param)


@pytest.fixture
def freePath(folder: Path) -> Iterator[Address]:
    """
    A UNIX address where nothing is yet, for a server that does not remove its socket.
    """
    path = folder / "free.sock"
    yield Address(path=str(path))
    path.unlink(missing_ok=True)
