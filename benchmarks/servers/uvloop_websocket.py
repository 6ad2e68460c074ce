"""
The floor for WebSocket in Python on uvloop: takes each frame for a whole message, and sends it
back. It checks nothing, and knows no control frames.

    python uvloop_websocket.py [--deflate] [--broadcast] PORT
"""

from __future__ import annotations

import asyncio
import sys
import zlib
from base64 import b64encode
from hashlib import sha1
from typing import cast

import uvloop

_KEY = b"Sec-WebSocket-Key: "
_FLAGS = set(sys.argv[1:-1])
_ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    + (b"Sec-WebSocket-Extensions: permessage-deflate\r\n" if "--deflate" in _FLAGS else b"")
    + b"Sec-WebSocket-Accept: %b\r\n\r\n"
)


def _accepting(request: bytes) -> bytes:
    start = request.index(_KEY) + len(_KEY)
    key = request[start : start + 24]
    return _ANSWER % b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def _frame(first: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        return bytes((first, length)) + payload
    if length < 2**16:
        return bytes((first, 126)) + length.to_bytes(2, "big") + payload
    return bytes((first, 127)) + length.to_bytes(8, "big") + payload


class WebSocket(asyncio.Protocol):
    """
    Sends each message back, or to everybody.
    """

    transport: asyncio.Transport
    everybody: set[asyncio.Transport] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self._open = False
        self._pieces: list[bytes] = []
        self._missing = 0
        if "--deflate" in _FLAGS:
            self._inflate = zlib.decompressobj(-15)
            self._deflate = zlib.compressobj(6, zlib.DEFLATED, -12, 5)

    def connection_lost(self, error: Exception | None) -> None:
        self.everybody.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        if not self._open:
            self._open = True
            self.transport.write(_accepting(data))
            self.everybody.add(self.transport)
            return
        if self._missing:
            self._pieces.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return
            data = b"".join(self._pieces)
            self._pieces.clear()
        answers: list[bytes] = []
        position = 0
        while position < len(data):
            length, start = data[position + 1] & 0x7F, position + 2
            if length > 125:
                size = 2 if length == 126 else 8
                length, start = int.from_bytes(data[start : start + size], "big"), start + size
            end = start + 4 + length
            if end > len(data):
                self._pieces.append(data[position:])
                self._missing = end - len(data)
                break
            answers.append(
                self._answer(data[position], data[start : start + 4], data[start + 4 : end])
            )
            position = end
        if "--broadcast" in _FLAGS:
            for answer in answers:
                for each in self.everybody:
                    each.write(answer)
        elif answers:
            self.transport.write(answers[0] if len(answers) == 1 else b"".join(answers))

    def _answer(self, first: int, key: bytes, masked: bytes) -> bytes:
        length = len(masked)
        mask = (key * (length // 4 + 1))[:length]
        mixed = int.from_bytes(masked, "big") ^ int.from_bytes(mask, "big")
        payload = mixed.to_bytes(length, "big")
        if "--deflate" in _FLAGS:
            text = self._inflate.decompress(payload + b"\0\0\xff\xff")
            payload = self._deflate.compress(text) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            payload = payload[:-4]
        return _frame(first, payload)


async def main() -> None:
    """
    Listen.
    """
    loop = asyncio.get_running_loop()
    server = await loop.create_server(WebSocket, "127.0.0.1", int(sys.argv[-1]), backlog=4096)
    await server.serve_forever()


uvloop.run(main())
