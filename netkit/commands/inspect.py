"""
C{netkit inspect}: what was recorded, on a web page.
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from ..base.endpoints import serverEndpoint
from ..base.quantities import QuantityError, parseCount
from ..base.terminal import printableLine, terminalOctets
from ..capture.reading import Recordings, UnreadableError
from ..capture.recorder import EVENT, Recorder
from ..capture.ring import Ring
from ..inspector.access import Access
from ..inspector.inspector import Inspector
from ..service import CannotStart
from ..services.inspection import OTHER_ENDPOINT, InspectorService
from ..wire.recording import Event, Octets
from .running import CommandFailed, tell
from .standardio import StandardOutput

# How many octets of memory are read at once.
_BATCH = 2**20


def addArguments(parser: ArgumentParser) -> None:
    """
    Say what the verb takes.
    """
    parser.add_argument("path", metavar="FILE|DIR", type=Path, help="what --capture wrote")
    parser.add_argument(
        "--inspect",
        metavar="ENDPOINT",
        default=OTHER_ENDPOINT,
        help=f"a server endpoint string to listen on (default: {OTHER_ENDPOINT})",
    )
    parser.add_argument(
        "--inspect-host",
        metavar="NAME",
        action="append",
        default=[],
        help="a host name by which it is reached, besides localhost and addresses",
    )
    parser.add_argument(
        "--inspect-buffer",
        metavar="BYTES",
        type=_octets,
        default=2**30,
        help="memory for what is shown: the last of it (default: 1 GiB)",
    )
    parser.add_argument(
        "--inspect-read-only", action="store_true", help="show, and send nothing again"
    )


async def run(reactor: Any, arguments: Namespace) -> None:
    """
    Do it.

    @param reactor: what listens.
    @param arguments: the parsed arguments.
    @raise CommandFailed: the recording cannot be read, or the endpoint not be had.
    """
    try:
        serverEndpoint(reactor, arguments.inspect)
    except ValueError as error:
        raise CommandFailed(str(error), status=2) from error
    ring = Ring(arguments.inspect_buffer)
    try:
        with Recordings(arguments.path) as recordings:
            last = await _read(reactor, recordings, ring)
    except UnreadableError as error:
        raise CommandFailed(str(error)) from error
    if not ring.taken:
        raise CommandFailed(f"there is no connection in {str(arguments.path)!r}")
    if ring.evicted:
        tell(
            f"{ring.evicted} of {ring.taken} events, the oldest ones, are left out: "
            "--inspect-buffer says how much memory there is"
        )
    recorder = Recorder([ring], reactor, numbers=count(last + 1))
    inspector = Inspector(
        ring,
        reactor,
        access=Access(arguments.inspect_host),
        flush=recorder.flush,
        recorder=recorder,
        recording=str(arguments.path),
        readOnly=arguments.inspect_read_only,
    )
    said: list[str] = []
    service = InspectorService(inspector, arguments.inspect, reactor, tell=said.append)
    try:
        service.startService()
    except CannotStart as error:
        raise CommandFailed(str(error)) from error
    try:
        output = StandardOutput(reactor)
        for line in said:
            await output.write(terminalOctets(printableLine(line) + "\n"))
        # Until a signal cancels it.
        await Deferred()
    finally:
        await service.stopService()


async def _read(reactor: Any, recordings: Recordings, ring: Ring) -> int:
    """
    Put what is recorded into a ring.

    @return: the last connection's number.
    """
    last = 0
    batches = _batches(recordings.read())
    while True:
        batch = await deferToThreadPool(reactor, reactor.getThreadPool(), next, batches, None)
        if batch is None:
            return last
        events, size = batch
        ring.take(events, size)
        last = max(last, *(event.connection for event in events))


def _batches(events: Iterator[Event]) -> Iterator[tuple[list[Event], int]]:
    batch: list[Event] = []
    size = 0
    for event in events:
        batch.append(event)
        size += EVENT + (len(event.data) if isinstance(event, Octets) else 0)
        if size > _BATCH:
            yield batch, size
            batch, size = [], 0
    if batch:
        yield batch, size


def _octets(text: str) -> int:
    try:
        return parseCount(text)
    except QuantityError as error:
        raise ArgumentTypeError(str(error)) from error
