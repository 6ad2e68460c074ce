"""
Tests for L{netkit.aio}, each in a process of its own: a process has one reactor.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from netkit.aio import asTask
from netkit.base.coroutines import maybeCoroutine, startCoroutine

ROOT = Path(__file__).parents[1]

EXPECTED = r"""{reactor}
b'slept'
b'1\r\na\r\n1\r\nb\r\n0\r\n\r\n'
b'ABC'
timed out
cancelled
b'ab'
HELLO
asyncio.exceptions asyncio.exceptions
"""


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


@pytest.mark.parametrize(
    ("loop", "reactor"), [("asyncio", "AsyncioSelectorReactor"), ("uvloop", "UvloopReactor")]
)
def test_both_kinds_are_awaited(loop: str, reactor: str) -> None:
    assert run("-m", "tests.aio_program", loop) == EXPECTED.format(reactor=reactor)


def test_the_page() -> None:
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "asyncio.md").read_text(), re.S)
    assert run("-c", "".join(examples[:2]) + "HTTPFactory(limited)") == ""
    assert run("-c", examples[2]) == "b'hello'\n"
    # Whoever imports the reactor first chooses it.
    late = "from twisted.internet import reactor\n" + examples[2]
    done = subprocess.run([sys.executable, "-c", late], cwd=ROOT, capture_output=True, text=True)
    assert "ReactorAlreadyInstalledError" in done.stderr.splitlines()[-1]


def test_without_a_loop() -> None:
    async def double(number: int) -> int:
        return 2 * number

    results: list[object] = []
    startCoroutine(double(1)).addCallback(results.append)
    functions: list[Callable[[int], object]] = [double, lambda number: 2 * number]
    for function in functions:
        maybeCoroutine(function, 2).addCallback(results.append)
    assert results == [2, 4, 4]
    noCoroutine: object = Deferred()
    with pytest.raises(TypeError, match="is no coroutine"):
        startCoroutine(noCoroutine)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="function"):
        asTask(noCoroutine)  # type: ignore[arg-type]
