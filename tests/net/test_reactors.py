"""
netkit.net on every reactor, with coroutines, C{inlineCallbacks} and asyncio's tasks.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("conversation.py")


@pytest.mark.parametrize("reactor", ["epoll", "poll", "select", "asyncio", "uvloop"])
def test_a_conversation(reactor: str, tmp_path: Path) -> None:
    if reactor == "epoll" and not sys.platform.startswith("linux"):
        pytest.skip("epoll is Linux's")
    if reactor == "uvloop" and not (find_spec("uvloop") and find_spec("netkit.reactor")):
        pytest.skip("there is no uvloop here")
    command = [sys.executable, str(PROGRAM), reactor, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "all was said\n", "")
