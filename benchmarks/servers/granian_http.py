"""
granian: an HTTP server in Rust, for an application of its own interface, RSGI.

    python granian_http.py PORT
"""

from __future__ import annotations

import sys
from typing import Any

from granian import Granian

HEADERS = [("content-type", "text/plain")]


async def application(scope: Any, protocol: Any) -> None:
    """
    Answer a request.
    """
    if scope.method == "GET":
        protocol.response_bytes(200, HEADERS, b"Hello, World!")
        return
    if scope.path == "/upload":
        size = 0
        async for piece in protocol:
            size += len(piece)
        protocol.response_bytes(200, HEADERS, b"%d" % size)
        return
    protocol.response_bytes(200, HEADERS, await protocol())


if __name__ == "__main__":
    Granian(
        "granian_http:application",
        address="127.0.0.1",
        port=int(sys.argv[-1]),
        interface="rsgi",
        loop="uvloop",
        workers=1,
        backlog=4096,
        http="1",
        websockets=False,
        log_enabled=False,
    ).serve()
