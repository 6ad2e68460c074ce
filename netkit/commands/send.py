"""
C{netkit send}: send something, half-close, print the reply.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError

from .. import net
from ..base.terminal import TerminalDecoder, terminalOctets
from .arguments import positiveSeconds
from .connecting import clientEndpoint
from .running import CommandFailed
from .standardio import StandardOutput, readInput
from .tls import addTrustArguments


def addArguments(parser: ArgumentParser) -> None:
    """
    Say what the verb takes.
    """
    parser.add_argument(
        "endpoint",
        metavar="ENDPOINT",
        help="a client endpoint: tcp:localhost:3200, unix:/run/echo.sock, tls:example.org:443",
    )
    parser.add_argument("data", metavar="DATA", nargs="?", help="default: standard input")
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=positiveSeconds,
        help="give up when there is no connection after this time, or nothing moves on it for as "
        "long (default: 30 seconds to connect, then no limit)",
    )
    addTrustArguments(parser)


async def run(reactor: Any, arguments: Namespace) -> None:
    """
    Do it.

    @param reactor: what connects.
    @param arguments: the parsed arguments.
    @raise CommandFailed: when there is no connection, or it does not end in good order.
    """
    try:
        socket = await net.createConnection(
            clientEndpoint(reactor, arguments.endpoint, arguments),
            allowHalfOpen=True,
            connectTimeout=arguments.timeout or 30.0,
            timeout=arguments.timeout or 0.0,
            reactor=reactor,
        )
        await _exchange(reactor, socket, arguments)
    except ValueError as error:
        raise CommandFailed(str(error), status=2) from error
    except (ConnectError, ConnectionClosed, DNSLookupError) as error:
        raise CommandFailed(str(error)) from error


async def _exchange(reactor: Any, socket: net.Socket, arguments: Namespace) -> None:
    sending = Deferred.fromCoroutine(_send(reactor, socket, arguments.data))
    try:
        await _print(reactor, socket, arguments.timeout or 0.0)
        # A person at a terminal would not know that it is over before typing a line in vain.
        if arguments.data is not None or not os.isatty(0):
            await sending
    finally:
        # What is not sent by now, nobody waits for.
        sending.addErrback(lambda failure: None)
        sending.cancel()


async def _send(reactor: Any, socket: net.Socket, data: str | None) -> None:
    if data is None:
        try:
            await readInput(reactor, socket.write)
        except OSError as error:
            socket.destroy(CommandFailed(f"standard input: {error.strerror}"))
            return
    await socket.end(os.fsencode(data or ""))


async def _print(reactor: Any, socket: net.Socket, timeout: float) -> None:
    output = StandardOutput(reactor)
    # On a terminal nothing that the peer sends controls it; all else gets the exact octets.
    decoder = TerminalDecoder() if os.isatty(1) else None
    async for piece in socket:
        # A reader of ours that takes its time is no fault of the peer's.
        socket.setTimeout(0)
        shown = piece if decoder is None else terminalOctets(decoder.decode(piece))
        await output.write(shown)
        socket.setTimeout(timeout)
    if decoder is not None:
        await output.write(terminalOctets(decoder.decode(b"", final=True)))
