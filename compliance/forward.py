"""
The relay under all that can happen to its connections, and what it takes in memory.

    python -m compliance.forward [--seed N] [--connections 1000] [--size 1073741824]
                                 [--reactor default|uvloop]

First C{twistd netkit-forward} as a process: ends that do not read, and so many octets in each
direction, while its memory is watched.

Then a storm: so many connections at once through a relay in this process. Each has a plan for both
of its ends, made from the seed, which is printed: how much an end sends, whether it stalls,
half-closes, or resets, and when. Whatever arrives is compared with what was sent; each end has to
be told how the other one ended; and nothing may be left. The same seed makes the same plans.

The exit status is 0, or 1 and what was wrong is said.
"""

from __future__ import annotations

import os
import random
import re
import secrets
import socket
import subprocess
import sys
import sysconfig
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

_DATA = random.Random(1).randbytes(2**21)

# How long a connection may take, in seconds: those that hang are told of.
_PATIENCE = 120.0


@dataclass(frozen=True)
class Plan:
    """
    What one end of a connection does.

    @ivar start: where in the data what it sends begins, which is another place for each end.
    @ivar size: how much it sends before it half-closes.
    @ivar resets: whether it resets the connection in place of half-closing.
    @ivar stall: for how many seconds it does not read at first.
    @ivar delay: how many seconds it waits in the middle of what it sends.
    """

    start: int
    size: int
    resets: bool
    stall: float
    delay: float

    @property
    def content(self) -> bytes:
        return _DATA[self.start : self.start + self.size]


