"""
What a run leaves behind: a table for each workload, and what it was measured on.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from .comparing import Comparison
from .environment import ROOT, Environment
from .measures import Bounds
from .plot import draw
from .running import cores
from .servers import ALL
from .workloads import Workload

_DISTURBED = (
    "Other programs had the servers' core too. So processor time counts, and scores and latencies "
    "say little."
)

_LIMITED = (
    "\\* The load generator was the limit, or close to it: for a relay, that with what it passes "
    "on to."
)

Results = Sequence[tuple[Workload, Sequence[Comparison]]]

_PACKAGES = (
    *("twisted", "uvloop", "aiohttp", "autobahn", "granian", "httptools", "picows"),
    *("socketify", "uvicorn", "websockets", "scrapy", "daphne", "txredisapi", "carbon"),
)


def table(comparisons: Sequence[Comparison]) -> list[str]:
    """
    The rows of a Markdown table.
    """
    rows = [
        "| | score | against | score | ratio (worst to best) | by processor time | to reach |",
        "|---|---:|---|---:|---|---:|---|",
    ]
    for each in comparisons:
        if each.problem:
            reason = each.problem.splitlines()[0].replace("|", "\\|")
            rows.append(f"| {each.subject} | | {each.peer} | | not measured: {reason} | | |")
            continue
        marks = dict.fromkeys(each.limited, " *")
        cost = "" if each.costRatio is None else f"{each.costRatio:.2f}"
        ratio = f"{each.ratio:.2f}"
        if each.byProcessor:
            cost = f"**{cost}**"
        elif not each.disturbed:
            ratio = f"**{ratio}**"
        rows.append(
            f"| {each.subject} | {_amount(each.score)}{marks.get(each.subject, '')} "
            f"| {each.peer} | {_amount(each.peerScore)}{marks.get(each.peer, '')} "
            f"| {ratio} ({each.ratios[0]:.2f} to {each.ratios[-1]:.2f}) "
            f"| {cost} | {_toReach(each)} |"
        )
    return rows


def write(folder: Path, results: Results, environment: Environment, bounds: Bounds) -> None:
    """
    Write C{RESULTS.md} and the plots.

    @param folder: where to.
    """
    plots = folder / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    text = [
        "# Results",
        "",
        "Written by `make bench`; [README.md](README.md) says how to read it and how to run it.",
        "Ratios are netkit to peer, more than 1 in netkit's favour.",
        "",
        *_machine(environment, bounds),
    ]
    for workload, comparisons in results:
        text += [
            "",
            f"## {workload.title}",
            "",
            f"`{workload.name}`, in {comparisons[0].measure.unit}",
        ]
        measured = [each for each in comparisons if each.pairs]
        if measured:
            (plots / f"{workload.name}.svg").write_text(draw(workload.title, measured))
            text[-1] += f" ([plot](plots/{workload.name}.svg))"
        text += ["", *table(comparisons)]
        if any(each.disturbed for each in measured):
            text += ["", _DISTURBED]
        if any(each.limited for each in measured):
            text += ["", _LIMITED]
    text += ["", "## Settings", "", "| server | settings |", "|---|---|"]
    text += [f"| {server.name} | {server.settings} |" for server in ALL]
    (folder / "RESULTS.md").write_text("\n".join([*text, ""]))


def _amount(value: float) -> str:
    """
    A number, with the digits that mean something.
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _toReach(comparison: Comparison) -> str:
    if comparison.atMost is None and comparison.atLeast is None:
        return ""
    if comparison.atMost is not None:
        target = f"at most {comparison.atMost:g} {comparison.measure.unit}"
    else:
        target = f"{comparison.atLeast:g}"
    verdicts = {True: "reached", False: "missed", None: "undecided"}
    return f"{target}: {verdicts[comparison.reached]}"


def _machine(environment: Environment, bounds: Bounds) -> list[str]:
    server, load = cores()
    where = (
        f"server on core {server}, load generator on core {load}"
        if server != load
        else "server and load generator on one core"
    )
    versions = ", ".join(f"{name} {version}" for name, version in _versions(environment).items())
    pairs = (
        f"{bounds.pairs} pairs of {bounds.seconds:g} s each after {bounds.warmup:g} s of warm-up"
    )
    compiled = any(environment.tree.glob("netkit/**/native.*.so"))
    parts = "its parts in C compiled" if compiled else "without its parts in C"
    commit = _said(["git", "rev-parse", "--short", "HEAD"])
    # Elsewhere, this run's own results are a change.
    if _said(["git", "status", "--porcelain", "--", "netkit", "setup.py"]):
        commit += " with changes"
    return [
        f"- Date: {datetime.now(UTC):%Y-%m-%d}; netkit at {commit}, {parts}",
        f"- Machine: {_processor()}, Linux {platform.release()}; {where}",
        f"- Versions: {versions}",
        f"- {pairs}; medians; in brackets the worst and the best pair",
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _versions(environment: Environment) -> dict[str, str]:
    script = (
        "import importlib.metadata as m, json, platform, sys\n"
        "found = {'Python': platform.python_version()}\n"
        "for name in sys.argv[1:]:\n"
        "    try: found[name] = m.version(name)\n"
        "    except m.PackageNotFoundError: pass\n"
        "print(json.dumps(found))"
    )
    said = _said([environment.python, "-c", script, *_PACKAGES])
    versions: dict[str, str] = json.loads(said) if said else {}
    if node := _said(["node", "--version"]):
        versions["Node"] = node.removeprefix("v")
    for name, command in (("Go", ["go", "version"]), ("nginx", ["nginx", "-v"])):
        if said := _said(command):
            versions[name] = said.split("/")[-1] if name == "nginx" else said.split()[2][2:]
    for package in ("ws", "bufferutil", "bun"):
        path = environment.folder / "node_modules" / package / "package.json"
        if path.exists():
            versions[package] = json.loads(path.read_text())["version"]
    if compiler := _said(["cc", "-dumpfullversion", "-dumpversion"]):
        versions["cc"] = compiler
    return versions


def _said(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return done.stdout.strip() if done.returncode == 0 else ""
