"""
What a capture and a printed stream promise, at a scale that is too much for the test suite.

    python -m compliance.capture slow|drop         a million events for a disk that stalls
    python -m compliance.capture posts             ten POSTs of 60 MiB at once
    python -m compliance.capture connections       10,000 connections
    python -m compliance.capture load [SECONDS]    all services under load, for 300 seconds
    python -m compliance.capture replay            HTTP exchanges and WebSockets, done again
    python -m compliance.capture output            a reader of the printed stream that stalls

Each says what it measured. The exit status is 0, or 1 where something is not as it should be.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import websockets
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater, react
from twisted.internet.testing import StringTransport

from netkit.capture import RecordedFactory, Recorder
from netkit.capture.reading import Recordings
from netkit.capture.recorder import ISink
from netkit.capture.segments import SegmentFiles, Segments
from netkit.wire.recording import Dropped, Octets, Opened

MIB = 2**20
EVENTS = 10**6
SERVICES = ("echo", "print-respond", "http", "websocket")


class Trouble(Exception):
    """
    Something is not as it should be.
    """


def check(whether: bool, what: str) -> None:
    """
    Say that something holds.

    @raise Trouble: it does not.
    """
    if not whether:
        raise Trouble(f"not so: {what}")
    print(f"holds: {what}")


# A disk that stalls


class Stalling(SegmentFiles):
    """
    Files on a disk that stalls now and then.
    """

    def write(self, events: Any) -> None:
        if random.random() < 0.2:
            time.sleep(random.random() / 5)
        super().write(events)


async def disk(reactor: Any, drop: bool) -> None:
    """
    Record a million pieces of a connection, as fast as it is read from.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "recorded"
        files = Stalling(folder, size=64 * MIB, count=1000, application="compliance")
        segments = Segments(files, reactor, drop=drop, maxQueued=MIB)
        segments.start()
        recorder = Recorder([ISink(segments)], reactor)
        factory = RecordedFactory(Factory.forProtocol(Protocol), recorder, "test")
        protocol = factory.buildProtocol(None)
        ends = IPv4Address("TCP", "127.0.0.1", 1), IPv4Address("TCP", "127.0.0.1", 2)
        transport: Any = StringTransport(*ends)
        protocol.makeConnection(transport)
        waited = 0
        sent = 0
        for number in range(EVENTS):
            while transport.producerState == "paused":
                waited += 1
                await deferLater(reactor, 0.001)
            data = b"%d;" % number
            sent += len(data)
            protocol.dataReceived(data)
            if number % 1000 == 0:
                await deferLater(reactor, 0)
        recorder.flush()
        await segments.stop()
        kept = dropped = events = 0
        expected = 0
        with Recordings(folder) as recordings:
            for event in recordings.read():
                if isinstance(event, Octets):
                    events += 1
                    kept += event.length
                    found = int(event.data[:-1])
                    if found < expected or (found != expected and not drop):
                        raise Trouble(f"{found} came where {expected} was to come")
                    expected = found + 1
                elif isinstance(event, Dropped):
                    dropped += event.received
        print(
            f"{events} of {EVENTS} pieces are recorded, of {kept} octets; {dropped} were dropped"
        )
        check(kept + dropped == sent, f"kept and dropped are the {sent} that were received")
        check(segments.dropped == dropped, "the counter says the same")
        if drop:
            check(0 < dropped < sent, "some were dropped")
        else:
            check(not dropped and waited > 0, f"none were dropped; it was waited {waited} times")


# Real services


class Netkit:
    """
    All services, recorded and printed.
    """

    def __init__(self, folder: Path, *options: str, fifo: str = "", only: str = "") -> None:
        """
        @param fifo: the name of a FIFO whose reader stalls.
        @param only: the one service to start.
        """
        self.folder = folder
        if fifo:
            os.mkfifo(folder / fifo)
            self._reading = os.open(folder / fifo, os.O_RDONLY | os.O_NONBLOCK)
        arguments = ["netkit", *(f"--{name}=unix:{name}.sock" for name in SERVICES)]
        if only:
            arguments = [f"netkit-{only}", f"--listen=unix:{only}.sock"]
        twistd = Path(sysconfig.get_path("scripts")) / "twistd"
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [twistd, "-n", "--pidfile=", *arguments, *options],
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        while self.log.read_text().count(" listens on ") < (1 if only else len(SERVICES)):
            if self.process.poll() is not None:
                raise Trouble(self.log.read_text())
            time.sleep(0.1)

    def connect(
        self, service: str
    ) -> Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        return asyncio.open_unix_connection(self.folder / f"{service}.sock")

    def memory(self, what: str = "VmRSS") -> float:
        """
        How many MiB it takes, or (C{VmHWM}) took at most.
        """
        [found] = re.findall(rf"{what}:\s+(\d+) kB", self._read("status"))
        return int(found) / 1024

    def forgetPeak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self) -> float:
        """
        @return: how many seconds that took.
        """
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        return time.monotonic() - began

    def _read(self, name: str) -> str:
        return Path(f"/proc/{self.process.pid}/{name}").read_text()


