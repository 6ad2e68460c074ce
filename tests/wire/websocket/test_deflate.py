"""
permessage-deflate: its negotiation, and its streams.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tracemalloc
import zlib

import pytest

from netkit.wire.errors import WebSocketProtocolError
from netkit.wire.websocket.deflate import (
    DeflateSettings,
    PerMessageDeflate,
    accept,
    agree,
    offer,
)
from netkit.wire.websocket.extensions import Extension, format_extensions, parse_extensions

WIDE = DeflateSettings(window_bits=15)


def whole(deflate: PerMessageDeflate, payload: bytes) -> bytes:
    """
    Inflate a message of one frame.
    """
    return b"".join(deflate.decompress(payload, True))


# RFC 7692 section 7.2.3.
@pytest.mark.parametrize(
    "octets",
    [
        "f2 48 cd c9 c9 07 00",
        "f3 48 cd c9 c9 07 00 00",
        "00 05 00 fa ff 48 65 6c 6c 6f 00",
        "f2 48 05 00 00 00 ff ff ca c9 c9 07 00",
    ],
)
def test_examples_of_the_rfc(octets: str) -> None:
    payload = bytes.fromhex(octets)
    deflate = PerMessageDeflate()
    assert whole(deflate, payload) == b"Hello"
    assert whole(deflate, payload) == b"Hello"
    last = len(payload) - 1
    parts = [deflate.decompress(payload[i : i + 1], i == last) for i in range(last + 1)]
    assert b"".join(b"".join(part) for part in parts) == b"Hello"


def test_context_takeover() -> None:
    # RFC 7692 section 7.2.3.2.
    deflate = PerMessageDeflate()
    assert deflate.compress(b"Hello", True) == bytes.fromhex("f2 48 cd c9 c9 07 00")
    assert deflate.compress(b"Hello", True) == bytes.fromhex("f2 00 11 00 00")
    deflate.forget()
    assert deflate.compress(b"Hello", True) == bytes.fromhex("f2 48 cd c9 c9 07 00")
    alone = PerMessageDeflate(out_takeover=False, in_takeover=False)
    assert alone.compress(b"Hello", True) == alone.compress(b"Hello", True)
    assert whole(alone, bytes.fromhex("f2 48 cd c9 c9 07 00")) == b"Hello"
    with pytest.raises(WebSocketProtocolError, match="cannot be inflated"):
        whole(alone, bytes.fromhex("f2 00 11 00 00"))


@pytest.mark.parametrize("level", [1, 6])
@pytest.mark.parametrize("bits", range(8, 16))
def test_every_window_inflates_in_awindow_of_that_size(bits: int, level: int) -> None:
    ours = PerMessageDeflate(out_window_bits=bits, level=level)
    theirs = PerMessageDeflate(in_window_bits=bits)
    chance = random.Random(bits)
    words = [chance.randbytes(chance.randrange(3, 20)) for _ in range(300)]
    repeating = b"".join(chance.choices(words, k=9000))
    # zlib has no smaller window. It goes beyond its window within what it hands out at once.
    narrow = zlib.decompressobj(-max(bits, 9))
    for message in (b"", bytes(1000), bytes(range(256)) * 300, b"abc" * 30_000, repeating):
        compressed = ours.compress(message, True)
        assert whole(theirs, compressed) == message
        inflated, rest = b"", compressed + b"\0\0\xff\xff"
        while rest:
            inflated += narrow.decompress(rest, 100)
            rest = narrow.unconsumed_tail
        assert inflated + narrow.decompress(b"") == message


LEVEL_1 = """
import sys, zlib
from netkit.wire.websocket.deflate import PerMessageDeflate
try:
    from isal.isal_zlib import compressobj
except ImportError:
    compressobj = zlib.compressobj
