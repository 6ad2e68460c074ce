"""
C{netkit replay}: do again what clients did.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from ..base.endpoints import clientEndpoint
from ..base.terminal import printableLine, terminalOctets
from ..capture.reading import Recordings, UnreadableError
from ..capture.replay import BY_NATURE, Replay, conversations
from .arguments import positiveSeconds
from .running import CommandFailed
from .standardio import StandardOutput


def addArguments(parser: ArgumentParser) -> None:
    """
    Say what the verb takes.
    """
    parser.add_argument("path", metavar="FILE|DIR", type=Path, help="what --capture wrote")
    parser.add_argument(
        "--to", metavar="ENDPOINT", required=True, help="a client endpoint, such as tcp:host:80"
    )
    speed = parser.add_mutually_exclusive_group()
    speed.add_argument(
        "--speed", metavar="N", type=positiveSeconds, default=1.0, help="times as fast as it was"
    )
    speed.add_argument("--fast", action="store_true", help="as fast as it goes")
    parser.add_argument(
        "--connection", metavar="N", type=int, action="append", help="these alone; all by default"
    )
    parser.add_argument("--diff", action="store_true", help="say what is different")
    parser.add_argument(
        "--ignore",
        metavar="FIELD",
        action="append",
        default=list(BY_NATURE),
        help="a field of HTTP responses that may differ, besides Date",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=positiveSeconds,
        default=10.0,
        help="for how long to wait for an answer (default: 10)",
    )


async def run(reactor: Any, arguments: Namespace) -> None:
    """
    Do it.

    @param reactor: what connects.
    @param arguments: the parsed arguments.
    @raise CommandFailed: the recording cannot be read, or something is different.
    """
    try:
        clientEndpoint(reactor, arguments.to)
    except ValueError as error:
        raise CommandFailed(str(error), status=2) from error
    try:
        with Recordings(arguments.path) as recordings:
            recorded = conversations(recordings.read())
    except UnreadableError as error:
        raise CommandFailed(str(error)) from error
    if arguments.connection:
        recorded = [each for each in recorded if each.opened.connection in arguments.connection]
    if not recorded:
        raise CommandFailed("there is no such connection in the recording")
    replay = Replay(
        arguments.to,
        reactor,
        speed=0.0 if arguments.fast else arguments.speed,
        patience=arguments.timeout,
        ignore=[name.lower() for name in arguments.ignore],
    )
    different = await replay.play(recorded)
    output = StandardOutput(reactor)
    if arguments.diff:
        for number, lines in sorted(different.items()):
            for line in lines:
                await output.write(_line(f"connection {number}: {line}"))
        for name, count in replay.ignored.items():
            if count:
                await output.write(_line(f"ignored: {name} ({count} times)"))
    await output.write(_line(f"{len(recorded)} connections, {len(different)} different"))
    if different:
        raise CommandFailed()


def _line(text: str) -> bytes:
    return terminalOctets(printableLine(text) + "\n")
