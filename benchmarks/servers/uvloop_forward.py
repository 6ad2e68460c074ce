"""
An asyncio relay on uvloop: as little as can be between two connections, which is where the limit
is for anything that uvloop moves.

    python uvloop_forward.py --to=PORT PORT
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop


class End(asyncio.Protocol):
    """
    One end: what it receives is written to the other; while that one's peer does not take it, no
    more is read.
    """

    transport: asyncio.Transport
    other: End

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.other.transport.write(data)

    def eof_received(self) -> bool:
        self.other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.other.transport.close()

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.other.transport.resume_reading()


class Client(End):
    """
    A client's end, which connects the other one.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        # What comes before there is another end: uvloop begins to read whatever it is told.
        self._early: list[bytes] | None = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # A task that nobody keeps may be collected.
        self._connecting = asyncio.ensure_future(self._connect())

    def data_received(self, data: bytes) -> None:
        if self._early is None:
            self.other.transport.write(data)
        else:
            self._early.append(data)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, self.other = await loop.create_connection(End, "127.0.0.1", self._port)
        self.other.other = self
        early, self._early = self._early, None
        self.other.transport.writelines(early or ())


async def main() -> None:
    """
    Listen.
    """
    to, port = sys.argv[1:]
    upstream = int(to.removeprefix("--to="))
    server = await asyncio.get_running_loop().create_server(
        lambda: Client(upstream), "127.0.0.1", int(port), backlog=4096
    )
    await server.serve_forever()


uvloop.run(main())