text = b"".join(b"%d," % (i * i) for i in range(500))
alone = compressobj(1, zlib.DEFLATED, -12, 5)
alone = alone.compress(text) + alone.flush(zlib.Z_SYNC_FLUSH)
assert PerMessageDeflate(out_window_bits=12, level=1).compress(text, True) == alone[:-4]
print("isal.isal_zlib" in sys.modules)
"""


@pytest.mark.parametrize("installed", [True, False])
def test_isal_compresses_at_level_1_where_it_is_installed(installed: bool) -> None:
    without = "" if installed else "import sys\nsys.modules['isal'] = None\n"
    said = subprocess.run(
        [sys.executable, "-c", without + LEVEL_1], capture_output=True, text=True, check=True
    )
    assert said.stdout == f"{installed}\n"


def test_memory_is_taken_by_the_first_message() -> None:
    """
    In each direction by that one's, since a connection may be idle, or go one way.
    """

    def taken() -> int:
        return tracemalloc.get_traced_memory()[0] - before

    payload = PerMessageDeflate().compress(b"message", True)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        deflate = PerMessageDeflate()
        assert taken() < 1000
        assert whole(deflate, payload) == b"message"
        inflating = taken()
        assert 5000 < inflating < 60_000
        deflate.compress(b"message", True)
        assert taken() - inflating > 60_000
    finally:
        tracemalloc.stop()


def test_portions_are_bounded() -> None:
    zeros = PerMessageDeflate().compress(bytes(10 * 2**20), True)
    portions = [len(portion) for portion in PerMessageDeflate().decompress(zeros, True)]
    assert sum(portions) == 10 * 2**20
    assert max(portions) <= 2**16


def test_a_stream_that_ends_within_amessage() -> None:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    ended = compressor.compress(b"one ") + compressor.flush(zlib.Z_FINISH)
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    goes = compressor.compress(b"two") + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert whole(PerMessageDeflate(), ended + goes[:-4]) == b"one two"


def negotiate(
    header: str, settings: DeflateSettings = WIDE
) -> tuple[str, PerMessageDeflate] | None:
    """
    What a server answers to an offer.
    """
    found = accept(parse_extensions([header.encode()]), settings)
    return None if found is None else (str(found[0]), found[1])


@pytest.mark.parametrize(
    ("offered", "answer", "out", "into"),
    [
        ("permessage-deflate", "permessage-deflate", 15, 15),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate", 15, 15),
        (
            "permessage-deflate; client_max_window_bits=10; server_max_window_bits=9",
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10",
            9,
            10,
        ),
        (
            "permessage-deflate; server_max_window_bits=15",
            "permessage-deflate; server_max_window_bits=15",
            15,
            15,
        ),
        (
            'permessage-deflate; server_max_window_bits="8"',
            "permessage-deflate; server_max_window_bits=8",
            8,
            15,
        ),
        ("x-unknown, permessage-deflate", "permessage-deflate", 15, 15),
        (
            "permessage-deflate; unknown=1, permessage-deflate; server_max_window_bits=11",
            "permessage-deflate; server_max_window_bits=11",
            11,
            15,
        ),
    ],
)
def test_offers_accepted(offered: str, answer: str, out: int, into: int) -> None:
    found = negotiate(offered)
    assert found is not None
    assert found[0] == answer
    assert (found[1].out_window_bits, found[1].in_window_bits) == (out, into)
    assert found[1].out_takeover
    assert found[1].in_takeover


def test_context_takeover_is_negotiated() -> None:
    found = negotiate("permessage-deflate; server_no_context_takeover")
    assert found is not None
    assert found[0] == "permessage-deflate; server_no_context_takeover"
    assert (found[1].out_takeover, found[1].in_takeover) == (False, True)
    found = negotiate("permessage-deflate; client_no_context_takeover")
    assert found is not None
    assert (found[1].out_takeover, found[1].in_takeover) == (True, False)
    found = negotiate("permessage-deflate", DeflateSettings(context_takeover=False))
    assert found is not None
    assert found[0] == (
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
        "server_max_window_bits=12"
    )


@pytest.mark.parametrize(
    "offered",
    [
        "",
        "x-webkit-deflate-frame",
        "permessage-deflate; unknown",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; client_max_window_bits=1",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
    ],
)
def test_offers_declined(offered: str) -> None:
    assert negotiate(offered) is None


@pytest.mark.parametrize(
    ("settings", "header"),
    [
        (WIDE, b"permessage-deflate; client_max_window_bits"),
        (
            DeflateSettings(),
            (
                b"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12, "
                b"permessage-deflate; client_max_window_bits=12"
            ),
        ),
        (
            DeflateSettings(window_bits=15, context_takeover=False),
            (
                b"permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
                b"client_max_window_bits, "
                b"permessage-deflate; client_no_context_takeover; client_max_window_bits"
            ),
        ),
    ],
)
def test_both_sides_understand_each_other(settings: DeflateSettings, header: bytes) -> None:
    assert format_extensions(offer(settings)) == header
    for serverSettings in (WIDE, DeflateSettings(), DeflateSettings(context_takeover=False)):
        accepted = accept(offer(settings), serverSettings)
        assert accepted is not None
        server, client = accepted[1], agree(accepted[0], settings)
        assert client.in_window_bits == server.out_window_bits
        assert client.out_window_bits <= server.in_window_bits
        assert client.in_takeover == server.out_takeover
        assert not client.out_takeover or server.in_takeover


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("permessage-deflate; unknown", "unknown is unknown"),
        ("permessage-deflate; client_max_window_bits", "client_max_window_bits is not 8 to 15"),
        ("permessage-deflate; server_max_window_bits=16", "server_max_window_bits is not 8 to"),
    ],
)
def test_answers_refused(answer: str, problem: str) -> None:
    (extension,) = parse_extensions([answer.encode()])
    with pytest.raises(WebSocketProtocolError, match=problem):
        agree(extension, DeflateSettings(context_takeover=False))


@pytest.mark.parametrize(
    ("answer", "bits", "takeover"),
    [
        # What gorilla/websocket and Java-WebSocket answer, whatever they are offered.
        (
            b"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            (15, 12),
            (False, False),
        ),
        (b"permessage-deflate", (15, 12), (True, False)),
        (b"permessage-deflate; server_max_window_bits=15", (15, 12), (True, False)),
        (b"permessage-deflate; client_max_window_bits=9", (15, 9), (True, False)),
        (
            b"permessage-deflate; server_no_context_takeover; server_max_window_bits=12",
            (12, 12),
            (False, False),
        ),
    ],
)
def test_a_server_that_does_not_do_all_that_is_wished(
    answer: bytes, bits: tuple[int, int], takeover: tuple[bool, bool]
) -> None:
    (extension,) = parse_extensions([answer])
    agreed = agree(extension, DeflateSettings(context_takeover=False))
    assert (agreed.in_window_bits, agreed.out_window_bits) == bits
    assert (agreed.in_takeover, agreed.out_takeover) == takeover
    # A message that takes all of the largest window, and refers to it.
    server = zlib.compressobj(9, zlib.DEFLATED, -bits[0])
    noise = random.Random(1).randbytes(2 ** bits[0] - 300)
    octets = server.compress(noise * 2) + server.flush(zlib.Z_SYNC_FLUSH)
    assert len(octets) < len(noise) * 1.2
    assert whole(agreed, octets[:-4]) == noise * 2


def test_extensions_are_written_as_read() -> None:
    header = b'a, b;c ; d=e;f="g" ,,\t h'
    assert [str(extension) for extension in parse_extensions([header, b"i"])] == [
        "a",
        "b; c; d=e; f=g",
        "h",
        "i",
    ]
    assert parse_extensions([]) == []
    assert parse_extensions([b"a"]) == [Extension("a")]


@pytest.mark.parametrize(
    "header",
    [b"a b", b"a;", b"a; b=", b'a; b="c', b";", b"a;b=c=d", b"a, (", b'a; b="c d"', b"\xe9"],
)
def test_extensions_that_are_none(header: bytes) -> None:
    with pytest.raises(ValueError, match="is no list of extensions"):
        parse_extensions([header])
