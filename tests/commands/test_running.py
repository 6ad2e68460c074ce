"""
Tests for L{netkit.commands.running}.
"""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os, signal, sys
from argparse import Namespace
from twisted.internet.defer import fail
from netkit.commands.running import runCommand

signal.signal(signal.SIGINT, signal.SIG_IGN)

async def run(reactor, arguments):
    os.kill(os.getpid(), signal.SIGINT)
    if "fails" in arguments.how:
        raise LookupError("a bug \\x1b[2J")
    if "forgets" in arguments.how:
        fail(LookupError("a bug \\x1b[2J"))

sys.exit(runCommand("netkit test", run, Namespace(how=sys.argv)))
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
    assert r"LookupError: a bug \x1b[2J" in done.stderr


def test_so_is_one_that_nobody_awaits() -> None:
    done = run("forgets")
    assert done.returncode == 0
    assert "Traceback" in done.stderr
    assert r"LookupError: a bug \x1b[2J" in done.stderr


def test_a_verb_loads_no_other() -> None:
    """
    Nor what only others need: a command that is run often is to start fast.
    """
    program = (
        "import sys; from netkit import cli\n"
        "try: cli.main(['send', '--help'])\n"
        "except SystemExit: print(*(name for name in sys.modules if name.startswith('netkit.')))"
    )
    command = [sys.executable, "-c", program]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "netkit.commands.send" in loaded
    for name in ("netkit.commands.ws", "netkit.commands.show", "netkit.capture", "websocket"):
        assert name not in loaded
