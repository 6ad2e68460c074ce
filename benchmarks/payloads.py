"""
The octets that are sent, and those that are to come back.
"""

from __future__ import annotations

import json
import random
import struct
import zlib

_RANDOM = random.Random(20)
_MASKING_KEY = b"\x37\xfa\x21\x3d"

TEXT, BINARY = 1, 2
_FINAL, _COMPRESSED = 0x80, 0x40

# The key and the answer of RFC 6455 section 1.3.
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
_UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
UPGRADE = _UPGRADE + b"\r\n"
UPGRADE_WITH_DEFLATE = (
    _UPGRADE + b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)

HELLO = b"Hello, World!"

# What a browser sends, to about 450 octets.
GET = (
    b"GET / HTTP/1.1\r\n"
    b"Host: 127.0.0.1:3202\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Connection: keep-alive\r\n"
    b"Upgrade-Insecure-Requests: 1\r\n"
    b"Sec-Fetch-Dest: document\r\n"
    b"Sec-Fetch-Mode: navigate\r\n"
    b"Priority: u=0, i\r\n\r\n"
)


def octets(size: int) -> bytes:
    """
    Some octets that have no order.
    """
    return _RANDOM.randbytes(size)


def post(target: str, content: bytes) -> bytes:
    """
    A request with content.
    """
    head = (
        f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1:3202\r\n"
        f"Content-Type: application/octet-stream\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def _frame(first: int, payload: bytes, mask: int) -> bytes:
    if len(payload) < 126:
        header = struct.pack("!BB", first, mask | len(payload))
    elif len(payload) < 2**16:
        header = struct.pack("!BBH", first, mask | 126, len(payload))
    else:
        header = struct.pack("!BBQ", first, mask | 127, len(payload))
    return header + (_MASKING_KEY if mask else b"") + payload


def message(payload: bytes, opcode: int = BINARY) -> bytes:
    """
    A message in one frame, as a client sends it.
    """
    return _masked(_FINAL | opcode, payload)


def echoed(payload: bytes, opcode: int = BINARY) -> bytes:
    """
    A message in one frame, as a server sends it.
    """
    return _frame(_FINAL | opcode, payload, 0)


def compressed(payload: bytes, opcode: int = TEXT) -> bytes:
    """
    A compressed message, as a client sends it. It refers to no earlier one, and to nothing that
    is farther away than the smallest window which servers ask for.
    """
    deflater = zlib.compressobj(6, zlib.DEFLATED, -10)
    data = deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)
    return _masked(_FINAL | _COMPRESSED | opcode, data[:-4])


def _masked(first: int, payload: bytes) -> bytes:
    key = (_MASKING_KEY * (len(payload) // 4 + 1))[: len(payload)]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return _frame(first, mixed.to_bytes(len(payload), "big"), 0x80)


def document() -> bytes:
    """
    A JSON text of some 2 KiB, as an application might send.
    """
    entries = [
        {
            "id": _RANDOM.getrandbits(32),
            "user": f"user-{_RANDOM.randrange(1000)}",
            "price": round(_RANDOM.random() * 100, 2),
            "tags": _RANDOM.sample(["new", "used", "sale", "large", "small", "blue"], 3),
            "available": _RANDOM.random() < 0.5,
        }
        for _ in range(20)
    ]
    return json.dumps(entries).encode()
