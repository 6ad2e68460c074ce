"""
The C{netkit} command: clients, and what looks at recordings, one verb each.

A verb is a module of L{netkit.commands} that has C{addArguments(parser)}, which says what it
takes, and C{async def run(reactor, arguments)}, which does it and raises L{CommandFailed
<netkit.commands.running.CommandFailed>} where it cannot.
"""

from __future__ import annotations

import os
import signal
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from . import __version__

#: The verbs, which their modules are named after, and what the help says of each.
VERBS = {
    "send": "Connect, send DATA or standard input, half-close, and print the reply as it arrives.",
    "ws": "Talk to a WebSocket: a line of standard input is a message, messages are printed.",
    "show": "Show what was recorded: a line a connection, or what was said on it.",
    "inspect": "Show on a web page what was recorded, until Ctrl-C.",
    "export": "Write what was recorded as an HTTP Archive (HAR), which browsers' tools open.",
    "ca": "Make a throw-away certificate authority (CA), and say how to trust it.",
    "replay": "Send again what recorded clients sent, and compare what comes back.",
}


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the command.

    @param argv: the arguments after the command's name; those of the process by default.
    @return: the exit status: 0 when all went well, 1 when it did not, 2 when the arguments are
        wrong, 128 and the signal's number when a signal ended it.
    """
    try:
        _openStandardStreams()
        # Here, for an interrupt while they are read to be quiet as well.
        from .commands.running import runCommand

        argv = sys.argv[1:] if argv is None else argv
        # The others are not loaded: a command is to start fast.
        chosen = next((argument for argument in argv if not argument.startswith("-")), "")
        verb = import_module(f"netkit.commands.{chosen}") if chosen in VERBS else None
        parser = _Parser("netkit", description="Clients for any Twisted endpoint; recordings.")
        parser.add_argument("--version", action="version", version=f"netkit {__version__}")
        choices = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
        for name, summary in VERBS.items():
            its = choices.add_parser(name, help=summary, description=summary)
            if verb is not None and name == chosen:
                verb.addArguments(its)
        arguments = parser.parse_args(argv)
        # There is one: without it, or with another one, the arguments are wrong.
        assert verb is not None
        return runCommand(f"netkit {chosen}", verb.run, arguments)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _openStandardStreams() -> None:
    """
    Give a stream that the process was started without a descriptor that every use fails on, so
    that no connection gets its number and is taken for it.
    """
    for descriptor, mode in (
        (sys.__stdin__, os.O_WRONLY),
        (sys.__stdout__, os.O_RDONLY),
        (sys.__stderr__, os.O_WRONLY),
    ):
        if descriptor is None:
            # The lowest free number is the one that is missing.
            os.open(os.devnull, mode)
