"""
How a server is measured, in pairs: the one, the other, the one, the other ...
"""

from __future__ import annotations

import mmap
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from .driving import Load, Outcome, drive, held
from .environment import Environment, Unusable
from .running import Place, Running, awaitListening, cores, freePort, pinned, start
from .servers import Server


@dataclass(frozen=True)
class Bounds:
    """
    How much is measured.

    @ivar pairs: how often each of two servers is measured.
    @ivar warmup: how many seconds of each measurement are not counted.
    @ivar seconds: how many are.
    @ivar connections: how many connections are opened to see how much memory one takes.
    """

    pairs: int = 5
    warmup: float = 0.3
    seconds: float = 1.0
    connections: int = 2000


QUICK = Bounds(pairs=3, warmup=0.1, seconds=0.4, connections=500)


@dataclass(frozen=True)
class Contender:
    """
    A server and what to run it with.
    """

    server: Server
    environment: Environment


@dataclass(frozen=True)
class Sample:
    """
    One measurement.

    @ivar score: its result, in the unit of its measure.
    @ivar cost: the server's processor time for one unit of work, in seconds; 0 if not known.
    @ivar waited: the share of the time in which another program ran, and the server could have.
    @ivar driver: the share of its core that the load generator had, and who shares it.
    """

    score: float
    cost: float = 0.0
    waited: float = 0.0
    driver: float = 0.0


Samples = tuple[Sample, Sample]


class Measure(Protocol):
    """
    A way to measure.

    @ivar unit: what scores are in.
    @ivar moreIsBetter: whether a large score is a good one.
    """

    @property
    def unit(self) -> str: ...

    @property
    def moreIsBetter(self) -> bool: ...

    def pairs(self, one: Contender, other: Contender, bounds: Bounds) -> Iterator[Samples]:
        """
        Measure two servers in turn.

        @raise Unusable: one of them cannot be measured.
        """
        ...


def _both(one: Contender, other: Contender, place: Place) -> tuple[Running, Running]:
    return (
        Running(one.server, place, one.environment),
        Running(other.server, place, other.environment),
    )


@dataclass(frozen=True)
class Throughput:
    """
    How much is done in a second, with the server doing nothing else.

    @ivar scale: how many units of work an exchange is.
    @ivar beside: the process that shares the load generator's core, if one does.
    """

    load: Load
    unit: str
    place: Place = field(default_factory=Place)
    scale: float = 1.0
    beside: int | None = None
    moreIsBetter = True

    def pairs(self, one: Contender, other: Contender, bounds: Bounds) -> Iterator[Samples]:
        first, second = _both(one, other, self.place)
        with first, second:
            for _ in range(bounds.pairs):
                yield (
                    self._sample(first, one.environment, bounds),
                    self._sample(second, other.environment, bounds),
                )

    def _sample(self, running: Running, environment: Environment, bounds: Bounds) -> Sample:
        outcome = drive(
            running,
            environment,
            self.load,
            warmup=bounds.warmup,
            seconds=bounds.seconds,
            beside=self.beside,
        )
        work = outcome.exchanges * self.scale
        return Sample(
            work / outcome.seconds,
            outcome.server_seconds / work,
            outcome.server_waited / outcome.seconds,
            outcome.own_share,
        )


@dataclass(frozen=True)
class Relayed:
    """
    As L{Throughput}, of servers that pass all on to another one, which shares the core of the load
    generator. That one is to cost next to nothing: a relay that waits for it is woken for each
    message, and its processor time is that of its waking up.

    @ivar throughput: what is measured of the relay.
    @ivar upstream: the other server.
    """

    throughput: Throughput
    upstream: Server
    moreIsBetter = True

    @property
    def unit(self) -> str:
        """
        The unit of scores.
        """
        return self.throughput.unit

    def pairs(self, one: Contender, other: Contender, bounds: Bounds) -> Iterator[Samples]:
        with Running(self.upstream, Place(), one.environment) as upstream:
            os.sched_setaffinity(upstream.pid, {cores()[1]})
            place = Place(flags=(f"--to={upstream.address}",))
            throughput = replace(self.throughput, place=place, beside=upstream.pid)
            yield from throughput.pairs(one, other, bounds)


