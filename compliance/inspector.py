"""
What the inspector promises of its feed, at a scale that is too much for the test suite.

    python -m compliance.inspector lag [SECONDS]    5,000 events a second: counted, how late
    python -m compliance.inspector load [SECONDS]   as much as goes, watched slowly and not at all
    python -m compliance.inspector hostile [MIB]    what does harm, in every field, and streams of
                                                    100 MiB and 2 GiB, looked at in Chromium

Each says what it measured. The exit status is 0, or 1 where something is not as it should be.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median, quantiles
from urllib.request import urlopen

import psutil
import websockets

_PEERS = Path(__file__).parent / "peers"

_TWISTD = Path(sysconfig.get_path("scripts")) / "twistd"

# How many connections share the load.
_CONNECTIONS = 50
_BUSY_CONNECTIONS = 200

_RATE = 2_500
_TICK = 0.01

_REQUEST = b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"
_LINE = b"x" * 64


@contextlib.asynccontextmanager
async def served(service: str) -> AsyncIterator[tuple[int, int, psutil.Process]]:
    """
    A service with an inspector; their ports, and the process.
    """
    with tempfile.TemporaryDirectory() as folder:
        local = "tcp:0:interface=127.0.0.1"
        process = await asyncio.create_subprocess_exec(
            *(str(_TWISTD), "-n", "--pidfile=", "--reactor=uvloop", f"netkit-{service}"),
            *("-l", local, "--inspect", local, "--format=none"),
            cwd=folder,
            stdout=subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            ports: dict[str, int] = {}
            while len(ports) < 2:
                line = (await process.stdout.readline()).decode()
                if found := re.search(r"\] (\w+) listens on .*?:(\d+) ", line):
                    ports[found[1]] = int(found[2])
                elif not line:
                    sys.exit("the service does not start")
            yield ports[service], ports["inspector"], psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()


def about(port: int) -> dict[str, object]:
    """
    What the inspector says of itself.
    """
    with urlopen(f"http://127.0.0.1:{port}/api") as answer:
        found: dict[str, object] = json.load(answer)
    return found


class Watching:
    """
    One who watches, and counts.
    """

    def __init__(self) -> None:
        self.lags: list[float] = []
        self.skipped = 0
        self.events = 0
        self.seen: set[str] = set()

    async def watch(self, port: int, pause: float = 0.0) -> None:
        """
        Take all messages.

        @param pause: for how many seconds to do nothing after each.
        """
        url = f"ws://127.0.0.1:{port}/api/feed"
        async with websockets.connect(url, max_size=None, compression=None) as feed:
            async for text in feed:
                now = time.time()
                message = json.loads(text)
                if message["type"] != "rows":
                    continue
                self.skipped += message["skipped"]
                self.events = message["events"]
                for row in message["rows"]:
                    done = row["state"] == "done" and row["type"] == "http"
                    if done and row["id"] not in self.seen:
                        self.seen.add(row["id"])
                        self.lags.append(now - row["ended"])
                await feed.send(json.dumps({"type": "ack", "sequence": message["sequence"]}))
                if pause:
                    await asyncio.sleep(pause)


async def lag(seconds: float) -> bool:
    """
    5,000 events a second.
    """
    async with served("http") as (service, inspector, _):
        watching = Watching()
        task = asyncio.create_task(watching.watch(inspector))
        pairs = [await asyncio.open_connection("127.0.0.1", service) for _ in range(_CONNECTIONS)]
        readers = [asyncio.create_task(_drain(reader)) for reader, _ in pairs]
        began, sent = time.monotonic(), 0
        while (passed := time.monotonic() - began) < seconds:
            while sent < passed * _RATE:
                pairs[sent % _CONNECTIONS][1].write(_REQUEST)
                sent += 1
            await asyncio.sleep(_TICK)
        await asyncio.sleep(2)
        for _, writer in pairs:
            writer.close()
        await asyncio.gather(*readers)
        await asyncio.sleep(1)
        found = about(inspector)
        task.cancel()
    events = found["ring"]["events"]  # type: ignore[index]
    told = len(watching.seen)
    p99 = quantiles(watching.lags, n=100)[98]
    print(f"{sent} requests in {seconds:g} s: {events} events, {watching.events} of them counted")
    print(f"{told} exchanges were told of, {watching.skipped} skipped")
    print(f"lag: median {median(watching.lags) * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms")
    return events == watching.events and told + watching.skipped >= sent and p99 < 0.1


async def _drain(reader: asyncio.StreamReader) -> None:
    while await reader.read(2**16):
        pass


class _Echoed(asyncio.Protocol):
    """
    Says the same again as soon as it has come back.
    """

    count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._left = len(_LINE)
        transport.write(_LINE)

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left <= 0:
            _Echoed.count += 1
            self._left = len(_LINE)
            self._transport.write(_LINE)


async def load(seconds: float) -> bool:
    """
    As much as goes.
    """
    ratios, times = [], []
    skipped = 0
    async with served("echo") as (service, inspector, process):
        loop = asyncio.get_running_loop()
        transports = []
        for _ in range(_BUSY_CONNECTIONS):
            transport, _ = await loop.create_connection(_Echoed, "127.0.0.1", service)
            transports.append(transport)
        await asyncio.sleep(1)
        for _ in range(3):
            alone, aloneTime = await _rate(seconds, process)
            command = [sys.executable, "-m", "compliance.inspector", "watch", str(inspector)]
            slow = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
            await asyncio.sleep(1)
            watched, watchedTime = await _rate(seconds, process)
            slow.terminate()
            output, _ = await slow.communicate()
            skipped += int(output or b"0")
            ratios.append(watched / alone)
            times.append(aloneTime / watchedTime)
            print(
                f"{2 * alone:.0f} events/s, {2 * watched:.0f} watched: {ratios[-1]:.3f}; "
                f"by processor time: {times[-1]:.3f}"
            )
        for transport in transports:
            transport.abort()
        await asyncio.sleep(1)
        found = about(inspector)
    print(f"median {median(ratios):.3f}; by processor time: {median(times):.3f}")
    print(f"{skipped} rows and {found['skipped']} events were skipped, and counted")
    return median(ratios) >= 0.9


async def _rate(seconds: float, process: psutil.Process) -> tuple[float, float]:
    """
    How many times a second all was said again, and the processor time of each.
    """
    before, began, used = _Echoed.count, time.monotonic(), process.cpu_times()
    await asyncio.sleep(seconds)
    count, now = _Echoed.count - before, process.cpu_times()
    took = now.user + now.system - used.user - used.system
    return count / (time.monotonic() - began), took / count


async def hostile(mebibytes: int) -> bool:
    """
    What does harm where it is taken for more than octets.

    @param mebibytes: how long the longest stream is.
    """
    names = ("inspector", "http", "websocket", "echo")
    local = "tcp:0:interface=127.0.0.1"
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            *(str(_TWISTD), "-n", "--pidfile=", "--reactor=uvloop", "netkit"),
            *("--routes", "--format=none", f"--inspect={local}", f"--inspect-buffer={2**28}"),
            *(f"--{name}={local}" for name in (*names[1:], "print-respond")),
            cwd=folder,
            stdout=subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            ports: dict[str, str] = {}
            while not ports.keys() >= {*names}:
                line = (await process.stdout.readline()).decode()
                if found := re.search(r"\] ([\w-]+) listens on (.*?:\d+) ", line):
                    ports[found[1]] = found[2]
                elif not line:
                    sys.exit("the services do not start")
            output = asyncio.create_task(process.stdout.read())
            peer = await asyncio.create_subprocess_exec(
                *("node", str(_PEERS / "inspector.mjs"), *(ports[name] for name in names)),
                str(mebibytes),
                stdout=subprocess.PIPE,
            )
            told, _ = await peer.communicate()
            memory = psutil.Process(process.pid).memory_info().rss
            about(int(ports["inspector"].rpartition(":")[2]))
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()
        log = (await output).decode()
    if peer.returncode:
        return False
    found = json.loads(told)
    print(f"{found['looked']} of {found['wanted']} rows were looked at: {found['figures']}")
    print(f"ran: {found['ran']}; policy violated: {found['violations']}; {found['troubles']}")
    print(f"elements that came of it: {found['elements']}")
    print(f"longest task of the page: {found['longest']} ms; services' memory {memory >> 20} MiB")
    nothing = not (found["ran"] or found["violations"] or found["troubles"] or found["elements"])
    return nothing and found["looked"] == found["wanted"] and "Traceback" not in log


async def watch(port: int) -> None:
    """
    Watch slowly until told to end, and say how many rows were skipped.
    """
    watching = Watching()
    task = asyncio.create_task(watching.watch(port, pause=0.5))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    task.cancel()
    print(watching.skipped)


def main(arguments: list[str]) -> int:
    """
    Run the command line.

    @return: the exit status.
    """
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    kind, *rest = arguments or [""]
    if kind == "lag":
        return not asyncio.run(lag(float(rest[0]) if rest else 60.0))
    if kind == "load":
        return not asyncio.run(load(float(rest[0]) if rest else 10.0))
    if kind == "hostile":
        return not asyncio.run(hostile(int(rest[0]) if rest else 2048))
    if kind == "watch":
        asyncio.run(watch(int(rest[0])))
        return 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
