"""
Runs the load generator against a server.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .environment import Environment, Unusable
from .running import Running, cores, pinned


@dataclass(frozen=True)
class Load:
    """
    What is sent to a server, and what has to come back.

    @ivar requests: what is sent, each in its turn, over and over. Where there is none, the
        handshake is all.
    @ivar expected: the reply, as C{check} says: one for each of the requests, or one for all.
    @ivar check: C{expect}: the reply is just that; C{http}: it is the content of a response;
        C{inflate}: it is the text of a compressed WebSocket message.
    @ivar replies: how many replies a request has.
    @ivar connections: how many there are.
    @ivar mode: as in the load generator's C{--mode}.
    @ivar handshake: what is sent first, once.
    @ivar accept: what the answer to that has to contain.
    """

    requests: tuple[bytes, ...] = ()
    expected: tuple[bytes, ...] = (b"",)
    check: str = "expect"
    replies: int = 1
    connections: int = 50
    mode: str = "closed"
    handshake: bytes = b""
    accept: str = ""


@dataclass(frozen=True)
class Outcome:
    """
    What the load generator measured.

    @ivar exchanges: how many requests were answered.
    @ivar seconds: in what time.
    @ivar server_seconds: of that, the server's processor time.
    @ivar server_waited: in how much of it the server could have run, and another program did.
    @ivar own_share: the share of its core that the load generator took, and who shares it.
    @ivar p50: the median of the times to the answer, in seconds.
    @ivar p99: the time that all but a hundredth stay below.
    """

    exchanges: int
    seconds: float
    server_seconds: float
    server_waited: float
    own_share: float
    p50: float
    p99: float


def drive(
    running: Running,
    environment: Environment,
    load: Load,
    *,
    warmup: float,
    seconds: float,
    rate: float | None = None,
    beside: int | None = None,
) -> Outcome:
    """
    Put a load on a server.

    @param warmup: how many seconds of it are not counted.
    @param seconds: how many are.
    @param rate: how many requests to send a second; as many as are answered, by default.
    @param beside: the process that shares the load generator's core; none by default.
    @raise Unusable: the server did not answer as it should.
    """
    with _command(running, environment, load) as command:
        command += [
            "--warmup",
            str(warmup),
            "--seconds",
            str(seconds),
            "--watch",
            str(running.pid),
        ]
        if rate is not None:
            command += ["--mode", "paced", "--rate", str(rate)]
        if beside is not None:
            command += ["--beside", str(beside)]
        process = pinned(command, cores()[1], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        said, problem = process.communicate()
    if process.returncode:
        text = f"{running.server.name}: {problem.decode().strip()}\n{running.said()}"
        raise Unusable(text.strip())
    return Outcome(**json.loads(said))


@contextmanager
def held(
    running: Running, environment: Environment, load: Load, connections: int
) -> Iterator[None]:
    """
    Hold connections open, which do nothing, while the C{with} statement runs.
    """
    with _command(running, environment, load) as command:
        command += ["--mode", "idle", "--connections", str(connections)]
        process = pinned(command, cores()[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline() != b"open\n":
                raise Unusable(f"{running.server.name}: {running.said()}")
            yield
        finally:
            process.stdin.close()
            process.wait()
            process.stdout.close()


@contextmanager
def _command(running: Running, environment: Environment, load: Load) -> Iterator[list[str]]:
    with tempfile.TemporaryDirectory(prefix="netkit-load-") as folder:

        def file(name: str, content: bytes) -> str:
            path = Path(folder) / name
            path.write_bytes(content)
            return str(path)

        words = [str(environment.folder / "load"), *running.where, "--mode", load.mode]
        words += ["--connections", str(load.connections), "--replies", str(load.replies)]
        if load.requests:
            words += ["--request", file("request", b"".join(load.requests))]
            words += ["--lengths", _lengths(load.requests)]
            words += [f"--{load.check}", file("expected", b"".join(load.expected))]
            words += ["--expect-lengths", _lengths(load.expected)]
        if load.handshake:
            words += ["--handshake", file("handshake", load.handshake), "--accept", load.accept]
        yield words


def _lengths(parts: tuple[bytes, ...]) -> str:
    return ",".join(str(len(each)) for each in parts)
