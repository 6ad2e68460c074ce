"""
A server that runs.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import IO, Any

from .environment import Environment, Unusable
from .servers import Server

# A server that has not come up after so many seconds will not.
_PATIENCE = 20.0


def cores() -> tuple[int, int]:
    """
    The core of the servers and that of the load generator: the same one where there is no second.
    """
    available = sorted(os.sched_getaffinity(0))
    return available[0], available[-1]


@dataclass(frozen=True)
class Place:
    """
    Where a server is to listen, and how.

    @ivar unix: on a UNIX socket in place of a TCP port.
    @ivar tls: with TLS.
    @ivar resume: with TLS, whose sessions are resumed.
    @ivar flags: more words of its command line.
    """

    unix: bool = False
    tls: bool = False
    resume: bool = False
    flags: tuple[str, ...] = ()


class Running:
    """
    A server that runs while the C{with} statement does.

    @ivar pid: its process.
    @ivar address: its port or path.
    """

    def __init__(self, server: Server, place: Place, environment: Environment) -> None:
        """
        @param server: what to run.
        @param place: where it listens.
        @param environment: what to run it with.
        """
        self.server = server
        self._place = place
        self._environment = environment

    def __enter__(self) -> Running:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="netkit-bench-")))
            self.address = str(folder / "socket") if self._place.unix else str(freePort())
            flags = list(self._place.flags)
            if self._place.tls:
                flags.append(f"--tls={self._environment.certificate}")
            command = self.server.command(self._environment, flags, self.address)
            self._log = stack.enter_context((folder / "log").open("w+"))
            process = start(command, self._environment, self._log)
            stack.callback(_end, process)
            self.pid = process.pid
            try:
                awaitListening(self.address, process)
            except Unusable as error:
                raise Unusable(f"{self.server.name} {error}\n{self.said()}".strip()) from None
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def where(self) -> list[str]:
        """
        The words by which the load generator finds it.
        """
        words = ["--unix" if self._place.unix else "--tcp", self.address]
        if self._place.tls:
            words.append("--resume" if self._place.resume else "--tls")
        return words

    def said(self) -> str:
        """
        The end of what it wrote to its log.
        """
        self._log.seek(0)
        return self._log.read()[-2000:]

    def times(self) -> tuple[float, float]:
        """
        The processor time that it took so far, in itself and in the kernel, in seconds.
        """
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        tick = os.sysconf("SC_CLK_TCK")
        return int(fields[11]) / tick, int(fields[12]) / tick

    def waited(self) -> float:
        """
        How long it could have run so far, and another program did, in seconds.
        """
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[1]) / 1e9

    def residentSize(self) -> int:
        """
        How many octets of memory it occupies.
        """
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")


def _end(process: subprocess.Popen[bytes]) -> None:
    # With its workers, if it has any.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def start(
    command: Sequence[str], environment: Environment, output: IO[str] | int
) -> subprocess.Popen[bytes]:
    """
    Start a program on the servers' core, in a process group of its own.
    """
    variables = {
        **os.environ,
        "PYTHONPATH": str(environment.tree),
        # As installed: compiled before, whatever this process was told about that.
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(environment.folder / "pycache"),
        "NODE_PATH": str(environment.folder / "node_modules"),
        "NODE_ENV": "production",
    }
    return pinned(
        command,
        cores()[0],
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def pinned(command: Sequence[str], core: int, **arguments: Any) -> subprocess.Popen[Any]:
    """
    Start a program on one core.

    @param arguments: of L{subprocess.Popen}.
    @raise Unusable: there is no such program.
    """
    try:
        process = subprocess.Popen(command, **arguments)
    except FileNotFoundError:
        raise Unusable(f"{command[0]} is not installed") from None
    os.sched_setaffinity(process.pid, {core})
    return process


def freePort() -> int:
    """
    A TCP port that nobody listens on, and none of those that the system gives to whoever asks for
    any: it stays free until its program listens.
    """
    while True:
        port = secrets.randbelow(20_000) + 10_000
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


def awaitListening(address: str, process: subprocess.Popen[bytes]) -> None:
    """
    Wait until somebody listens.

    @param address: a port or a path.
    @param process: who is to.
    @raise Unusable: nobody does.
    """
    deadline = time.monotonic() + _PATIENCE
    family = socket.AF_INET if address.isdigit() else socket.AF_UNIX
    name = ("127.0.0.1", int(address)) if address.isdigit() else address
    while time.monotonic() < deadline:
        with socket.socket(family) as probe:
            if probe.connect_ex(name) == 0:
                return
        if process.poll() is not None:
            raise Unusable("ended before it listened")
        time.sleep(0.002)
    raise Unusable(f"does not listen after {_PATIENCE:.0f} seconds")
