"""
websockets on uvloop.

    python websockets_websocket.py [--deflate] [--broadcast] PORT
"""

from __future__ import annotations

import sys

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve


async def echo(connection: ServerConnection) -> None:
    """
    Send each message back.
    """
    async for message in connection:
        await connection.send(message)


everybody: set[ServerConnection] = set()


async def broadcasting(connection: ServerConnection) -> None:
    """
    Send each message to everybody.
    """
    everybody.add(connection)
    try:
        async for message in connection:
            broadcast(everybody, message)
    finally:
        everybody.discard(connection)


async def main() -> None:
    """
    Listen.
    """
    *flags, port = sys.argv[1:]
    async with serve(
        broadcasting if "--broadcast" in flags else echo,
        "127.0.0.1",
        int(port),
        compression="deflate" if "--deflate" in flags else None,
        max_size=2**24,
        backlog=4096,
    ) as server:
        await server.serve_forever()


uvloop.run(main())
