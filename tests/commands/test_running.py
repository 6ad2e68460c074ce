"""
Tests for L{netkit.commands.running}.
"""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os, signal, sys
from argparse import Namespace
from netkit.commands.running import runCommand

signal.signal(signal.SIGINT, signal.SIG_IGN)

async def run(reactor, arguments):
    os.kill(os.getpid(), signal.SIGINT)
    if arguments.fails:
        raise LookupError("a bug")

sys.exit(runCommand("netkit test", run, Namespace(fails=len(sys.argv) > 1)))
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_an_ignored_signal_stays_ignored() -> None:
    """
    As under nohup, or in the background of a script.
    """
    done = run()
    assert (done.returncode, done.stderr) == (0, "")


def test_a_bug_is_shown_as_one() -> None:
    done = run("fails")
    assert done.returncode == 1
    assert "netkit test failed" in done.stderr
    assert "LookupError: a bug" in done.stderr
