"""
The floor for HTTP in Python on uvloop: finds the end of a head, and answers. It understands of a
request how long it is, and refuses none.

    python uvloop_http.py [--tls=PREFIX] PORT
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import cast

import uvloop

_LENGTH = b"\r\nContent-Length: "
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
_HELLO = _HEAD % 13 + b"Hello, World!"


class HTTP(asyncio.Protocol):
    """
    Greets who gets something, and sends back what is posted.
    """

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self._pieces: list[bytes] = []
        self._missing = 0

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._pieces.append(data)
            self._missing -= len(data)
            if self._missing:
                return
            data = b"".join(self._pieces)
            self._pieces.clear()
        answers: list[bytes] = []
        position = 0
        while position < len(data):
            end = data.index(b"\r\n\r\n", position) + 4
            if data.startswith(b"POST", position):
                start = data.index(_LENGTH, position, end) + len(_LENGTH)
                length = int(data[start : data.index(b"\r", start)])
                if len(data) < end + length:
                    self._pieces.append(data)
                    self._missing = end + length - len(data)
                    return
                answers += _HEAD % length, data[end : end + length]
                end += length
            else:
                answers.append(_HELLO)
            position = end
        self.transport.write(answers[0] if len(answers) == 1 else b"".join(answers))


async def main() -> None:
    """
    Listen.
    """
    *flags, port = sys.argv[1:]
    context = None
    for flag in flags:
        prefix = flag.removeprefix("--tls=")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(f"{prefix}.crt", f"{prefix}.key")
    server = await asyncio.get_running_loop().create_server(
        HTTP, "127.0.0.1", int(port), ssl=context, backlog=4096
    )
    await server.serve_forever()


uvloop.run(main())
