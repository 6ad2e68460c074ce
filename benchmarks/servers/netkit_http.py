"""
netkit's HTTP, through HTTPFactory with a handler; nothing is printed.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted_listen import serve

from netkit.http import HTTPFactory, Request, Response
from netkit.wire.http import Limits

HELLO = Response(200, b"Hello, World!", [(b"content-type", b"text/plain")])


async def upload(request: Request) -> Response:
    """
    Answer how long the content is.
    """
    size = 0
    async for piece in request.content:
        size += len(piece)
    return Response(200, b"%d" % size, [(b"content-type", b"text/plain")])


async def echo(request: Request) -> Response:
    """
    Answer with the content.
    """
    return Response(200, await request.read(), [(b"content-type", b"text/plain")])


def handler(request: Request) -> Response | Coroutine[Deferred[Any], Any, Response]:
    """
    Answer a request.
    """
    if request.method == b"GET":
        return HELLO
    return upload(request) if request.target == b"/upload" else echo(request)


serve(lambda flags: HTTPFactory(handler, limits=Limits(content=0)))
