"""
The command line: C{python -m benchmarks --help}.
"""

from __future__ import annotations

import signal
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from .comparing import Comparison, compare
from .environment import HERE, Environment, Unusable, extract, prepare
from .measures import QUICK, Bounds, Contender
from .profiling import profile
from .report import table, write
from .workloads import WORKLOADS, Workload

# A ratio below this is worth a second look.
_SLOWER = 0.95


def main() -> int:
    """
    Do what the command line asks for.

    @return: the exit status.
    """
    # So that the servers which are running are ended on the way out.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    arguments = _parser().parse_args()
    if arguments.list:
        for workload in WORKLOADS:
            print(f"{workload.name:<22}{workload.title}")
        return 0
    try:
        if arguments.profile and not arguments.names:
            raise Unusable("say what to profile; --list says which workloads there are")
        workloads = _chosen(arguments.names)
        environment = prepare()
        if arguments.tree:
            environment = environment.at(arguments.tree.resolve())
        if arguments.profile:
            for workload in workloads:
                print(profile(workload, environment), end="\n\n")
            return 0
        if arguments.against:
            return _regression(workloads, environment, arguments)
        return _run(workloads, environment, arguments)
    except Unusable as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m benchmarks", description="netkit and its peers, side by side in one run"
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="workloads, or the first letters of some; all"
    )
    parser.add_argument("--list", action="store_true", help="say which workloads there are")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter measurements")
    parser.add_argument(
        "--pairs", type=int, metavar="COUNT", help="how often each of two servers is measured"
    )
    parser.add_argument(
        "--peer", metavar="TEXT", help="only the peers that have this text in their name"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="where to write RESULTS.md and plots/; benchmarks/ if all workloads are measured in "
        "full, nowhere otherwise",
    )
    parser.add_argument(
        "--against",
        metavar="COMMIT",
        help="compare netkit with itself at a commit, or in the checkout in a folder",
    )
    parser.add_argument(
        "--tree", type=Path, metavar="FOLDER", help="the checkout to take netkit from; this one"
    )
    parser.add_argument(
        "--profile", action="store_true", help="show where netkit's time goes in a workload"
    )
    return parser


def _chosen(names: list[str]) -> list[Workload]:
    chosen = []
    for name in names:
        found = [each for each in WORKLOADS if each.name == name] or [
            each for each in WORKLOADS if each.name.startswith(name)
        ]
        if not found:
            raise Unusable(f"{name!r} is no workload; --list says which there are")
        chosen += found
    return chosen or list(WORKLOADS)


def _bounds(arguments: Namespace) -> Bounds:
    bounds = QUICK if arguments.quick else Bounds()
    return replace(bounds, pairs=arguments.pairs) if arguments.pairs else bounds


def _run(workloads: list[Workload], environment: Environment, arguments: Namespace) -> int:
    bounds = _bounds(arguments)
    folder = arguments.output
    if folder is None and not (arguments.names or arguments.quick or arguments.peer):
        folder = HERE
    results: list[tuple[Workload, list[Comparison]]] = []
    for workload in workloads:
        print(workload.title, file=sys.stderr)
        measure = workload.measure()
        comparisons = [
            compare(
                Comparison(
                    pair.subject.name, pair.peer.name, measure, pair.atLeast, workload.atMost
                ),
                Contender(pair.subject, environment),
                Contender(pair.peer, environment),
                bounds,
            )
            for pair in workload.pairs
            if not arguments.peer or arguments.peer in pair.peer.name
        ]
        if not comparisons:
            continue
        results.append((workload, comparisons))
        print("\n".join([f"\n## {workload.title}\n", *table(comparisons)]), flush=True)
        if folder is not None:
            # After each workload, so that a run that is broken off leaves something.
            write(folder, results, environment, bounds)
    missed = any(each.pairs and each.reached is False for _, all_ in results for each in all_)
    return 2 if missed else 0


def _regression(workloads: list[Workload], environment: Environment, arguments: Namespace) -> int:
    then = environment.at(extract(arguments.against))
    slower = []
    for workload in workloads:
        print(workload.title, file=sys.stderr)
        server = workload.pairs[0].subject
        comparison = compare(
            Comparison(f"{server.name} now", f"at {arguments.against}", workload.measure()),
            Contender(server, environment),
            Contender(server, then),
            _bounds(arguments),
        )
        print("\n".join([f"\n## {workload.title}\n", *table([comparison])]), flush=True)
        if comparison.pairs and comparison.verdict < _SLOWER:
            slower.append(workload.name)
    if slower:
        print(f"slower than at {arguments.against}: {', '.join(slower)}", file=sys.stderr)
    return 2 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
