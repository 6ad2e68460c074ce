"""
Twisted's own reactor tests, from the installed Twisted, on one reactor.

    python -m compliance.twistedreactor REACTOR MODULE...

runs the C{ReactorBuilder} tests of the given modules of C{twisted.internet.test} (all of
L{MODULES} without any) and prints one JSON object: C{{test: outcome}}, where the outcome is
C{"passed"}, C{"skipped: why"} or C{"failed: traceback"}. C{tests/test_twistedreactor.py} runs
this for the uvloop reactor and the epoll reactor and compares the two.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from types import ModuleType
from unittest import TestCase

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.test.reactormixins import ReactorBuilder
from twisted.python.failure import Failure
from twisted.trial.reporter import TestResult, TrialFailure
from twisted.trial.unittest import SynchronousTestCase

from netkit.reactor import UvloopReactor

MODULES = (
    "test_core",
    "test_fdset",
    "test_newtls",
    "test_process",
    "test_socket",
    "test_stdio",
    "test_tcp",
    "test_threads",
    "test_time",
    "test_tls",
    "test_udp",
    "test_unix",
)


def uvloop(case: SynchronousTestCase) -> UvloopReactor:
    """
    A uvloop reactor whose loop is closed with the test.
    """
    reactor = UvloopReactor()
    case.addCleanup(reactor.eventloop.close)
    return reactor


def epoll(case: SynchronousTestCase) -> EPollReactor:
    """
    Twisted's own reactor.
    """
    return EPollReactor()


EXCLUDED = {
    "test_fdset.ReactorFDSetTestsBuilder.test_lostFileDescriptor": (
        "epoll is not told of a descriptor that is closed behind its back; "
        "the test itself exempts EPollReactor, by its name"
    ),
    "test_unix.UNIXTestsBuilder.test_avoidLeakingFileDescriptors": (
        "wants a log event for a descriptor that arrives where the protocol takes none; "
        "a channel reads without ancillary data, so the kernel closes it and nobody is told"
    ),
}


class Outcomes(TestResult):
    """
    Collects what became of each test.
    """

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: dict[str, str] = {}

    def name(self, test: TestCase) -> str:
        """
        A test's name without the reactor's.
        """
        return test.id().removeprefix("twisted.internet.test.").replace(f"_{sys.argv[1]}Tests", "")

    def _set(self, test: TestCase, outcome: str) -> None:
        # An error after a failure, of the same test, is the less telling.
        self.outcomes.setdefault(self.name(test), outcome)

    def addSuccess(self, test: TestCase) -> None:
        super().addSuccess(test)
        self._set(test, "passed")

    def addSkip(self, test: TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self._set(test, f"skipped: {reason}")

    def addFailure(self, test: TestCase, error: TrialFailure) -> None:
        super().addFailure(test, error)
        self._set(test, f"failed: {self._exc_info_to_string(error, test)}")

    addError = addFailure

    def _exc_info_to_string(self, failure: object, test: object) -> str:
        if isinstance(failure, tuple):
            failure = Failure(failure[1], failure[0], failure[2])
        assert isinstance(failure, Failure)
        traceback: str = failure.getTraceback()
        return traceback


def run(module: ModuleType, result: Outcomes) -> None:
    """
    Run a module's tests of reactors.
    """
    for case in list(vars(module).values()):
        if (
            isinstance(case, type)
            and issubclass(case, ReactorBuilder)
            and issubclass(case, SynchronousTestCase)
            and case.__name__.endswith(f"_{sys.argv[1]}Tests")
        ):
            for name in dir(case):
                if name.startswith("test_"):
                    test = case(name)
                    if result.name(test) in EXCLUDED:
                        result.addSkip(test, EXCLUDED[result.name(test)])
                    else:
                        test.run(result)


def main() -> None:
    """
    The command.
    """
    reactor, *modules = sys.argv[1:]
    ReactorBuilder._reactors = [f"compliance.twistedreactor.{reactor}"]
    # Seconds after which a test that hangs has failed; Twisted's own limit is two minutes.
    ReactorBuilder.timeout = 20.0  # type: ignore[attr-defined] # for the test cases made of it
    result = Outcomes()
    for module in modules or MODULES:
        run(import_module(f"twisted.internet.test.{module}"), result)
    json.dump(result.outcomes, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
