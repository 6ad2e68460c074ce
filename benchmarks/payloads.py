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

TEXT, BINARY, PING = 1, 2, 9
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

# As little as there can be.
SHORT_GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:3202\r\n\r\n"

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

_SYSTEMS = (
    "Windows NT 10.0; Win64; x64",
    "Macintosh; Intel Mac OS X 10_15_7",
    "X11; Linux x86_64",
    "X11; CrOS x86_64 14541.0.0",
    "Linux; Android 14; Pixel 8",
    "iPhone; CPU iPhone OS 18_1 like Mac OS X",
)
_LANGUAGES = ("en-US,en;q=0.5", "de-DE,de;q=0.9,en;q=0.8", "fr", "pt-BR,pt;q=0.9", "ja", "*")
_WORDS = (
    *("api", "assets", "cart", "images", "list", "news", "orders", "products", "search"),
    *("static", "user", "v1", "v2", "account", "blog", "categories", "checkout", "help"),
)
_ACCEPTS = (
    "*/*",
    "application/json, text/plain, */*",
    "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
)


def octets(size: int) -> bytes:
    """
    Some octets that have no order.
    """
    return _RANDOM.randbytes(size)


def varied(count: int = 997) -> tuple[bytes, ...]:
    """
    Requests as from many browsers: no two have the same path, cookie or user agent, and their
    heads have 150 to 800 octets. They are the same in each run.
    """
    drawn = random.Random(997)
    return tuple(_browsed(drawn, number) for number in range(count))


def _browsed(drawn: random.Random, number: int) -> bytes:
    chance = drawn.random
    path = "/".join(drawn.choices(_WORDS, k=drawn.randint(1, 4)))
    query = f"?q={drawn.choice(_WORDS)}&page={drawn.randint(1, 50)}" if chance() < 0.3 else ""
    system, version = drawn.choice(_SYSTEMS), f"{drawn.randint(100, 143)}.0"
    build = f"{drawn.randint(4000, 7500)}.{number}"
    agent = drawn.choice(
        (
            f"Mozilla/5.0 ({system}; rv:{version}.{number}) Gecko/20100101 Firefox/{version}",
            (
                f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) "
                f"Chrome/{version}.{build} Safari/537.36"
            ),
            f"App/{version}.{build}",
        )
    )
    cookies = [f"session={drawn.getrandbits(128):032x}"]
    if chance() < 0.6:
        cookies.append(f"_ga=GA1.1.{drawn.getrandbits(30)}.{drawn.getrandbits(30)}")
    if chance() < 0.3:
        cookies.append(f"consent={drawn.getrandbits(4 * 160):0160x}")
    lines = [
        f"GET /{path}/{number}{query} HTTP/1.1",
        "Host: 127.0.0.1:3202",
        f"User-Agent: {agent}",
        f"Accept: {drawn.choice(_ACCEPTS)}",
    ]
    optional = (
        f"Accept-Language: {drawn.choice(_LANGUAGES)}",
        "Accept-Encoding: gzip, deflate, br, zstd",
        f"Referer: http://127.0.0.1:3202/{drawn.choice(_WORDS)}",
        "Connection: keep-alive",
        "Cache-Control: no-cache",
        f"Sec-Fetch-Dest: {drawn.choice(('document', 'empty', 'image', 'script'))}",
        "Sec-Fetch-Mode: cors",
        "Sec-Fetch-Site: same-origin",
        "Priority: u=1, i",
    )
    share = chance()
    lines += [line for line in optional if chance() < share]
    lines.append(f"Cookie: {'; '.join(cookies)}")
    return "\r\n".join([*lines, "", ""]).encode()


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


def ping(payload: bytes = b"") -> bytes:
    """
    A ping, as a client sends it.
    """
    return _masked(_FINAL | PING, payload)


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