def plans(seed: int, number: int) -> tuple[Plan, Plan]:
    """
    Make the plans of the two ends of a connection, of which one resets it at most.
    """
    chosen = random.Random(f"{seed} {number}")
    resets = chosen.choice(["client", "server", None, None])
    both = [
        Plan(
            start=chosen.randrange(len(_DATA) // 2),
            # Most are small, some are more than all buffers take.
            size=int((len(_DATA) // 2) ** chosen.random()) - 1,
            resets=resets == who,
            stall=chosen.choice([0.0, 0.0, chosen.random() / 2]),
            delay=chosen.choice([0.0, chosen.random() / 5]),
        )
        for who in ("client", "server")
    ]
    return both[0], both[1]


@implementer(IHalfCloseableProtocol)
class End(Protocol):
    """
    One end of a connection.

    @ivar done: fires with the end when the connection is over.
    @ivar how: how the other end was seen to end: C{half-close}, C{reset}, or nothing where this
        one reset the connection.
    """

    transport: ITCPTransport

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.done: Deferred[End] = Deferred()
        self.received = bytearray()
        self.how = ""
        self.finished = False
        self.lost = False

    def act(self, plan: Plan) -> None:
        """
        Do what the plan says.
        """
        self.plan = plan
        if plan.stall:
            self._producer().pauseProducing()
            self.reactor.callLater(plan.stall, self._read)
        half = len(plan.content) // 2
        self.transport.write(plan.content[:half])
        self.reactor.callLater(plan.delay, self._finish, plan.content[half:])

    def _producer(self) -> Any:
        return self.transport

    def _read(self) -> None:
        if not (self.lost or self.how):
            self._producer().resumeProducing()

    def _finish(self, rest: bytes) -> None:
        if self.lost:
            return
        self.transport.write(rest)
        self.finished = True
        if self.plan.resets:
            self.transport.abortConnection()
        else:
            self.transport.loseWriteConnection()

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def readConnectionLost(self) -> None:
        self.how = "half-close"

    def writeConnectionLost(self) -> None:
        self._closeIfOver()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True
        if not self.how and not reason.check(ConnectionDone):
            self.how = "reset"
        self.done.callback(self)

    def _closeIfOver(self) -> None:
        if self.how:
            self.transport.loseConnection()
        else:
            self.reactor.callLater(0.01, self._closeIfOverLater)

    def _closeIfOverLater(self) -> None:
        if not self.lost:
            self._closeIfOver()


class Server(End):
    """
    The end that is connected to: the first octets say whose plan it follows.
    """

    def __init__(self, reactor: Any, seed: int, known: dict[int, Server]) -> None:
        super().__init__(reactor)
        self._seed = seed
        self._known = known
        self._number: bytes | None = b""

    def readConnectionLost(self) -> None:
        super().readConnectionLost()
        if self._number is not None:
            # The client had left before the relay was connected.
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        if self._number is not None:
            self._number += data
            if len(self._number) < 4:
                return
            number, data = int.from_bytes(self._number[:4], "big"), self._number[4:]
            self._number = None
            self._known[number] = self
            self.act(plans(self._seed, number)[1])
        super().dataReceived(data)


async def storm(
    reactor: Any,
    seed: int,
    connections: int,
    listen: Callable[[Factory[Any]], Any],
) -> Counter[str]:
    """
    Have so many connections at once.

    @param listen: makes a factory listen, behind a relay, and gives the endpoint to connect to,
        when awaited.
    @return: how many ended in which way.
    @raise AssertionError: something was lost, or not told.
    """
    servers: dict[int, Server] = {}
    all_: list[Server] = []

    def built() -> Server:
        all_.append(Server(reactor, seed, servers))
        return all_[-1]

    factory: Factory[Any] = Factory.forProtocol(built)
    factory.noisy = False
    endpoint: IStreamClientEndpoint = await listen(factory)

    async def one(number: int) -> str:
        mine, its = plans(seed, number)
        made: Factory[Any] = Factory.forProtocol(lambda: End(reactor))
        made.noisy = False
        client: End = await endpoint.connect(made)
        client.transport.write(number.to_bytes(4, "big"))
        client.act(mine)
        await client.done
        server = servers.get(number)
        if server is None:
            # The reset overtook the number.
            assert mine.resets, f"{number}: never arrived"
            return "reset at once"
        await server.done
        for who, end, other in (("client", client, its), ("server", server, mine)):
            content = bytes(end.received)
            told = f"{number}, {who}: {mine}, {its}: {len(content)} octets, {end.how}"
            assert other.content.startswith(content), f"other octets: {told}"
            if other.resets:
                assert end.how == "reset", f"a reset that was not told: {told}"
            elif not end.plan.resets:
                assert content == other.content, f"octets were lost: {told}"
                assert end.how == "half-close", f"an end that was not told: {told}"
        return "reset" if mine.resets or its.resets else "half-closed"

    waiting = [
        Deferred.fromCoroutine(one(number)).addTimeout(_PATIENCE, reactor)
        for number in range(connections)
    ]
    results: list[str] = await gatherResults(waiting, consumeErrors=True)
    for server in all_:
        if not server.lost:
            await server.done
    return Counter(results)


def memory(pid: int, field: str) -> int:
    """
    How many octets of memory a process takes.

    @param field: as in proc(5): C{VmRSS} now, C{VmHWM} at most so far.
    """
    found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


class Relay:
    """
    C{twistd netkit-forward} in front of a listening socket of ours.
    """

    def __init__(self, reactor: str) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        twistd = str(Path(sysconfig.get_path("scripts")) / "twistd")
        command = [twistd, "-n", "--pidfile=", f"--reactor={reactor}", "netkit-forward"]
        command += ["-l", "tcp:0:interface=127.0.0.1"]
        command += ["--to", f"tcp:127.0.0.1:{self.server.getsockname()[1]}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"listens on 127.0.0.1:(\d+)", line):
                self.port = int(found[1])
                break
        else:
            raise AssertionError("the relay did not start")

    def connected(self) -> tuple[socket.socket, socket.socket]:
        """
        Both ends of a new connection.
        """
        client = socket.create_connection(("127.0.0.1", self.port))
        server, _ = self.server.accept()
        return client, server

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.server.close()


def flood(relay: Relay, size: int) -> int:
    """
    Send so many octets each way at once, and compare them.

    @return: by how many octets the relay's memory grew meanwhile, at most.
    """
    warm = relay.connected()
    _send(warm[0], 2**20)
    _receive(warm[1], 2**20)
    client, server = relay.connected()
    before = memory(relay.process.pid, "VmRSS")
    ends = [(client, server), (server, client)]
    senders = [Thread(target=_send, args=(source, size)) for source, _ in ends]
    wrong: list[int] = []

    def receive(sink: socket.socket) -> None:
        if not _receive(sink, size):
            wrong.append(1)

    receivers = [Thread(target=receive, args=(sink,)) for _, sink in ends]
    for thread in (*senders, *receivers):
        thread.start()
    for thread in (*senders, *receivers):
        thread.join()
    for end in (client, server, *warm):
        end.close()
    assert not wrong, "octets are missing, or others arrived"
    return memory(relay.process.pid, "VmHWM") - before


def stalled(relay: Relay, connections: int) -> int:
    """
    Have ends send all that is taken to ends that do not read.

    @return: by how many octets the relay's memory grew for each connection.
    """
    ends = []
    before = memory(relay.process.pid, "VmRSS")
    for number in range(connections):
        client, server = relay.connected()
        source = (client, server)[number % 2]
        source.settimeout(0.3)
        ends += [client, server]
        try:
            while True:
                source.send(_DATA)
        except TimeoutError:
            pass
    grown = memory(relay.process.pid, "VmRSS") - before
    for end in ends:
        end.close()
    return grown // connections


def _send(sink: socket.socket, size: int) -> None:
    for _ in range(size // len(_DATA)):
        sink.sendall(_DATA)
    sink.sendall(_DATA[: size % len(_DATA)])
    sink.shutdown(socket.SHUT_WR)


def _receive(source: socket.socket, size: int) -> bool:
    """
    Receive to the end, and tell whether that was what was sent.
    """
    position = 0
    while data := source.recv(2**18):
        start = position % len(_DATA)
        expected = _DATA[start : start + len(data)]
        if len(expected) < len(data):
            expected += _DATA[: len(data) - len(expected)]
        if data != expected:
            return False
        position += len(data)
    return position == size


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def behindRelay(reactor: Any, factory: Factory[Any], relays: list[Any]) -> Any:
    """
    Listen on a port of 127.0.0.1, and on another one for a relay to it.

    @param relays: what the relay's factory is put into, and the ports.
    @return: the relay's endpoint, for clients.
    """
    from netkit.base.endpoints import clientEndpoint, serverEndpoint
    from netkit.forward import RelayFactory

    async def listening(served: Any) -> IStreamClientEndpoint:
        endpoint: IStreamServerEndpoint = serverEndpoint(reactor, "tcp:0:interface=127.0.0.1")
        port: Any = await endpoint.listen(served)
        relays.append(port)
        return clientEndpoint(reactor, f"tcp:127.0.0.1:{port.getHost().port}")

    relay = RelayFactory(await listening(factory))
    relays.append(relay)
    return await listening(relay)


async def storms(reactor: Any, seed: int, connections: int) -> None:
    """
    Have a storm, and see that nothing is left.
    """
    made: list[Any] = []
    began = time.monotonic()
    counts = await storm(
        reactor, seed, connections, lambda factory: behindRelay(reactor, factory, made)
    )
    server, relay, port = made
    for listening in (server, port):
        await listening.stopListening()
    await relay.closeConnections(1.0)
    left: Deferred[None] = Deferred()
    reactor.callLater(0.1, left.callback, None)
    await left
    assert not relay.connections, f"{len(relay.connections)} connections are left"
    assert relay.budget.used == 0
    print(f"{connections} connections in {time.monotonic() - began:.1f} s: {dict(counts)}")


def main() -> int:
    """
    Do what the command line asks for.
    """
    parser = ArgumentParser(prog="python -m compliance.forward")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--size", type=int, default=2**30)
    parser.add_argument("--reactor", default="default")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    if arguments.reactor == "uvloop":
        import netkit.reactor

        netkit.reactor.install()
    relay = Relay(arguments.reactor)
    try:
        grown = stalled(relay, 20)
        print(
            f"an end that does not read: {grown / 2**20:.2f} MiB for each connection", flush=True
        )
        assert grown < 8 * 2**20
        grown = flood(relay, arguments.size)
        print(f"{arguments.size} octets each way: {grown / 2**20:.1f} MiB more", flush=True)
        assert grown < 8 * 2**20
    finally:
        relay.stop()
    from twisted.internet import reactor

    failed: list[Failure] = []

    async def run(reactor: Any) -> None:
        try:
            # What the reactor makes once is there then.
            await storms(reactor, arguments.seed, 10)
            before = descriptors()
            await storms(reactor, arguments.seed, arguments.connections)
            assert descriptors() == before, f"{descriptors() - before} descriptors are left"
        except Exception:
            failed.append(Failure())

    Deferred.fromCoroutine(run(reactor)).addBoth(lambda _: reactor.stop())  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]
    for failure in failed:
        failure.printTraceback(sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
