"""
The first message of a TLS client (RFC 8446 section 4.1.2): what it says of application protocols.
"""

from __future__ import annotations

_HANDSHAKE = 22
_CLIENT_HELLO = 1
# The type of the extension, in two octets.
_ALPN = b"\x00\x10"


def alpn_offer(octets: bytes | bytearray | memoryview) -> list[bytes]:
    """
    Find the application protocols that a client offers (RFC 7301).

    @param octets: what the client sent: records with the whole ClientHello, and maybe more.
    @return: their names, the preferred one first; none where it offers none, or the octets are
        something else.
    """
    try:
        return _offer(_message(memoryview(octets)))
    except IndexError:
        return []


def _message(octets: memoryview) -> memoryview:
    """
    The body of the first handshake message, which records may have in fragments.
    """
    content = bytearray()
    while octets and octets[0] == _HANDSHAKE:
        content += _vector(octets[3:], 2)
        octets = octets[5 + int.from_bytes(octets[3:5]) :]
    if not content or content[0] != _CLIENT_HELLO:
        return memoryview(b"")
    return _vector(memoryview(content)[1:], 3)


def _offer(hello: memoryview) -> list[bytes]:
    # Behind the version and 32 random octets: the session, cipher suites, compression methods.
    place = 34
    for width in (1, 2, 1):
        place += width + int.from_bytes(hello[place : place + width])
    extensions = bytes(_vector(hello[place:], 2))
    if _ALPN not in extensions:
        return []
    # Of each extension its type, how long it is, and that much: browsers have twenty of them.
    place = 0
    while place < len(extensions):
        if extensions.startswith(_ALPN, place):
            return _names(_vector(_vector(memoryview(extensions)[place + 2 :], 2), 2))
        place += 4 + (extensions[place + 2] << 8) + extensions[place + 3]
    return []


def _names(octets: memoryview) -> list[bytes]:
    names = []
    while octets:
        name = _vector(octets, 1)
        names.append(bytes(name))
        octets = octets[1 + len(name) :]
    return names


def _vector(octets: memoryview, width: int) -> memoryview:
    """
    What a length of so many octets stands in front of.

    @raise IndexError: it is cut short.
    """
    length = int.from_bytes(octets[:width])
    if len(octets) < width + length:
        raise IndexError("cut short")
    return octets[width : width + length]