@contextlib.asynccontextmanager
async def services(*options: str, fifo: str = "") -> AsyncIterator[Netkit]:
    with tempfile.TemporaryDirectory(prefix="netkit", dir="/tmp") as name:
        netkit = Netkit(Path(name), *options, fifo=fifo)
        try:
            yield netkit
        finally:
            if netkit.process.poll() is None:
                netkit.stop()


async def echo(netkit: Netkit, data: bytes) -> None:
    reading, writing = await netkit.connect("echo")
    writing.write(data)
    writing.write_eof()
    if await reading.read() != data:
        raise Trouble("an echo is not what was sent")
    writing.close()


async def post(netkit: Netkit, length: int, service: str = "http") -> None:
    reading, writing = await netkit.connect(service)
    if service == "http":
        head = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
        writing.write(f"{head}{length}\r\n\r\n".encode())
    piece = b"x" * 2**16
    for start in range(0, length, len(piece)):
        writing.write(piece[: length - start])
        await writing.drain()
    writing.write_eof()
    answer = await reading.read()
    if not answer.endswith(b"response data"):
        raise Trouble(f"the answer is {answer!r}")
    writing.close()


async def chat(netkit: Netkit, messages: int) -> None:
    path = str(netkit.folder / "websocket.sock")
    async with websockets.unix_connect(path, "ws://localhost/chat") as connection:
        for number in range(messages):
            message: str | bytes = f"message {number} " * 20 if number % 2 else os.urandom(1000)
            await connection.send(message)
            if await connection.recv() != message:
                raise Trouble("a message is not what was sent")


RECORDED = ("--capture", "recorded", "--capture-file-size", "8000000", "--capture-files", "4")

# What the inspector keeps is soon as much as it may be.
SOON_FULL = ("--inspect-buffer", "4000000")


async def posts() -> None:
    """
    Much at once.
    """
    for service in ("http", "print-respond"):
        printed = "--output", "printed", "--format", "text"
        async with services(*RECORDED, *printed, "--without", "inspector") as netkit:
            await post(netkit, 1000, service)
            before = netkit.memory()
            netkit.forgetPeak()
            await asyncio.gather(*(post(netkit, 60 * MIB, service) for _ in range(10)))
            grown = netkit.memory("VmHWM") - before
            check(grown < 96, f"{service}: {before:.0f} MiB, and {grown:.0f} more at most")


async def connections() -> None:
    """
    Many, one after another and fifty at a time.
    """
    async with services(
        *RECORDED, *SOON_FULL, "--output", "printed", "--format", "json"
    ) as netkit:
        rounds = []
        for _ in range(4):
            for _ in range(50):
                await asyncio.gather(*(post(netkit, 100) for _ in range(200)))
            await asyncio.sleep(1)
            rounds.append((netkit.memory(), netkit.descriptors()))
            print(
                f"after 10,000 connections: {rounds[-1][0]:.1f} MiB, {rounds[-1][1]} descriptors"
            )
        check(rounds[-1][1] == rounds[0][1], "no descriptor is left")
        check(rounds[-1][0] - rounds[1][0] < 3, "no memory is")


async def load(seconds: float) -> None:
    """
    A bit of everything.
    """
    async with services(
        *RECORDED, *SOON_FULL, "--output", "printed", "--format", "json"
    ) as netkit:
        end = time.monotonic() + seconds
        count = 0

        async def client() -> None:
            nonlocal count
            while time.monotonic() < end:
                size = int(300_000 ** random.random())
                kind = random.randrange(4)
                if kind == 0:
                    await echo(netkit, os.urandom(size))
                elif kind == 1:
                    await chat(netkit, size % 50)
                else:
                    await post(netkit, size, SERVICES[kind - 1])
                count += 1
                await asyncio.sleep(random.random() / 10)

        async def watch() -> list[float]:
            sizes = []
            while time.monotonic() < end:
                await asyncio.sleep(seconds / 10)
                sizes.append(netkit.memory())
                print(f"{count} connections, {sizes[-1]:.1f} MiB", flush=True)
            return sizes

        watching = asyncio.create_task(watch())
        await asyncio.gather(*(client() for _ in range(20)))
        sizes = await watching
        grown = max(sizes[-3:]) - max(sizes[2:5])
        check(grown < 8, f"it grew by {grown:.1f} MiB from the middle to the end")


