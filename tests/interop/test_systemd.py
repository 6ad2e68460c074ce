"""
Services on the sockets of systemd, which stay as they are.
"""

from __future__ import annotations

import os
import re
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.http_peers import opened
from tests.interop.peers import SCRIPTS, Address, Program, requirePeer, run

# What systemd does for a service: passes on a socket that listens, as descriptor 3.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_FDNAMES="echo", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""

LISTENS = re.compile("echo listens on ")

Service = Callable[..., list[str]]


@pytest.fixture(params=["epoll", "uvloop"])
def service(request: pytest.FixtureRequest) -> Service:
    """
    A function that gives the command of the echo service, under either reactor.
    """

    def service(endpoint: str) -> list[str]:
        reactor = f"--reactor={request.param}"
        twistd = [str(SCRIPTS / "twistd"), "-n", "--pidfile=", reactor]
        return [*twistd, "netkit-echo", "-l", endpoint]

    return service


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    """
    A function that starts a program, which is ended with the test.
    """
    programs: list[Program] = []

    def start(command: list[str], *passed: int) -> Program:
        programs.append(Program(command, passed=passed))
        return programs[-1]

    yield start
    for program in programs:
        program.stop()
        assert "Traceback" not in program.output, program.output


def echo(address: Address) -> bytes:
    """
    What comes back.
    """
    with opened(address) as client, client.makefile("rb") as reply:
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        return reply.read()


@pytest.mark.parametrize(
    ("options", "which"),
    [(["--fdname=echo"], "index=0"), (["--fdname=echo"], "name=echo"), ([], "index=0")],
)
def test_systemd_socket_activate(
    service: Service,
    start: Callable[..., Program],
    folder: Path,
    options: list[str],
    which: str,
) -> None:
    activate = requirePeer("systemd-socket-activate")
    path = folder / "activated.sock"
    path.unlink(missing_ok=True)
    command = [activate, *options, "-l", str(path)]
    program = start([*command, *service(f"systemd:domain=UNIX:{which}")])
    program.waitForLines(re.compile("Listening on"))
    path.chmod(0o600)
    assert echo(Address(path=str(path))) == b"hello"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    program.stop()
    assert path.is_socket()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_one_service_after_the_other(
    service: Service, start: Callable[..., Program], folder: Path
) -> None:
    """
    Who connects in between is served by the second, as systemd has it for a restart.
    """
    path = folder / "kept.sock"
    address = Address(path=str(path))
    with socket.socket(socket.AF_UNIX) as kept:
        kept.bind(str(path))
        path.chmod(0o600)
        kept.listen()
        before = path.stat()
        command = [sys.executable, "-c", ACTIVATE, str(kept.fileno())]
        command += service("systemd:domain=UNIX:name=echo")
        first = start(command, kept.fileno())
        first.waitForLines(LISTENS)
        assert echo(address) == b"hello"
        first.stop()
        with opened(address) as waiting, waiting.makefile("rb") as reply:
            waiting.sendall(b"in between")
            waiting.shutdown(socket.SHUT_WR)
            second = start(command, kept.fileno())
            second.waitForLines(LISTENS)
            assert reply.read() == b"in between"
        assert echo(address) == b"hello"
        second.stop()
        after = path.stat()
    path.unlink()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


def test_a_successor_keeps_its_socket(
    service: Service, start: Callable[..., Program], folder: Path
) -> None:
    path = folder / "passed.sock"
    first = start(service(f"unix:{path}"))
    first.waitForLines(LISTENS)
    for file in (path, Path(f"{path}.lock")):
        file.unlink()
    second = start(service(f"unix:{path}"))
    second.waitForLines(LISTENS)
    first.stop()
    assert echo(Address(path=str(path))) == b"hello"
    second.stop()
    assert not os.path.lexists(path)


@pytest.mark.parametrize("which", ["index=0", "name=echo"])
def test_no_socket_from_systemd(service: Service, which: str) -> None:
    done = run(service(f"systemd:domain=UNIX:{which}"))
    assert done.status == 1
    assert b"no such socket" in done.errors
    assert b"Traceback" not in done.errors
