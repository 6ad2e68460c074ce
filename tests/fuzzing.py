"""
The same, again and again, with what is drawn at random.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from random import Random


def fuzz(compareOnce: Callable[[Random], None]) -> None:
    """
    Go on for as many seconds as the command line says, from the seed that it says, or from another
    one each time, which is printed.
    """
    seconds = float(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns()
    print(f"seed {seed}", flush=True)
    chance, count, end = Random(seed), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        compareOnce(chance)
        count += 1
    print(f"{count} times the same")
