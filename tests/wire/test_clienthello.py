"""
Tests for L{netkit.wire.clienthello}, with what OpenSSL says.
"""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.wire.clienthello import alpn_offer


def hello(*protocols: str) -> bytes:
    """
    The record that a client begins with.
    """
    context = ssl.create_default_context()
    if protocols:
        context.set_alpn_protocols(list(protocols))
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="example.org")
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("protocols", [["h2", "http/1.1"], ["x"], ["y" * 255], []])
def test_what_is_offered(protocols: list[str]) -> None:
    names = [name.encode() for name in protocols]
    record = hello(*protocols)
    assert alpn_offer(record) == names
    assert alpn_offer(record + b"\x14\x03\x03\x00\x01\x01") == names
    for length in range(len(record)):
        assert alpn_offer(record[:length]) in ([], names[:0])


@pytest.mark.parametrize("size", [1, 3, 100])
def test_fragments(size: int) -> None:
    record = hello("h2")
    content = record[5:]
    pieces = [content[index : index + size] for index in range(0, len(content), size)]
    fragments = b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2) + piece for piece in pieces)
    assert alpn_offer(fragments) == [b"h2"]


@pytest.mark.parametrize(
    "octets",
    [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x00", b"\x16\x03\x01\x00\x01\x02"],
)
def test_what_is_none(octets: bytes) -> None:
    assert alpn_offer(octets) == []


RECORD = hello("h2")


@given(st.binary(), st.integers(0, 600), st.binary(max_size=3))
def test_anything_at_all(octets: bytes, place: int, change: bytes) -> None:
    alpn_offer(octets)
    alpn_offer(b"\x16\x03\x01" + len(octets).to_bytes(2) + octets)
    record = bytearray(RECORD)
    record[place : place + len(change)] = change
    alpn_offer(record)
