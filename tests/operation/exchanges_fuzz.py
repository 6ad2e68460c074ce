"""
Exchanges drawn at random, counted in C and in Python: both come to the same.

    python -m tests.operation.exchanges_fuzz SECONDS [SEED]

C{make sanitize} runs it on a part in C that sanitizers look into.
"""

from __future__ import annotations

import sys
import time
from random import Random
from types import ModuleType, SimpleNamespace
from typing import Any

from netkit.operation.exchanges import python
from tests.compiled import compiled

METHODS = (b"GET", b"HEAD", b"POST", b"")
BOUNDS = (0.0, 0.001, 0.5, 10.0)

# What may be in the place of a method, a status, and a time.
SENT = [*METHODS, b"get", b"GETS", b"G\0T", b"\xff" * 100]
STATUSES = [0, 99, 100, 200, 204, 404, 599, 999, 1000, -1, 2**70]
SECONDS = [*BOUNDS, 0.0005, 0.5000001, 1e300, -1.0, float("inf")]


def head(chance: Random) -> Any:
    """
    Draw a head.
    """
    if chance.random() < 0.1:
        return None
    return SimpleNamespace(method=chance.choice(SENT))


def outcome(call: Any, *arguments: Any) -> object:
    """
    What a call comes to.
    """
    try:
        return call(*arguments)
    except (ValueError, OverflowError):
        return "refused"


def counted(module: Any, exchanges: list[tuple[Any, ...]]) -> list[object]:
    """
    What one language makes of exchanges.
    """
    tally = module.Tally(METHODS, BOUNDS)
    said = [outcome(tally.count, *values) for values in exchanges]
    return [*said, tally.counts(), tally.buckets(), tally.seconds()]


def draw(chance: Random) -> tuple[Any, ...]:
    """
    Draw the values of an exchange.
    """
    return (
        *(head(chance), chance.choice(STATUSES), chance.randrange(1000)),
        *(chance.choice(SECONDS), chance.uniform(0, 2e9), object()),
    )


def compareOnce(chance: Random) -> None:
    """
    Have both do the same.
    """
    native: ModuleType | None = compiled("netkit.operation.exchanges")
    exchanges = [draw(chance) for _ in range(chance.randrange(20))]
    inC, inPython = counted(native, exchanges), counted(python, exchanges)
    assert inC == inPython, f"{exchanges}: {inC}, in Python {inPython}"


def main(seconds: float, seed: int) -> None:
    """
    Go on for a time.
    """
    assert compiled("netkit.operation.exchanges"), "there is nothing in C"
    print(f"seed {seed}", flush=True)
    chance, count, end = Random(seed), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        compareOnce(chance)
        count += 1
    print(f"{count} times the same")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns())
