"""
Daphne: serves an ASGI application that greets.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

from reactors import install

address = install()

from daphne.cli import CommandLineInterface  # noqa: E402 # it takes the reactor that is there

Message = dict[str, Any]


async def application(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """
    Answer a request.
    """
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"13")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"Hello, World!"})


if __name__ == "__main__":
    sys.modules["daphne_server"] = sys.modules["__main__"]
    CommandLineInterface().run(
        ["--endpoint", f"tcp:port={address}:interface=127.0.0.1", "daphne_server:application"]
    )