async def replay() -> None:
    """
    A thousand HTTP exchanges, a hundred WebSockets and a hundred TCP dialogues, with the same
    services and with some that changed.
    """
    async with services(*RECORDED, "--format", "none") as netkit:
        reading, writing = await netkit.connect("http")
        for number in range(1000):
            writing.write(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
            await reading.readuntil(b"response data")
        writing.close()
        for _ in range(100):
            await chat(netkit, 10)
            await echo(netkit, os.urandom(int(100_000 ** random.random())))
        netkit.stop()
        command = [Path(sysconfig.get_path("scripts")) / "netkit", "replay", "recorded", "--diff"]
        same = Netkit(netkit.folder, "--format", "none")
        for service, count in (("http", 1), ("websocket", 100), ("echo", 100)):
            chosen = _numbers(netkit.folder / "recorded", service)
            done = subprocess.run(
                [*command, "--fast", "--to", f"unix:{service}.sock", *chosen],
                cwd=netkit.folder,
                capture_output=True,
                text=True,
            )
            last = done.stdout.splitlines()[-1]
            check(last == f"{count} connections, 0 different", f"{service}: {last}")
        same.stop()
        other = Netkit(netkit.folder, "--format", "none", "--response", "changed", only="http")
        chosen = _numbers(netkit.folder / "recorded", "http")
        done = subprocess.run(
            [*command, "--fast", "--to", "unix:http.sock", *chosen],
            cwd=netkit.folder,
            capture_output=True,
            text=True,
        )
        shown = done.stdout.count("content b'changed', b'response data' recorded")
        check(shown == 1000, f"{shown} of 1,000 answers are shown to be different")
        other.stop()


def _numbers(folder: Path, service: str) -> list[str]:
    with Recordings(folder) as recordings:
        opened = [event for event in recordings.read() if isinstance(event, Opened)]
    return [f"--connection={each.connection}" for each in opened if each.service == service]


async def latencies(netkit: Netkit) -> list[float]:
    taken = []
    for _ in range(200):
        began = time.monotonic()
        await echo(netkit, b"still there?")
        taken.append(time.monotonic() - began)
        await asyncio.sleep(0.01)
    return sorted(taken)


async def output() -> None:
    """
    A FIFO whose reader stalls, and goes on.
    """
    grace = 2
    async with services(
        "--output", "fifo", "--format", "text", "--grace", str(grace), fifo="fifo"
    ) as netkit:
        before = await latencies(netkit)
        posting = [asyncio.create_task(post(netkit, 4 * MIB)) for _ in range(10)]
        await asyncio.sleep(1)
        during = await latencies(netkit)
        late = [quantiles(taken, n=100)[98] for taken in (before, during)]
        for name, taken, p99 in zip(
            ("before", "while it stalls"), (before, during), late, strict=True
        ):
            print(f"{name}: median {median(taken) * 1000:.1f} ms, 99 % within {p99 * 1000:.1f} ms")
        check(late[1] - late[0] < 0.1, "others answer, on new connections, within 0.1 s more")
        for task in posting:
            task.cancel()
        took = netkit.stop()
        check(took < grace + 1, f"SIGTERM ended it within {took:.1f} s")


def main() -> int:
    what, *rest = sys.argv[1:] or ["help"]
    runs: dict[str, Callable[[], Any]] = {
        "posts": lambda: asyncio.run(posts()),
        "connections": lambda: asyncio.run(connections()),
        "load": lambda: asyncio.run(load(float(rest[0]) if rest else 300)),
        "replay": lambda: asyncio.run(replay()),
        "output": lambda: asyncio.run(output()),
    }
    try:
        if what in ("slow", "drop"):
            react(lambda reactor: Deferred.fromCoroutine(disk(reactor, what == "drop")))
        elif what in runs:
            runs[what]()
        else:
            print(__doc__)
            return 2
    except Trouble as trouble:
        print(trouble)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
