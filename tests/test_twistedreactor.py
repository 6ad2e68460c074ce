"""
Twisted's own reactor tests, on the uvloop reactor and on the epoll reactor.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from compliance.twistedreactor import EXCLUDED, MODULES

ROOT = Path(__file__).parents[1]

# For a module, in seconds: each takes a few.
PATIENCE = 240


def outcomes(reactor: str, module: str, directory: Path) -> dict[str, str]:
    directory.mkdir()
    with (directory / "stderr").open("wb") as stderr:
        ran = subprocess.run(
            [sys.executable, "-m", "compliance.twistedreactor", reactor, module],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=stderr,
            timeout=PATIENCE,
        )
    assert ran.returncode == 0, (directory / "stderr").read_text()
    result: dict[str, str] = json.loads(ran.stdout)
    return result


@pytest.mark.parametrize("module", MODULES)
def test_passes_what_the_epoll_reactor_passes(module: str, tmp_path: Path) -> None:
    onEpoll = outcomes("epoll", module, tmp_path / "epoll")
    onUvloop = outcomes("uvloop", module, tmp_path / "uvloop")
    assert onUvloop.keys() == onEpoll.keys() != set()
    assert not [
        f"{test}: {outcome}"
        for test, outcome in onUvloop.items()
        if outcome != "passed" and onEpoll[test] == "passed" and test not in EXCLUDED
    ]


def test_excludes_nothing_that_does_not_exist(tmp_path: Path) -> None:
    named = {test.partition(".")[0] for test in EXCLUDED}
    there = set[str]()
    for module in named:
        there |= outcomes("epoll", module, tmp_path / module).keys()
    assert EXCLUDED.keys() <= there
