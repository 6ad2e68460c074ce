"""
Heads drawn at random, parsed with the scanner in C and without it: both come to the same.

    python -m tests.wire.http.scanning_fuzz SECONDS [SEED]

C{make sanitize} runs it on a scanner that sanitizers look into.
"""

from __future__ import annotations

from random import Random
from unittest.mock import patch

from netkit.wire.errors import HTTPProtocolError
from netkit.wire.http import Limits, head
from netkit.wire.http.scanning import is_lone_get
from tests.compiled import compiled
from tests.fuzzing import fuzz

METHODS = [b"GET", b"GET", b"POST", b"CONNECT", b"OPTIONS", b"get", b"G=T", b""]
TARGETS = [
    *(b"/", b"/a/b.c", b"/%41%5a", b"/%4", b"/%", b"/%zz", b"/?", b"/a?b=c&d=%", b"/?\xff", b'/"'),
    *(b"*", b"a:1", b"http://a/b", b"/a#b", b"/a?b#c", b"/{}|\\^`", b"/a?b?/%41", b"", b"/\0"),
]
VERSIONS = [
    b"HTTP/1.1",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/1.9",
    b"HTTP/2.0",
    b"HTTP/1.1 ",
    b"http/1.1",
]
NAMES = [
    *(b"Host", b"hOST", b"Connection", b"CONNECTION", b"Content-Length", b"content\rlength"),
    *(
        b"Transfer-Encoding",
        b"Expect",
        b"Upgrade",
        b"Cookie",
        b"X-Long-Field-Name",
        b"Content_Length",
    ),
    *(b"", b"a b", b"Host ", b"\xe4", b"Ho\xf3t", b"User-Agent", b"X", b"H@st", b"Trailer"),
]
VALUES = [
    *(
        b"a",
        b"a:80",
        b"a:",
        b"a:123456",
        b"a.b-c_~!$&'()*+,;=",
        b"[::1]",
        b"[::1]:1",
        b"%41",
        b"a/b",
    ),
    *(b"close", b"Close", b"keep-alive", b"KEEP-ALIVE", b"close, keep-alive", b"upgrade", b"a b"),
    *(b"upgrade,close", b"keep-alive, Upgrade", b"close,", b",close", b"close ,close"),
    *(b"0", b"00", b"5", b"+5", b"5 5", b"0x5", b"9" * 18, b"9" * 19, b"0" * 19 + b"5", b"5, 5"),
    *(
        b"chunked",
        b"gzip",
        b"100-continue",
        b"websocket",
        b"",
        b"\t",
        b"\xff\x80",
        b"a\0b",
        b"\x7f",
    ),
]
SPACES = [b"", b" ", b" ", b"\t", b" \t "]
ENDS = [b"\r\n"] * 12 + [b"\n", b"\r", b"\r\r\n", b""]
LIMITS = [
    Limits(),
    Limits(),
    Limits(request_line=16, header_section=40, fields=3),
    Limits(request_line=0, header_section=0, fields=0),
    Limits(request_line=2**70, header_section=2**70, fields=2**70),
]


def draw(chance: Random) -> bytes:
    """
    Draw a head, mostly a sound one.
    """
    pick = chance.choice
    if chance.random() < 0.5:
        octets = b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (
            pick(METHODS[:3]),
            pick(TARGETS[:6]),
            b"a:80",
        )
    else:
        octets = b"%b %b %b%b" % (pick(METHODS), pick(TARGETS), pick(VERSIONS), pick(ENDS))
    for _ in range(chance.randrange(5)):
        octets += pick(NAMES) + b":" + pick(SPACES) + pick(VALUES) + pick(SPACES) + pick(ENDS)
    octets += pick(ENDS)
    if chance.random() < 0.2:
        changed = bytearray(octets or b"\0")
        changed[chance.randrange(len(changed))] = chance.randrange(256)
        octets = bytes(changed)
    if chance.random() < 0.2:
        octets = octets[: chance.randrange(len(octets) + 1)]
    return octets + pick([b"", b"", b"x", b"\0", b"GET / HTTP/1.1\r\n"])


def outcome(buffers: list[bytes], start: int, limits: Limits) -> list[object]:
    """
    What one parser makes of heads, one after another.
    """
    parser = head.RequestHeadParser(limits)
    said: list[object] = []
    for buffer in buffers:
        try:
            parsed = parser.parse(buffer, start)
        except HTTPProtocolError as error:
            said.append((error.status, str(error), parser.method))
            break
        if parsed is None:
            said.append(parser.method)
            break
        found, end = parsed
        framing = {name: getattr(found.framing, name) for name in found.framing.__slots__}
        said.append((found.method, found.target, found.minor, found.raw, found.line, end, framing))
        said.append((parser.method, found.fields.pairs))
    return said


def compareOnce(chance: Random) -> None:
    """
    Parse the same heads both ways.
    """
    start = chance.choice([0, 0, 3])
    buffers = [b"\r\n\r\n"[:start] + draw(chance) for _ in range(chance.choice([1, 1, 2, 3]))]
    limits = chance.choice(LIMITS)
    scanned = outcome(buffers, start, limits)
    with patch.object(head, "scan_request", lambda *arguments: None):
        without = outcome(buffers, start, limits)
    assert scanned == without, f"{buffers}, {start}, {limits}: {scanned}, without it {without}"
    for buffer in buffers:
        if is_lone_get(buffer):
            found, end = head.RequestHeadParser(Limits()).parse(buffer, 0) or (None, 0)
            assert found is not None
            said = end, found.method, found.framing.has_content, b"upgrade" in found.fields
            assert said == (len(buffer), b"GET", False, False), buffer


if __name__ == "__main__":
    assert compiled("netkit.wire.http.scanning"), "there is no scanner in C"
    fuzz(compareOnce)
