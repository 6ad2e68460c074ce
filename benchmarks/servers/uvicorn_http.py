"""
uvicorn with httptools and uvloop: an HTTP server.

    python uvicorn_http.py PORT
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """
    Answer a request.
    """
    content = b"Hello, World!"
    if scope["method"] == "POST":
        upload = scope["path"] == "/upload"
        pieces, size, more = [], 0, True
        while more:
            event = await receive()
            more = event.get("more_body", False)
            size += len(event["body"])
            if not upload:
                pieces.append(event["body"])
        content = b"%d" % size if upload else b"".join(pieces)
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"text/plain"),
                (b"content-length", b"%d" % len(content)),
            ],
        }
    )
    await send({"type": "http.response.body", "body": content})


uvicorn.run(
    application,
    port=int(sys.argv[-1]),
    loop="uvloop",
    http="httptools",
    lifespan="off",
    ws="none",
    interface="asgi3",
    access_log=False,
    log_level="error",
    backlog=4096,
)
