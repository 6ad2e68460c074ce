"""
aiohttp on uvloop: a WebSocket server.

    python aiohttp_websocket.py [--deflate] [--broadcast] PORT
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

import uvloop
from aiohttp import WSMsgType, web

*flags, port = sys.argv[1:]
everybody: set[web.WebSocketResponse] = set()


async def answer(request: web.Request) -> web.WebSocketResponse:
    """
    Send each message back, or to everybody.
    """
    connection = web.WebSocketResponse(max_msg_size=2**24, compress="--deflate" in flags)
    await connection.prepare(request)
    everybody.add(connection)
    async for message in connection:
        if "--broadcast" in flags:
            for each in list(everybody):
                # It may have closed since.
                with suppress(ConnectionResetError):
                    await each.send_bytes(message.data)
        elif message.type is WSMsgType.TEXT:
            await connection.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await connection.send_bytes(message.data)
    everybody.discard(connection)
    return connection


async def main() -> None:
    """
    Listen.
    """
    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(port), backlog=4096).start()
    await asyncio.Event().wait()


uvloop.run(main())
