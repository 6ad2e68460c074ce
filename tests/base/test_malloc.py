"""
Tests for L{netkit.base.malloc}.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Ten messages of a megabyte come and go, many times over: prints the page faults that each costs.
PROGRAM = """
import resource, sys
from tests.websocket.helpers import Application, Server
server = Server(Application())
if sys.argv[1:] == ["open"]:
    server.open()

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def come_and_go():
    messages = [b"x" * (2**20 + i) for i in range(10)]

for _ in range(10):
    come_and_go()
before = faults()
for _ in range(20):
    come_and_go()
print((faults() - before) / 200)
"""


def faults(*arguments: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, check=True, cwd=ROOT
    )
    return float(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is about glibc's malloc")
def test_memory_of_large_messages_is_used_again() -> None:
    assert faults("open") < 10 < faults()
