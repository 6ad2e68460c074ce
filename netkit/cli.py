"""
The C{netkit} command: clients, one verb each.

A verb is a module of L{netkit.commands} that has C{SUMMARY}, a line for the help;
C{addArguments(parser)}, which says what it takes; and C{async def run(reactor, arguments)}, which
does it and raises L{CommandFailed <netkit.commands.running.CommandFailed>} where it cannot.
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

#: The verbs, and the names of their modules.
VERBS = ("send", "ws", "show", "export")


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

        verbs = {verb: import_module(f"netkit.commands.{verb}") for verb in VERBS}
        parser = _Parser("netkit", description="Clients for any Twisted endpoint.")
        parser.add_argument("--version", action="version", version=f"netkit {__version__}")
        choices = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
        for name, verb in verbs.items():
            verb.addArguments(
                choices.add_parser(name, help=verb.SUMMARY, description=verb.SUMMARY)
            )
        arguments = parser.parse_args(argv)
        return runCommand(f"netkit {arguments.verb}", verbs[arguments.verb].run, arguments)
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
