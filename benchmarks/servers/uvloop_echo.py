"""
An asyncio Protocol on uvloop that echoes.

    python uvloop_echo.py [--tls=PREFIX] PORT|PATH
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import cast

import uvloop


class Echo(asyncio.Protocol):
    """
    Sends back what it receives; while the peer does not take it, reads no more.
    """

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()


async def main() -> None:
    """
    Listen.
    """
    *flags, address = sys.argv[1:]
    loop = asyncio.get_running_loop()
    context = None
    for flag in flags:
        prefix = flag.removeprefix("--tls=")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(f"{prefix}.crt", f"{prefix}.key")
    if address.isdigit():
        server = await loop.create_server(
            Echo, "127.0.0.1", int(address), ssl=context, backlog=4096
        )
    else:
        server = await loop.create_unix_server(Echo, address, backlog=4096)
    await server.serve_forever()


uvloop.run(main())
