"""
Tests for L{netkit.wire.proxyprotocol}.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.wire.errors import LocalProtocolError
from netkit.wire.proxyprotocol import (
    PP2_TYPE_ALPN,
    PP2_TYPE_AUTHORITY,
    PP2_TYPE_CRC32C,
    PP2_TYPE_NOOP,
    PP2_TYPE_UNIQUE_ID,
    InternetAddress,
    InvalidProxyHeader,
    ProxyHeader,
    ProxyHeaderReceiver,
    crc32c,
    encode_v1,
    encode_v2,
)

V2 = b"\r\n\r\n\0\r\nQUIT\n"


def tcp(host: str, port: int) -> InternetAddress:
    return InternetAddress(ip_address(host), port)


IPV4 = ProxyHeader(tcp("192.0.2.1", 56324), tcp("192.0.2.2", 443))
IPV6 = ProxyHeader(tcp("2001:db8::1", 1), tcp("::1", 65535))


def received(pieces: Iterable[bytes]) -> tuple[ProxyHeader, bytes]:
    """
    The header in what arrives, and what comes behind it.
    """
    receiver = ProxyHeaderReceiver()
    rest = iter(pieces)
    for piece in rest:
        header = receiver.receive(piece)
        if header is not None:
            return header, receiver.trailing + b"".join(rest)
    raise AssertionError("no header")


def octets(data: bytes) -> Iterable[bytes]:
    return (bytes([octet]) for octet in data)


HEADERS = [
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", IPV4),
    (b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", None),
    (b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", IPV6),
    (b"PROXY TCP6 2001:DB8:0:0:0:0:0:1 ::1 1 65535\r\n", IPV6),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 65535\r\n", None),
    (b"PROXY UNKNOWN\r\n", ProxyHeader()),
    (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", ProxyHeader()),
    (b"PROXY UNKNOWN \x80 anything\r\n", ProxyHeader()),
    (V2 + b"\x21\x11\0\x0c" + b"\xc0\0\2\1\xc0\0\2\2\xdc\4\1\xbb", IPV4),
    (V2 + b"\x21\x12\0\x0c" + b"\xc0\0\2\1\xc0\0\2\2\xdc\4\1\xbb", replace(IPV4, datagram=True)),
    (
        V2 + b"\x21\x21\0\x24\x20\1\r\xb8" + bytes(11) + b"\1" + bytes(15) + b"\1\0\1\xff\xff",
        IPV6,
    ),
    (
        V2 + b"\x21\x31\0\xd8" + b"/run/a".ljust(108, b"\0") + b"\0abstract".ljust(108, b"\0"),
        ProxyHeader(b"/run/a", b"\0abstract"),
    ),
    (V2 + b"\x21\x32\0\xd8" + bytes(216), ProxyHeader(b"", b"", datagram=True)),
    # A path that something is left behind of.
    (
        V2 + b"\x21\x31\0\xd8" + b"/a\0b".ljust(108, b"\0") + bytes(108),
        ProxyHeader(b"/a", b""),
    ),
    # LOCAL: whatever it says is discarded, even of a family that there is none of.
    (V2 + b"\x20\x00\0\0", ProxyHeader(local=True)),
    (V2 + b"\x20\x11\0\x0c" + bytes(12), ProxyHeader(local=True)),
    (V2 + b"\x20\xff\0\3abc", ProxyHeader(local=True)),
    # UNSPEC: of either half, whatever it says.
    (V2 + b"\x21\x00\0\0", ProxyHeader()),
    (V2 + b"\x21\x10\0\x05abcde", ProxyHeader()),
    (V2 + b"\x21\x01\0\x05abcde", ProxyHeader()),
    (
        V2 + b"\x21\x11\0\x14" + b"\xc0\0\2\1\xc0\0\2\2\xdc\4\1\xbb" + b"\1\0\2h2\4\0\0",
        replace(IPV4, tlvs=((PP2_TYPE_ALPN, b"h2"), (PP2_TYPE_NOOP, b""))),
    ),
]


@pytest.mark.parametrize(("data", "header"), HEADERS)
@pytest.mark.parametrize("trailing", [b"", b"\r\nPROXY \0"])
def test_a_header(data: bytes, header: ProxyHeader | None, trailing: bytes) -> None:
    whole = received([data + trailing])
    assert whole[1] == trailing
    assert header is None or whole[0] == header
    assert received(octets(data + trailing)) == whole


def test_addresses_of_a_line() -> None:
    header, _ = received([b"PROXY TCP6 ::ffff:192.0.2.1 ::1 80 443\r\n"])
    assert header == ProxyHeader(tcp("::ffff:192.0.2.1", 80), tcp("::1", 443))
    assert str(header.source) == "[::ffff:c000:201]:80" or "192.0.2.1" in str(header.source)


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"GET / HTTP/1.1\r\n", "no PROXY header"),
        (b"\x16\x03\x01", "no PROXY header"),
        (b"proxy TCP4", "no PROXY header"),
        (b"PROXY\r\n", "no PROXY header"),
        (b"PROXY \r\n", "no PROXY line"),
        (b"PROXY TCP5 1.2.3.4 1.2.3.4 1 1\r\n", "TCP5"),
        (b"PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n", "UDP4"),
        (b"PROXY UNKNOWNX\r\n", "UNKNOWNX"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "no PROXY line"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n", "no PROXY line"),
        (b"PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n", "no PROXY line"),
        (b"PROXY\tTCP4 1.2.3.4 1.2.3.4 1 1\r\n", "no PROXY header"),
        (b"PROXY TCP4 1.2.3 1.2.3.4 1 1\r\n", "1.2.3"),
        (b"PROXY TCP4 1.2.3.04 1.2.3.4 1 1\r\n", "1.2.3.04"),
        (b"PROXY TCP4 1.2.3.256 1.2.3.4 1 1\r\n", "256"),
        (b"PROXY TCP4 ::1 ::1 1 1\r\n", "::1"),
        (b"PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n", "1.2.3.4"),
        (b"PROXY TCP6 ::1%lo ::1 1 1\r\n", "no PROXY line"),
        (b"PROXY TCP6 :::1 ::1 1 1\r\n", ":::1"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n", "65535"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n", "no PROXY line"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 1\r\n", "no PROXY line"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 -1 1\r\n", "no PROXY line"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n", "CRLF"),
        (b"PROXY TCP4 1.2.3.4\r 1.2.3.4 1 1\r\n", "CRLF"),
        (b"PROXY UNKNOWN\rx", "CRLF"),
        (b"PROXY UNKNOWN " + b"x" * 93, "107"),
        (b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n", "107"),
        (V2 + b"\x11", "0x11"),
        (V2 + b"\x31", "0x31"),
        (V2 + b"\x22", "0x22"),
        (V2 + b"\x21\x41", "0x41"),
        (V2 + b"\x21\x13", "0x13"),
        (V2 + b"\x21\x11\xff\xff", "65551"),
        (V2 + b"\x20\x00\x10\x01", "4113"),
        (V2 + b"\x21\x11\0\x0b" + bytes(11), "addresses"),
        (V2 + b"\x21\x21\0\x23" + bytes(35), "addresses"),
        (V2 + b"\x21\x31\0\xd7" + bytes(215), "addresses"),
        (V2 + b"\x21\x11\0\x0d" + bytes(13), "vector"),
        (V2 + b"\x21\x11\0\x0f" + bytes(12) + b"\5\0\1", "0x05"),
        (V2 + b"\x21\x11\0\x13" + bytes(12) + b"\3\0\4abcd", "checksum"),
        (V2 + b"\x21\x11\0\x0f" + bytes(12) + b"\3\0\0", "checksum"),
    ],
)
def test_no_header(data: bytes, names: str) -> None:
    for pieces in ([data], octets(data)):
        with pytest.raises(InvalidProxyHeader) as caught:
            received(pieces)
        assert names in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [b"", b"P", b"PROXY ", b"PROXY UNKNOWN\r", V2[:1], V2, V2 + b"\x21\x11\0\x0c" + bytes(11)],
)
def test_a_part_of_a_header(data: bytes) -> None:
    assert ProxyHeaderReceiver().receive(data) is None


def test_the_longest_line() -> None:
    line = b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n"
    assert len(line) == 107
    assert received([line]) == received(octets(line)) == (ProxyHeader(), b"")


def test_another_limit() -> None:
    header = encode_v2(replace(IPV4, tlvs=((PP2_TYPE_NOOP, bytes(5000)),)))
    with pytest.raises(InvalidProxyHeader, match="limit is 4096"):
        received([header])
    assert ProxyHeaderReceiver(6000).receive(header) is not None


def test_vectors() -> None:
    tlvs = (
        (PP2_TYPE_ALPN, b"h2"),
        (PP2_TYPE_AUTHORITY, b"example.org"),
        (PP2_TYPE_UNIQUE_ID, b""),
        (0xEF, b"\xff" * 300),
    )
    header = replace(IPV6, tlvs=tlvs)
    assert received([encode_v2(header)]) == (header, b"")


def test_a_checksum() -> None:
    # RFC 3720 appendix B.4.
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"123456789") == 0xE3069283
    encoded = encode_v2(replace(IPV4, tlvs=((PP2_TYPE_ALPN, b"h2"),)), checksum=True)
    header, _ = received([encoded])
    assert [type_ for type_, _ in header.tlvs] == [PP2_TYPE_ALPN, PP2_TYPE_CRC32C]
    # It is of what is passed on, not of what passed it on.
    assert encode_v2(header, checksum=True) == encoded
    for octet in (16, 30, len(encoded) - 1):
        changed = bytearray(encoded)
        changed[octet] ^= 1
        with pytest.raises(InvalidProxyHeader):
            received([bytes(changed)])


def test_what_version_1_has_no_word_for() -> None:
    unknown = b"PROXY UNKNOWN\r\n"
    assert encode_v1(ProxyHeader()) == unknown
    assert encode_v1(ProxyHeader(local=True)) == unknown
    assert encode_v1(ProxyHeader(b"/a", b"/b")) == unknown
    assert encode_v1(replace(IPV4, datagram=True)) == unknown


@pytest.mark.parametrize(
    "header",
    [
        ProxyHeader(IPV4.source, IPV6.destination),
        ProxyHeader(IPV4.source, None),
        ProxyHeader(None, b"/b"),
        ProxyHeader(b"/a", IPV4.destination),
        replace(IPV4, local=True),
        replace(ProxyHeader(), tlvs=((1, b""),)),
    ],
)
def test_what_no_version_can_say(header: ProxyHeader) -> None:
    for encode in (encode_v1, encode_v2):
        with pytest.raises(LocalProtocolError):
            encode(header)


@pytest.mark.parametrize(
    "header",
    [
        ProxyHeader(b"/" * 109, b""),
        replace(IPV4, source=tcp("192.0.2.1", 65536)),
        replace(IPV4, source=tcp("192.0.2.1", -1)),
        replace(IPV4, tlvs=((256, b""),)),
        replace(IPV4, tlvs=((1, bytes(65536)),)),
        replace(IPV4, tlvs=((1, bytes(40000)), (1, bytes(40000)))),
    ],
)
def test_what_version_2_cannot_say(header: ProxyHeader) -> None:
    with pytest.raises(LocalProtocolError):
        encode_v2(header)


def test_version_1_has_no_vectors() -> None:
    with pytest.raises(LocalProtocolError, match="vectors"):
        encode_v1(replace(IPV4, tlvs=((1, b""),)))


PORTS = st.integers(0, 65535)
IPV4_ADDRESSES = st.builds(InternetAddress, st.ip_addresses(v=4), PORTS)
IPV6_ADDRESSES = st.builds(InternetAddress, st.ip_addresses(v=6), PORTS)
PATHS = st.binary(max_size=107).map(lambda path: path.replace(b"\0", b"."))
ABSTRACT = PATHS.map(lambda path: b"\0" + path)
TCP_HEADERS = st.builds(ProxyHeader, IPV4_ADDRESSES, IPV4_ADDRESSES) | st.builds(
    ProxyHeader, IPV6_ADDRESSES, IPV6_ADDRESSES
)
TLVS = st.lists(
    st.tuples(st.integers(0, 255).filter(lambda type_: type_ != 3), st.binary(max_size=300)),
    max_size=5,
).map(tuple)
V2_HEADERS = st.builds(
    replace,
    TCP_HEADERS | st.builds(ProxyHeader, PATHS | ABSTRACT.filter(lambda p: len(p) > 1), PATHS),
    datagram=st.booleans(),
    tlvs=TLVS,
) | st.sampled_from([ProxyHeader(), ProxyHeader(local=True)])


def pieces(data: bytes, size: int) -> Iterable[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@given(TCP_HEADERS, st.binary(), st.integers(1, 50))
def test_version_1_there_and_back(header: ProxyHeader, trailing: bytes, size: int) -> None:
    encoded = encode_v1(header)
    assert len(encoded) <= 107
    assert received(pieces(encoded + trailing, size)) == (header, trailing)


@given(V2_HEADERS, st.binary(), st.integers(1, 500))
def test_version_2_there_and_back(header: ProxyHeader, trailing: bytes, size: int) -> None:
    assert received(pieces(encode_v2(header) + trailing, size)) == (header, trailing)
    checked = encode_v2(header, checksum=header.source is not None)
    assert replace(received([checked])[0], tlvs=header.tlvs) == header


@given(
    st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", V2, V2 + b"\x21\x11", V2 + b"\x21\x31\0"]),
    st.binary(max_size=300),
)
def test_any_octets_are_a_header_or_none(start: bytes, data: bytes) -> None:
    outcomes = []
    for fed in ([start + data], octets(start + data)):
        receiver = ProxyHeaderReceiver()
        try:
            outcomes.append(next(filter(None, map(receiver.receive, fed)), None))
        except InvalidProxyHeader:
            outcomes.append(None)
    assert outcomes[0] == outcomes[1]