@dataclass(frozen=True)
class Latency:
    """
    The time from when a request was due to its answer, in microseconds, while requests come at
    half the rate that the slower one of the two can answer.

    @ivar quantile: C{p50} or C{p99}.
    """

    load: Load
    quantile: str
    place: Place = field(default_factory=Place)
    unit = "µs"
    moreIsBetter = False

    def pairs(self, one: Contender, other: Contender, bounds: Bounds) -> Iterator[Samples]:
        first, second = _both(one, other, self.place)
        with first, second:
            rate = min(
                self._rate(first, one.environment, bounds),
                self._rate(second, other.environment, bounds),
            )
            for _ in range(bounds.pairs):
                yield (
                    self._sample(first, one.environment, bounds, rate / 2),
                    self._sample(second, other.environment, bounds, rate / 2),
                )

    def _rate(self, running: Running, environment: Environment, bounds: Bounds) -> float:
        outcome = drive(
            running, environment, self.load, warmup=bounds.warmup, seconds=bounds.seconds
        )
        return outcome.exchanges / outcome.seconds

    def _sample(
        self, running: Running, environment: Environment, bounds: Bounds, rate: float
    ) -> Sample:
        outcome: Outcome = drive(
            running,
            environment,
            self.load,
            warmup=bounds.warmup,
            seconds=bounds.seconds,
            rate=rate,
        )
        latency: float = getattr(outcome, self.quantile)
        return Sample(
            latency * 1e6,
            outcome.server_seconds / outcome.exchanges,
            outcome.server_waited / outcome.seconds,
        )


@dataclass(frozen=True)
class Wrk:
    """
    Requests in a second, by C{wrk}, which is somebody else's load generator. It does not look at
    the content of responses.
    """

    unit = "requests/s"
    moreIsBetter = True

    def pairs(self, one: Contender, other: Contender, bounds: Bounds) -> Iterator[Samples]:
        first, second = _both(one, other, Place())
        with first, second:
            for _ in range(bounds.pairs):
                yield self._sample(first, bounds), self._sample(second, bounds)

    def _sample(self, running: Running, bounds: Bounds) -> Sample:
        command = ["wrk", "-t1", "-c50", f"-d{max(1, round(bounds.seconds))}s"]
        command.append(f"http://127.0.0.1:{running.address}/")
        begin, waited = time.perf_counter(), running.waited()
        process = pinned(
            command, cores()[1], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        said = process.communicate()[0]
        found = re.search(r"Requests/sec:\s*([\d.]+)", said)
        if found is None or "Non-2xx" in said or "Socket errors" in said:
            raise Unusable(f"{running.server.name}: {said}")
        share = (running.waited() - waited) / (time.perf_counter() - begin)
        return Sample(float(found[1]), waited=share)


@dataclass(frozen=True)
class Memory:
    """
    What each idle connection takes of the server's memory, in KiB.
    """

    load: Load
    place: Place = field(default_factory=Place)
    unit = "KiB"
    moreIsBetter = False

    def pairs(self, one: Contender, other: Contender, bounds: Bounds) -> Iterator[Samples]:
        for _ in range(bounds.pairs):
            yield self._sample(one, bounds), self._sample(other, bounds)

    def _sample(self, contender: Contender, bounds: Bounds) -> Sample:
        environment = contender.environment
        with (
            Running(contender.server, self.place, environment) as running,
            # What the first connections have to make for all of them is not theirs.
            held(running, environment, self.load, bounds.connections // 10),
        ):
            before = _settled(running)
            with held(running, environment, self.load, bounds.connections):
                after = _settled(running)
        # The system counts in pages.
        taken = max(after - before, mmap.PAGESIZE)
        return Sample(taken / bounds.connections / 1024)


def _settled(running: Running) -> int:
    """
    What a server takes of memory once it grows no more: it may have to accept connections yet.
    """
    size = 0
    while (now := running.residentSize()) > size:
        size = now
        time.sleep(0.3)
    return size


@dataclass(frozen=True)
class StartUp:
    """
    The time from the start of a program to when it listens, in milliseconds.
    """

    unit = "ms"
    moreIsBetter = False

    def pairs(self, one: Contender, other: Contender, bounds: Bounds) -> Iterator[Samples]:
        for _ in range(bounds.pairs):
            yield self._sample(one), self._sample(other)

    def _sample(self, contender: Contender) -> Sample:
        address = str(freePort())
        command = contender.server.command(contender.environment, (), address)
        begin = time.perf_counter()
        process = start(command, contender.environment, subprocess.DEVNULL)
        try:
            awaitListening(address, process)
            return Sample((time.perf_counter() - begin) * 1000)
        finally:
            process.kill()
            process.wait()
