"""
The PROXY protocol, versions 1 and 2, from either side: the header by which a proxy tells a server,
before anything else, whom it connects for.

HAProxy's C{proxy-protocol.txt} is its specification; the sections named here are that document's.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from .errors import LocalProtocolError, RemoteProtocolError

#: The types of the type-length-value vectors of version 2 (section 2.2).
PP2_TYPE_ALPN: Final = 0x01
PP2_TYPE_AUTHORITY: Final = 0x02
PP2_TYPE_CRC32C: Final = 0x03
PP2_TYPE_NOOP: Final = 0x04
PP2_TYPE_UNIQUE_ID: Final = 0x05
PP2_TYPE_SSL: Final = 0x20
PP2_TYPE_NETNS: Final = 0x30

#: How many octets a header of version 2 may have by default: what nginx takes.
MAX_LENGTH: Final = 4096

_V1_START = b"PROXY "
# The longest line of version 1, its CRLF included (section 2.1).
_V1_MAX_LENGTH = 107
_V1_PORT = rb"(0|[1-9][0-9]{0,4})"
_V1_TCP = re.compile(
    rb"PROXY TCP([46]) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) %b %b" % ((_V1_PORT,) * 2)
)
_V1_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: .*)?", re.DOTALL)

_V2_START = b"\r\n\r\n\0\r\nQUIT\n"
_V2_VERSION = 0x20
_V2_LOCAL, _V2_PROXY = 0, 1
_V2_HEAD = struct.Struct("!12sBBH")
_TLV_HEAD = struct.Struct("!BH")

_UNSPEC, _INET, _INET6, _UNIX = range(4)
_STREAM, _DGRAM = 1, 2
_ADDRESSES = {
    _UNSPEC: struct.Struct(""),
    _INET: struct.Struct("!4s4sHH"),
    _INET6: struct.Struct("!16s16sHH"),
    _UNIX: struct.Struct("!108s108s"),
}


class InvalidProxyHeader(RemoteProtocolError):
    """
    What came is no PROXY header: the connection is to be aborted, and nothing is to be answered.
    """


class InternetAddress(NamedTuple):
    """
    One end of a TCP connection.
    """

    host: IPv4Address | IPv6Address
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if isinstance(self.host, IPv6Address) else str(self.host)
        return f"{host}:{self.port}"


#: One end of a connection; of a UNIX socket it is the path, empty where it has none and with a
#: zero octet in front where it is abstract.
Address = InternetAddress | bytes


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """
    What a proxy says of a connection.

    @ivar source: the address of the client; L{None} where the proxy does not tell (C{UNKNOWN},
        C{UNSPEC}, C{LOCAL}), and the connection's own address is what there is.
    @ivar destination: the address that the client connected to; L{None} as well then.
    @ivar local: whether the proxy connects for itself, to see whether the server is well.
    @ivar datagram: whether the client sends datagrams (UDP).
    @ivar tlvs: the type-length-value vectors of version 2: pairs of a type and a value.
    """

    source: Address | None = None
    destination: Address | None = None
    local: bool = False
    datagram: bool = False
    tlvs: tuple[tuple[int, bytes], ...] = ()


class ProxyHeaderReceiver:
    """
    Makes a L{ProxyHeader} of what arrives, in pieces of any size.

    @ivar trailing: what came behind the header, once that has come whole.
    """

    def __init__(self, max_length: int = MAX_LENGTH) -> None:
        """
        @param max_length: how many octets a header of version 2 may have.
        """
        self.trailing = b""
        self._max_length = max_length
        self._buffer = b""

    def receive(self, data: bytes) -> ProxyHeader | None:
        """
        Take what arrived.

        @return: the header, or L{None} while some of it is to come.
        @raise InvalidProxyHeader: this is none. Raised as soon as that can be told.
        """
        self._buffer = buffer = self._buffer + data
        if _begins(buffer, _V1_START):
            length, decode = _v1_length(buffer), _decode_v1
        elif _begins(buffer, _V2_START):
            length, decode = _v2_length(buffer, self._max_length), _decode_v2
        else:
            raise InvalidProxyHeader(f"{_shown(buffer)} is no PROXY header")
        if length is None or len(buffer) < length:
            return None
        self._buffer, self.trailing = b"", buffer[length:]
        return decode(buffer[:length])


def encode_v1(header: ProxyHeader) -> bytes:
    """
    Write a header as version 1 has it (section 2.1). What is not TCP is C{UNKNOWN} there.

    @raise LocalProtocolError: version 1 cannot say this.
    """
    _family(header)
    if header.tlvs:
        raise LocalProtocolError(
            "version 1 of the PROXY protocol has no type-length-value vectors"
        )
    source, destination = header.source, header.destination
    if not isinstance(source, InternetAddress) or not isinstance(destination, InternetAddress):
        return b"PROXY UNKNOWN\r\n"
    if header.datagram:
        return b"PROXY UNKNOWN\r\n"
    return (
        f"PROXY TCP{source.host.version} {source.host} {destination.host} "
        f"{source.port} {destination.port}\r\n"
    ).encode("ascii")


def encode_v2(header: ProxyHeader, *, checksum: bool = False) -> bytes:
    """
    Write a header as version 2 has it (section 2.2).

    @param checksum: whether to add a CRC32c (section 2.2.3).
    @raise LocalProtocolError: version 2 cannot say this.
    """
    family = _family(header)
    vectors = [(type_, value) for type_, value in header.tlvs if type_ != PP2_TYPE_CRC32C]
    if checksum:
        vectors.append((PP2_TYPE_CRC32C, bytes(4)))
    try:
        addresses = _ADDRESSES[family].pack(*_packed(header, family))
        tlvs = b"".join(_TLV_HEAD.pack(type_, len(value)) + value for type_, value in vectors)
        head = _V2_HEAD.pack(
            _V2_START,
            _V2_VERSION | (_V2_LOCAL if header.local else _V2_PROXY),
            family << 4 | (_DGRAM if header.datagram else _STREAM if family else 0),
            len(addresses) + len(tlvs),
        )
    except struct.error as error:
        raise LocalProtocolError(f"{header} does not go into a PROXY header: {error}") from error
    encoded = head + addresses + tlvs
    if checksum:
        encoded = encoded[:-4] + crc32c(encoded).to_bytes(4, "big")
    return encoded


def crc32c(data: bytes) -> int:
    """
    The CRC of RFC 4960 appendix B.
    """
    table = _crc32c_table()
    crc = 0xFFFFFFFF
    for octet in data:
        crc = crc >> 8 ^ table[(crc ^ octet) & 0xFF]
    return crc ^ 0xFFFFFFFF


@cache
def _crc32c_table() -> list[int]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


def _begins(buffer: bytes, start: bytes) -> bool:
    return buffer.startswith(start) or start.startswith(buffer)


def _shown(data: bytes) -> str:
    return repr(data if len(data) <= _V1_MAX_LENGTH else data[:_V1_MAX_LENGTH] + b"...")


def _v1_length(buffer: bytes) -> int | None:
    """
    How long the line is that a buffer begins with; L{None} while its end is to come.
    """
    feed = buffer.find(b"\n", 0, _V1_MAX_LENGTH)
    # A carriage return that is the last octet so far may be the line feed's.
    carriage = buffer.find(b"\r", 0, len(buffer) - 1 if feed < 0 else feed + 1)
    if feed >= 0 and carriage == feed - 1:
        return feed + 1
    if feed >= 0 or 0 <= carriage < _V1_MAX_LENGTH - 1:
        raise InvalidProxyHeader(f"{_shown(buffer)}: a PROXY line ends with CRLF")
    if len(buffer) >= _V1_MAX_LENGTH:
        raise InvalidProxyHeader(
            f"{_shown(buffer)}: a PROXY line has at most {_V1_MAX_LENGTH} octets"
        )
    return None


def _decode_v1(block: bytes) -> ProxyHeader:
    line = block[:-2]
    if _V1_UNKNOWN.fullmatch(line):
        return ProxyHeader()
    found = _V1_TCP.fullmatch(line)
    if found is None:
        raise InvalidProxyHeader(f"{line!r} is no PROXY line")
    version, source, destination, source_port, destination_port = found.groups()
    family = IPv4Address if version == b"4" else IPv6Address
    try:
        ends = (
            InternetAddress(family(source.decode("ascii")), int(source_port)),
            InternetAddress(family(destination.decode("ascii")), int(destination_port)),
        )
    except ValueError as error:
        raise InvalidProxyHeader(f"{line!r} is no PROXY line: {error}") from error
    if max(end.port for end in ends) > 0xFFFF:
        raise InvalidProxyHeader(f"{line!r} is no PROXY line: a port is 65535 at most")
    return ProxyHeader(*ends)


def _v2_length(buffer: bytes, limit: int) -> int | None:
    """
    How long the block is that a buffer begins with; L{None} while that cannot be told.
    """
    if len(buffer) > 12:
        version, command = buffer[12] & 0xF0, buffer[12] & 0x0F
        if version != _V2_VERSION or command > _V2_PROXY:
            raise InvalidProxyHeader(
                f"a PROXY header has 0x20 or 0x21 for version and command, not {buffer[12]:#04x}"
            )
        if len(buffer) > 13 and command == _V2_PROXY:
            family, protocol = divmod(buffer[13], 16)
            if family > _UNIX or protocol > _DGRAM:
                raise InvalidProxyHeader(
                    f"{buffer[13]:#04x} is no address family and transport of the PROXY protocol"
                )
    if len(buffer) < _V2_HEAD.size:
        return None
    length = _V2_HEAD.size + int.from_bytes(buffer[14:16], "big")
    if length > limit:
        raise InvalidProxyHeader(f"a PROXY header of {length} octets: the limit is {limit}")
    return length


def _decode_v2(block: bytes) -> ProxyHeader:
    if block[12] & 0x0F == _V2_LOCAL:
        return ProxyHeader(local=True)
    family, protocol = divmod(block[13], 16)
    if family == _UNSPEC or not protocol:
        # There is no telling how long the addresses are, if there are some.
        return ProxyHeader()
    layout = _ADDRESSES[family]
    if len(block) < _V2_HEAD.size + layout.size:
        raise InvalidProxyHeader(
            f"a PROXY header of {len(block)} octets: its addresses alone would have {layout.size}"
        )
    values = layout.unpack_from(block, _V2_HEAD.size)
    source: Address
    destination: Address
    if family == _UNIX:
        source, destination = map(_unix_path, values)
    else:
        kind = IPv4Address if family == _INET else IPv6Address
        source = InternetAddress(kind(values[0]), values[2])
        destination = InternetAddress(kind(values[1]), values[3])
    tlvs = _decode_tlvs(block, _V2_HEAD.size + layout.size)
    return ProxyHeader(source, destination, datagram=protocol == _DGRAM, tlvs=tlvs)


def _unix_path(field: bytes) -> bytes:
    # An abstract name begins with a zero octet; in a path, one ends it.
    return field.rstrip(b"\0") if field.startswith(b"\0") else field.partition(b"\0")[0]


def _decode_tlvs(block: bytes, start: int) -> tuple[tuple[int, bytes], ...]:
    tlvs = []
    while start < len(block):
        value = start + _TLV_HEAD.size
        if value > len(block):
            raise InvalidProxyHeader("a PROXY header ends within the head of a vector")
        type_, length = _TLV_HEAD.unpack_from(block, start)
        start = value + length
        if start > len(block):
            raise InvalidProxyHeader(
                f"a PROXY header ends within a vector of type {type_:#04x} and {length} octets"
            )
        tlvs.append((type_, block[value:start]))
        if type_ == PP2_TYPE_CRC32C:
            zeroed = block[:value] + bytes(length) + block[start:]
            if length != 4 or crc32c(zeroed) != int.from_bytes(block[value:start], "big"):
                raise InvalidProxyHeader("the checksum of a PROXY header is wrong")
    return tuple(tlvs)


def _family(header: ProxyHeader) -> int:
    source, destination = header.source, header.destination
    if source is None and destination is None and not header.tlvs:
        return _UNSPEC
    if header.local:
        raise LocalProtocolError("a connection of the proxy's own (LOCAL) has nothing to tell")
    if isinstance(source, bytes) and isinstance(destination, bytes):
        return _UNIX
    if isinstance(source, InternetAddress) and isinstance(destination, InternetAddress):
        versions = source.host.version, destination.host.version
        if versions == (4, 4):
            return _INET
        if versions == (6, 6):
            return _INET6
    raise LocalProtocolError(f"{source!r} and {destination!r} are not of one address family")


def _packed(header: ProxyHeader, family: int) -> tuple[bytes | int, ...]:
    source, destination = header.source, header.destination
    if isinstance(source, InternetAddress) and isinstance(destination, InternetAddress):
        return source.host.packed, destination.host.packed, source.port, destination.port
    if isinstance(source, bytes) and isinstance(destination, bytes):
        for path in (source, destination):
            if len(path) > 108:
                raise LocalProtocolError(
                    f"{path!r} has more than the 108 octets of a UNIX address"
                )
        return source, destination
    return ()
