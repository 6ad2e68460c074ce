"""
Where a workload's time goes.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from .driving import drive
from .environment import Environment, Unusable
from .measures import Throughput
from .running import Running
from .workloads import Workload

_SECONDS = 6
_SAMPLES = 500
_ROWS = 25

_PACKAGES = re.compile(r"\(\S*/(?:site-packages|lib/python3\.\d+)/")
_LINE = re.compile(r":\d+\)$")


def profile(workload: Workload, environment: Environment) -> str:
    """
    Sample netkit under a workload's load, from outside, so that it runs as it does otherwise.

    @return: tables: for each function and each line the share of the time that is spent in it,
        and in it with all that it calls. What is in C counts as the line that calls it.
    @raise Unusable: the workload has no load that lasts, or py-spy cannot do it.
    """
    measure = workload.measure()
    if not isinstance(measure, Throughput):
        raise Unusable(f"{workload.name} cannot be profiled: it is no throughput")
    server = workload.pairs[0].subject
    with (
        Running(server, measure.place, environment) as running,
        tempfile.TemporaryDirectory() as folder,
    ):
        output = Path(folder) / "stacks"
        command = [str(Path(environment.python).parent / "py-spy"), "record", "--nonblocking"]
        command += ["--pid", str(running.pid), "--format", "raw", "--output", str(output)]
        command += ["--duration", str(_SECONDS), "--rate", str(_SAMPLES), "--full-filenames"]
        try:
            spy = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        except FileNotFoundError:
            raise Unusable("py-spy is not installed") from None
        outcome = drive(running, environment, measure.load, warmup=0, seconds=_SECONDS + 1)
        said = spy.communicate()[0]
        if not output.exists():
            raise Unusable(f"py-spy: {said}")
        user, system = running.times()
        stacks = _parsed(output.read_text(), environment)
    work = outcome.exchanges * measure.scale
    rate = f"{work / outcome.seconds:,.0f} {measure.unit}"
    cost = f"{outcome.server_seconds / work * 1e6:.2f} µs of processor time for each"
    return "\n".join(
        [
            f"{server.name}, {workload.title}",
            f"{rate}, {cost}, {system / (user + system):.0%} of it in the kernel",
            *_table("function", [([_LINE.sub(")", f) for f in stack], n) for stack, n in stacks]),
            *_table("line", stacks),
        ]
    )


def _parsed(text: str, environment: Environment) -> list[tuple[list[str], int]]:
    stacks = []
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.replace(f"{environment.tree}/", "").split(";")
        stacks.append(([_PACKAGES.sub("(", frame) for frame in frames], int(count)))
    return stacks


def _table(what: str, stacks: Iterable[tuple[list[str], int]]) -> list[str]:
    alone: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for frames, count in stacks:
        alone[frames[-1]] += count
        for frame in set(frames):
            within[frame] += count
    total = alone.total()
    rows = ["", f"   alone   within   {what}"]
    for frame, count in alone.most_common(_ROWS):
        rows.append(f"{count / total:8.1%} {within[frame] / total:8.1%}   {frame}")
    return rows
