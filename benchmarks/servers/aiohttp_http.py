"""
aiohttp on uvloop: an HTTP server.

    python aiohttp_http.py PORT
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import web


async def hello(request: web.Request) -> web.Response:
    """
    Answer with a greeting.
    """
    return web.Response(body=b"Hello, World!", content_type="text/plain")


async def echo(request: web.Request) -> web.Response:
    """
    Answer with the content.
    """
    return web.Response(body=await request.read(), content_type="text/plain")


async def upload(request: web.Request) -> web.Response:
    """
    Answer how long the content is.
    """
    size = 0
    async for piece in request.content.iter_any():
        size += len(piece)
    return web.Response(body=b"%d" % size, content_type="text/plain")


async def main() -> None:
    """
    Listen.
    """
    application = web.Application(client_max_size=2**30)
    application.router.add_get("/{path:.*}", hello)
    application.router.add_post("/", echo)
    application.router.add_post("/upload", upload)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[-1]), backlog=4096).start()
    await asyncio.Event().wait()


uvloop.run(main())
