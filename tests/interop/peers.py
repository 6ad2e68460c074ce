"""
Real programs for the tests to speak with: netkit's services under C{twistd} on one side, programs
that nobody here wrote on the other.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Thread
from time import monotonic, sleep
from typing import NoReturn, TypeVar

import pytest

T = TypeVar("T")

# Far beyond what anything here takes on a busy machine; what waits this long has hung.
PATIENCE = 60.0

HERE = Path(__file__).parent

# The folder of the commands that this Python environment installed, such as twistd and netkit.
SCRIPTS = Path(sysconfig.get_path("scripts"))

# What a service logs for each endpoint that it listens on.
_LISTENING = re.compile(
    r" listens on (unix:(?P<path>\S+)|\S+:(?P<port>\d+)) "
    r"\((ssl:.*\bcertKey=(?P<certificate>[^:)]+))?"
)


def _missing(reason: str) -> NoReturn:
    if os.environ.get("NETKIT_REQUIRE_PEERS") == "1":
        pytest.fail(f"{reason}, and NETKIT_REQUIRE_PEERS=1 asks for it")
    pytest.skip(reason)


def requirePeer(program: str) -> str:
    """
    Find a program that a test needs; without it, skip the test, or fail it where
    C{NETKIT_REQUIRE_PEERS=1} is set.

    @param program: its name on the C{PATH}.
    @return: its path.
    """
    path = shutil.which(program)
    if path is None:
        _missing(f"{program} is not installed")
    return path


def requireNpm(package: str) -> str:
    """
    As L{requirePeer}, for a package of C{tests/interop/package.json}.

    @param package: its name.
    @return: the path of C{node}.
    """
    node = requirePeer("node")
    if not (HERE / "node_modules" / package).is_dir():
        _missing(f"npm's {package} is not installed (npm install --prefix tests/interop)")
    return node


def requireModule(name: str) -> None:
    """
    As L{requirePeer}, for a Python package.

    @param name: its name.
    """
    if importlib.util.find_spec(name) is None:
        _missing(f"Python's {name} is not installed")


@dataclass(frozen=True)
class Address:
    """
    Where a server listens, in the words of each program that connects to it.

    @ivar port: the TCP port on 127.0.0.1; or C{None}.
    @ivar path: the UNIX socket; or C{None}.
    @ivar certificate: the file of the certificate that it shows, where it speaks TLS; or C{None}.
    """

    port: int | None = None
    path: str | None = None
    certificate: str | None = None

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.port is None else f"tcp:{self.port}"

    @property
    def transport(self) -> str:
        """
        C{tcp}, C{tls} or C{unix}.
        """
        if self.port is None:
            return "unix"
        return "tls" if self.certificate else "tcp"

    def origin(self, scheme: str) -> str:
        """
        How a URL begins.

        @param scheme: C{http} or C{ws}; it gets an C{s} for TLS.
        """
        secure = "s" if self.certificate else ""
        host = "localhost" if self.port is None else f"127.0.0.1:{self.port}"
        return f"{scheme}{secure}://{host}"

    @property
    def server(self) -> str:
        """
        A Twisted server endpoint string.
        """
        return f"unix:{self.path}" if self.port is None else f"tcp:{self.port}:interface=127.0.0.1"

    @property
    def client(self) -> str:
        """
        A Twisted client endpoint string.
        """
        return f"unix:{self.path}" if self.port is None else f"tcp:127.0.0.1:{self.port}"

    @property
    def socat(self) -> str:
        """
        A socat address that connects here.
        """
        return f"UNIX-CONNECT:{self.path}" if self.port is None else f"TCP:127.0.0.1:{self.port}"

    @property
    def ncat(self) -> list[str]:
        """
        The arguments with which ncat connects here.
        """
        return ["-U", str(self.path)] if self.port is None else ["127.0.0.1", str(self.port)]

    @property
    def node(self) -> dict[str, str | int]:
        """
        The options of Node's C{net.createConnection} and C{server.listen}.
        """
        if self.port is None:
            return {"path": str(self.path)}
        return {"host": "127.0.0.1", "port": self.port}


def eventually(read: Callable[[], T], enough: Callable[[T], bool]) -> T:
    """
    Wait for what another process writes.

    @param read: reads what there is of it.
    @param enough: whether that is all that is to come.
    @return: what there is when it is, or when L{PATIENCE} is over.
    """
    end = monotonic() + PATIENCE
    while not enough(value := read()) and monotonic() < end:
        sleep(0.01)
    return value


@dataclass(frozen=True)
class Finished:
    """
    How a program ended.
    """

    status: int
    output: bytes
    errors: bytes


def run(command: Sequence[str], data: bytes = b"", *, cwd: Path | None = None) -> Finished:
    """
    Run a program to its end.

    @param data: its standard input.
    @raise subprocess.TimeoutExpired: it did not end in L{PATIENCE}.
    """
    done = subprocess.run(
        command, input=data, capture_output=True, cwd=cwd, timeout=PATIENCE, check=False
    )
    return Finished(done.returncode, done.stdout, done.stderr)


class Program:
    """
    A program that runs beside the test, its output read as it comes.

    @ivar pid: its process id.
    """

    def __init__(
        self, command: Sequence[str], *, cwd: Path | None = None, passed: Sequence[int] = ()
    ) -> None:
        """
        @param command: the program and its arguments.
        @param cwd: the folder it runs in.
        @param passed: the descriptors of ours that it gets.
        """
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            pass_fds=passed,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A program that stays behind is not to hold the terminal's signals.
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._lines: list[str] = []
        self._ended = False
        self._news = Condition()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self._lines.append(line.decode(errors="backslashreplace").rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    @property
    def output(self) -> str:
        """
        All that it wrote so far, errors as well.
        """
        with self._news:
            return "\n".join(self._lines)

    def waitForLines(self, pattern: re.Pattern[str], count: int = 1) -> list[re.Match[str]]:
        """
        Wait until it wrote as many lines in which the pattern is found.

        @raise AssertionError: it ended before, or L{PATIENCE} did.
        """
        found: list[re.Match[str]] = []

        def written() -> bool:
            found[:] = [match for line in self._lines if (match := pattern.search(line))]
            return len(found) >= count or self._ended

        with self._news:
            self._news.wait_for(written, PATIENCE)
        if len(found) < count:
            raise AssertionError(
                f"{self._process.args!r} wrote {len(found)} of {count} lines like "
                f"{pattern.pattern!r}:\n{self.output}"
            )
        return found

    def stop(self) -> int:
        """
        End it as a service manager does, with SIGTERM.

        @return: its exit status, which is minus the signal's number where that ended it.
        @raise subprocess.TimeoutExpired: it did not end in L{PATIENCE}; it was killed.
        """
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._reader.join(PATIENCE)
            assert self._process.stdout is not None
            self._process.stdout.close()


def daemonCommand(*arguments: str, launcher: str = "twistd", scripts: Path = SCRIPTS) -> list[str]:
    """
    The command that runs a service in the foreground.

    @param arguments: the service's name and options.
    @param launcher: C{twistd} or C{twist}.
    @param scripts: the folder of the environment's commands.
    """
    options = ["-n", "--pidfile="] if launcher == "twistd" else ["--log-format=text"]
    if reactor := os.environ.get("NETKIT_TEST_REACTOR"):
        options.append(f"--reactor={reactor}")
    return [str(scripts / launcher), *options, *arguments]


class Daemon(Program):
    """
    A service under a real C{twistd}, which listens when this is made.

    @ivar addresses: where it listens.
    """

    def __init__(
        self,
        *arguments: str,
        cwd: Path,
        launcher: str = "twistd",
        scripts: Path = SCRIPTS,
        listening: int | None = None,
    ) -> None:
        """
        @param arguments: the service's name and options, with at least one C{-l ENDPOINT}; on
            TCP the port may be 0.
        @param cwd: the folder it runs in.
        @param launcher: C{twistd} or C{twist}.
        @param scripts: the folder of the environment's commands.
        @param listening: in how many places it listens; as many as there are endpoints by default.
        @raise AssertionError: it ended before it listened; it says why.
        """
        super().__init__(daemonCommand(*arguments, launcher=launcher, scripts=scripts), cwd=cwd)
        count = sum(argument in ("-l", "--listen") for argument in arguments)
        try:
            found = self.waitForLines(_LISTENING, count if listening is None else listening)
        except BaseException:
            super().stop()
            raise
        self.addresses = [
            Address(path=match["path"])
            if match["path"]
            else Address(port=int(match["port"]), certificate=match["certificate"])
            for match in found
        ]

    def address(self, transport: str) -> Address:
        """
        Where it listens.

        @param transport: C{tcp}, C{tls} or C{unix}.
        """
        return next(address for address in self.addresses if address.transport == transport)

    def stop(self) -> int:
        """
        As L{Program.stop}, and see that it had no trouble.

        @raise AssertionError: it did not end by the signal, or there is a traceback in its log.
        """
        status = super().stop()
        assert status in (0, -signal.SIGTERM), f"exit status {status}:\n{self.output}"
        assert "Traceback" not in self.output, self.output
        return status
