"""
Whole test suites of Twisted and of what is built on it, on the uvloop reactor and on the epoll
reactor, side by side.

    python -m compliance.suites [SUITE...]

runs each suite, a package or module of tests (all of L{SUITES} without any), once on either
reactor, each time in a process and a folder of its own, and prints a line for each suite and each
test that passes on epoll and does not on uvloop. A test that is named in L{EXCLUDED} may differ,
for the reason that stands there. The exit status is 1 where any other one does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

SUITES = (
    "twisted.internet",
    "twisted.test",
    "twisted.protocols",
    "twisted.web",
    "twisted.conch",
    "twisted.mail",
    "twisted.words",
    "twisted.names",
    "treq",
    "klein",
)

EXCLUDED = {
    "twisted.test.test_tcp.LoopbackTests.test_tcpNoDelay": (
        "TCP_NODELAY is on from the start, as in Node, Go and asyncio: no small write is held back"
    ),
}

# In seconds, for a suite: each takes less than three minutes on a quiet machine.
PATIENCE = 1200

# What trial's command does, with a reporter that collects what became of each test.
_RUN = """
import json, sys
if sys.argv[1] == "uvloop":
    import netkit.reactor
    netkit.reactor.install()
else:
    from twisted.internet import epollreactor
    epollreactor.install()
from twisted.trial.reporter import Reporter
from twisted.trial.runner import TestLoader, TrialRunner

outcomes = {}

class Collecting(Reporter):
    def addSuccess(self, test):
        super().addSuccess(test)
        outcomes.setdefault(test.id(), "passed")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        outcomes.setdefault(test.id(), f"skipped: {reason}")

    def addFailure(self, test, failure):
        super().addFailure(test, failure)
        outcomes.setdefault(test.id(), f"failed: {failure}")

    addError = addFailure

    def addExpectedFailure(self, test, failure, todo=None):
        super().addExpectedFailure(test, failure, todo)
        outcomes.setdefault(test.id(), "todo")

runner = TrialRunner(Collecting, stream=sys.stderr, workingDirectory="trial")
runner.run(TestLoader().loadByNames(sys.argv[2:], recurse=True))
with open("outcomes.json", "w") as file:
    json.dump(outcomes, file)
"""


def outcomes(reactor: str, suite: str) -> dict[str, str]:
    """
    Run a suite.

    @param reactor: C{uvloop} or C{epoll}.
    @param suite: the name of a package or module.
    @return: for the name of each test what became of it: C{passed}, C{skipped: why},
        C{failed: why} or C{todo}.
    @raise RuntimeError: the run did not come to its end.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with log.open("wb") as file:
            ran = subprocess.run(
                [sys.executable, "-c", _RUN, reactor, suite],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=PATIENCE,
                check=False,
            )
        result = Path(folder, "outcomes.json")
        if not result.exists():
            raise RuntimeError(f"{suite} on {reactor} ended with {ran.returncode}:\n{tail(log)}")
        read: dict[str, str] = json.loads(result.read_text())
        return read


def tail(path: Path) -> str:
    """
    The end of a file.
    """
    return path.read_text(errors="replace")[-5000:]


def lost(suite: str) -> list[str]:
    """
    Run a suite on both reactors, and say how that went.

    @return: the tests that pass on epoll, and neither on uvloop nor in L{EXCLUDED}; the suite,
        where none does.
    """
    epoll, uvloop = outcomes("epoll", suite), outcomes("uvloop", suite)
    passed = [test for test, outcome in epoll.items() if outcome == "passed"]
    differ = [test for test in passed if uvloop.get(test) != "passed"]
    passes = sum(outcome == "passed" for outcome in uvloop.values())
    print(f"{suite}: {len(passed)} pass on epoll, {passes} on uvloop", flush=True)
    if not passed:
        print(f"  {suite} has no tests here: give the full name of a package that is installed")
        return [suite]
    for test in differ:
        print(f"  {test}: {EXCLUDED.get(test) or uvloop.get(test, 'not run')}", flush=True)
    return [test for test in differ if test not in EXCLUDED]


def main() -> None:
    """
    The command.
    """
    failed = [test for suite in sys.argv[1:] or SUITES for test in lost(suite)]
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
