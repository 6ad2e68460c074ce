"""
How long one client waits while another one floods.

For each flood, each server in turn has a client that floods it on one connection, as fast as it
takes (C{python -m benchmarks.fairness FLOOD PORT}), and another one, the victim, that asks for a
little a hundred times a second.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from . import payloads
from . import servers as s
from .environment import Environment, Unusable
from .measures import Bounds, Contender, Sample, Samples
from .running import Place, Running, cores, pinned
from .servers import Server, onEpoll

# Between two requests of the victim, in seconds.
_PAUSE = 0.01

# A victim that waits longer than this counts as having waited for so long.
_PATIENCE = 30.0


@dataclass(frozen=True)
class Flood:
    """
    What one client does, and what another one asks for meanwhile.

    @ivar title: what it is called in the report.
    @ivar opening: what the flooding one sends first; the answer ends with an empty line.
    @ivar first: what it sends next.
    @ivar again: what it sends from then on, again and again.
    @ivar greeting: what the victim sends first, and is answered so.
    @ivar asked: what it sends each time.
    @ivar answered: what the answer to that ends with.
    @ivar servers: who is flooded.
    @ivar flags: more words for the servers.
    """

    title: str
    opening: bytes
    first: bytes
    again: bytes
    greeting: bytes
    asked: bytes
    answered: bytes
    servers: tuple[Server, ...]
    flags: tuple[str, ...] = ()


_HTTP = (s.NETKIT_HTTP, onEpoll(s.NETKIT_HTTP), s.NODE_HTTP, s.TWISTED_WEB)
_WEBSOCKET = (s.NETKIT_WEBSOCKET, onEpoll(s.NETKIT_WEBSOCKET), s.NPM_WS, s.WEBSOCKETS)
_ECHO = (s.NETKIT_ECHO, onEpoll(s.NETKIT_ECHO), s.NODE_ECHO, s.TWISTED_ECHO)

_CHUNKED = b"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
_SMALL = payloads.message(b"x" * 64)
_SMALL_ECHOED = payloads.echoed(b"x" * 64)


def _bomb() -> bytes:
    """
    A message of 1 MiB in few octets.
    """
    return payloads.compressed(bytes(2**20), payloads.BINARY)


FLOODS = {
    "http-chunks": Flood(
        "HTTP content in chunks of one octet",
        b"",
        _CHUNKED,
        b"1\r\nx\r\n" * 4096,
        b"",
        payloads.GET,
        payloads.HELLO,
        _HTTP,
    ),
    "http-pipelined": Flood(
        "HTTP requests, 64 at a time",
        b"",
        b"",
        payloads.GET * 64,
        b"",
        payloads.GET,
        payloads.HELLO,
        _HTTP,
    ),
    "websocket-bombs": Flood(
        "WebSocket messages of 1 MiB, compressed to one thousandth",
        payloads.UPGRADE_WITH_DEFLATE,
        b"",
        _bomb() * 8,
        payloads.UPGRADE,
        _SMALL,
        _SMALL_ECHOED,
        _WEBSOCKET,
        ("--deflate",),
    ),
    "websocket-pings": Flood(
        "WebSocket pings",
        payloads.UPGRADE,
        b"",
        payloads.ping() * 4096,
        payloads.UPGRADE,
        _SMALL,
        _SMALL_ECHOED,
        _WEBSOCKET,
    ),
    "websocket-messages": Flood(
        "WebSocket messages of 1 octet",
        payloads.UPGRADE,
        b"",
        payloads.message(b"x") * 4096,
        payloads.UPGRADE,
        _SMALL,
        _SMALL_ECHOED,
        _WEBSOCKET,
    ),
    "echo-blocks": Flood(
        "TCP echo of blocks of 1 MiB",
        b"",
        b"",
        bytes(2**20),
        b"",
        b"x" * 64,
        b"x" * 64,
        _ECHO,
    ),
}


def _connect(address: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(address)), timeout=_PATIENCE)


def _open(connection: socket.socket, opening: bytes) -> None:
    """
    Do what comes before all else, if there is any.
    """
    if opening:
        connection.sendall(opening)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += connection.recv(1)


def flood(name: str, address: str) -> None:
    """
    Flood, until somebody ends this process, and take all answers.

    @param name: what with.
    @param address: the port of the server.
    """
    how = FLOODS[name]
    connection = _connect(address)
    connection.settimeout(None)
    _open(connection, how.opening)

    def take() -> None:
        into = bytearray(2**18)
        while connection.recv_into(into):
            pass

    threading.Thread(target=take, daemon=True).start()
    print("floods", flush=True)
    connection.sendall(how.first)
    while True:
        connection.sendall(how.again)


def waits(how: Flood, address: str, seconds: float) -> Iterator[float]:
    """
    Ask again and again.

    @param seconds: for how long.
    @return: how long each answer took, in seconds.
    """
    with _connect(address) as connection:
        try:
            _open(connection, how.greeting)
        except TimeoutError:
            yield _PATIENCE
            return
        end = time.monotonic() + seconds
        while (asked := time.monotonic()) < end:
            connection.sendall(how.asked)
            answer = b""
            try:
                while not answer.endswith(how.answered):
                    if not (data := connection.recv(65536)):
                        raise Unusable("the victim was disconnected")
                    answer += data
            except TimeoutError:
                yield _PATIENCE
                return
            yield time.monotonic() - asked
            time.sleep(_PAUSE)


def measure(name: str, server: Server, environment: Environment, seconds: float) -> list[float]:
    """
    Flood a server.

    @param seconds: for how long.
    @return: how long its victim waited each time, in seconds.
    """
    how = FLOODS[name]
    with Running(server, Place(flags=how.flags), environment) as running:
        command = [sys.executable, "-m", "benchmarks.fairness", name, running.address]
        process = pinned(command, cores()[1], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            # The victim's own core is to be its own when it is answered.
            os.setpriority(os.PRIO_PROCESS, process.pid, 10)
            assert process.stdout is not None
            process.stdout.readline()
            found = list(waits(how, running.address, seconds))
            if process.poll() is not None:
                raise Unusable(f"{server.name} disconnected the client that floods")
            return found
        finally:
            process.kill()
            process.communicate()


@dataclass(frozen=True)
class Wait:
    """
    How long a victim waited at the longest, in milliseconds.

    @ivar name: the flood.
    """

    name: str
    unit = "ms"
    moreIsBetter = False

    def pairs(self, one: Contender, other: Contender, bounds: Bounds) -> Iterator[Samples]:
        for _ in range(bounds.pairs):
            yield self._sample(one, bounds), self._sample(other, bounds)

    def _sample(self, contender: Contender, bounds: Bounds) -> Sample:
        seconds = 2 * bounds.seconds
        try:
            found = measure(self.name, contender.server, contender.environment, seconds)
        except OSError as error:
            raise Unusable(f"{contender.server.name}: {error}") from error
        return Sample(max(found) * 1000)


if __name__ == "__main__":
    flood(*sys.argv[1:])
