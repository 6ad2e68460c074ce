"""
C{netkit export}: what was recorded, in another program's format.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import __version__
from ..capture.har import Archive
from ..capture.reading import Recordings, UnreadableError
from ..capture.views import Views
from .running import CommandFailed
from .standardio import StandardOutput


def addArguments(parser: ArgumentParser) -> None:
    """
    Say what the verb takes.
    """
    parser.add_argument("path", metavar="FILE|DIR", type=Path, help="what --capture wrote")
    parser.add_argument("--har", action="store_true", required=True, help="the format")
    parser.add_argument(
        "--with-secrets",
        action="store_true",
        help="leave Authorization, Cookie and Set-Cookie as they were",
    )


async def run(reactor: Any, arguments: Namespace) -> None:
    """
    Do it.

    @param reactor: what waits for standard output.
    @param arguments: the parsed arguments.
    @raise CommandFailed: the recording cannot be read, or standard output not be written to.
    """
    output = StandardOutput(reactor)
    try:
        with Recordings(arguments.path) as recordings:
            for piece in _archive(recordings, secrets=arguments.with_secrets):
                await output.write(piece.encode())
    except UnreadableError as error:
        raise CommandFailed(str(error)) from error


def _archive(recordings: Recordings, *, secrets: bool) -> Iterator[str]:
    archive = Archive("netkit", __version__, secrets=secrets)
    begin = f'{{"log": {json.dumps(archive.about)[:-1]}, "entries": [\n'
    # Nothing is written before something could be read.
    between = begin
    for item in Views().feed(recordings.read()):
        for entry in archive.feed(item):
            yield between
            yield from entry
            between = ",\n"
        item.close()
    for entry in archive.rest():
        yield between
        yield from entry
        between = ",\n"
    yield (begin if between == begin else "") + "\n]}}\n"
