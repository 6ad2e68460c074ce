"""
IP and TCP headers for octets that were recorded above them.

Nobody saw the real ones: these are made from a connection's addresses, so that any tool that reads
packets can follow the connection. Sequence numbers count the octets, each side acknowledges what
the other has sent before it, and nothing is ever lost or sent twice.
"""

from __future__ import annotations

import struct
from enum import IntFlag
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple, TypeVar

from . import pcapng
from .contents import Sender

# A window of 1 GiB: 65535 shifted by 14 (RFC 7323 section 2), told in the SYN packets.
_WINDOW = 65535
_WINDOW_SCALE = b"\x01\x03\x03\x0e"

_TTL_AND_TCP = 64 << 8 | 6

# What in a packet's block, up to its content, is not the same in each of a flow's packets with as
# many octets: the time in two halves, and two sequence numbers. The first two are little-endian
# (pcapng's), the last two are not (TCP's). So there are two pieces: up to the numbers, for each
# version of IP, and from them on.
_BEGIN_V4 = struct.Struct("<12sII32s")
_BEGIN_V6 = struct.Struct("<12sII52s")
_pack_numbers = struct.Struct(">II8s").pack

# An enhanced packet block up to the time, and behind that: type, length and interface; captured
# length and length.
_BLOCK = struct.Struct("<III")
_LENGTHS = struct.Struct("<II")

# IP's header and TCP's ports: all that is the same in each packet of a flow is octets already.
_V4 = struct.Struct(">2sH6sH12s")
_V6 = struct.Struct(">4sH38s")
# The end of TCP's header: its length and flags, the window; no checksum, nothing urgent.
_TCP_END = struct.Struct(">HHI")
_PORTS = struct.Struct(">HH")

_V4_BEGIN = b"\x45\x00"
# No identification, no fragment, 64 hops, TCP.
_V4_MIDDLE = struct.pack(">HHH", 0, 0, _TTL_AND_TCP)
_V6_BEGIN = b"\x60\x00\x00\x00"
_V6_MIDDLE = b"\x06\x40"


class Flag(IntFlag):
    """
    TCP's control bits (RFC 9293 section 3.1).
    """

    FIN = 1
    SYN = 2
    RST = 4
    PSH = 8
    ACK = 16


# As numbers, which are quicker.
_FIN, _SYN, _ACK = int(Flag.FIN), int(Flag.SYN), int(Flag.ACK)
_LOW = 0xFFFFFFFF
_CONTENT_END = _TCP_END.pack(5 << 12 | Flag.PSH | Flag.ACK, _WINDOW, 0)
_MORE_END = _TCP_END.pack(5 << 12 | Flag.ACK, _WINDOW, 0)

Kept = TypeVar("Kept", bytes, memoryview)


@lru_cache(2**12)
def packed(address: str) -> bytes:
    """
    Make an IP address the four or sixteen octets that it has in a packet; none of what is no IP
    address.
    """
    try:
        return ip_address(address).packed
    except ValueError:
        return b""


@lru_cache(2**12)
def _unpacked(octets: bytes) -> str:
    return str(ip_address(octets))


class Flow(Sender):
    """
    One direction of a connection, as the packets of a sender.

    @ivar ended: whether there was a FIN.
    """

    other: Flow

    def __init__(
        self,
        interface: int,
        direction: int,
        source: tuple[str, int],
        destination: tuple[str, int],
    ) -> None:
        """
        @param interface: the number of the packets' interface.
        @param direction: L{pcapng.INBOUND} or L{pcapng.OUTBOUND}.
        @param source: the sender's IP address and port.
        @param destination: the receiver's, of the same family.
        """
        addresses = packed(source[0]) + packed(destination[0])
        ports = _PORTS.pack(source[1], destination[1])
        super().__init__(interface, direction, addresses + ports)
        self._interface = interface
        self.ended = False
        flags = pcapng.options([(pcapng.FLAGS, pcapng.NUMBER.pack(direction))])
        # By the octets that are missing to a multiple of four.
        self._ends = [bytes(padding) + flags for padding in range(4)]
        self._v4 = len(addresses) == 8
        self._pack_begin = (_BEGIN_V4 if self._v4 else _BEGIN_V6).pack
        self._addresses = addresses + ports if self._v4 else _V6_MIDDLE + addresses + ports
        # What the checksum of IP's header sums up, without the length (RFC 791 section 3.1).
        self._sum = 0x4500 + _TTL_AND_TCP + sum(struct.unpack(">4H", addresses[:8]))
        # For content of as many octets as the last had, all of them kept: what stands before the
        # time, between it and the sequence numbers, and behind the content.
        self._length = -1
        self._before = self._between = self._behind = b""

    def packet(
        self, time: int, flags: int, comment: str = "", number: int | None = None
    ) -> tuple[bytes, ...]:
        """
        Make the block of a packet without content, in pieces. The sequence numbers go on with it.

        @param time: nanoseconds since the epoch.
        @param comment: what to say about it.
        @param number: another sequence number than the next one.
        """
        acknowledged = 0
        if flags & _ACK:
            acknowledged = self.other.next
            self.other.unacknowledged = 0
        end = self._ends[0]
        if comment:
            end = end[:-4] + pcapng.options([(pcapng.COMMENT, comment.encode())])
        options = b""
        words = 5
        if flags & _SYN:
            options = _WINDOW_SCALE
            words = 6
        if flags & _FIN:
            self.ended = True
        if number is None:
            number = self.next
            if flags & (_SYN | _FIN):
                self.next = self.next + 1 & _LOW
        before, between, behind = self._around(0, 0, words * 4, end)
        bits = _TCP_END.pack(words << 12 | flags, _WINDOW, 0)
        return (
            self._pack_begin(before, time >> 32, time & _LOW, between),
            _pack_numbers(number, acknowledged, bits),
            options,
            behind,
        )

    def content(
        self, time: int, data: Kept, length: int, *, last: bool = True
    ) -> tuple[bytes, bytes, Kept, bytes]:
        """
        Make the block of a packet of content, what nearly all are, in four pieces of which the
        last but one is the content. The sequence numbers go on with it.

        @param time: nanoseconds since the epoch.
        @param data: the content, as far as it is kept.
        @param length: how much there is.
        @param last: whether it ends what was sent at once (PSH).
        """
        kept = len(data)
        if length != self._length or kept != length:
            self._before, self._between, self._behind = self._around(
                kept, length, 20, self._ends[-kept & 3]
            )
            self._length = length if kept == length else -1
        other = self.other
        number = self.next
        self.next = number + length & _LOW
        self.unacknowledged += length
        other.unacknowledged = 0
        return (
            self._pack_begin(self._before, time >> 32, time & _LOW, self._between),
            _pack_numbers(number, other.next, _CONTENT_END if last else _MORE_END),
            data,
            self._behind,
        )

    def _around(self, kept: int, length: int, tcp: int, end: bytes) -> tuple[bytes, bytes, bytes]:
        """
        Make what stands before a packet's time, between that and the sequence numbers, and behind
        the content.

        @param kept: how many octets of content are kept.
        @param length: how many there are.
        @param tcp: how many octets TCP's header has.
        @param end: padding and options.
        """
        if self._v4:
            total = 20 + tcp + length
            captured = 20 + tcp + kept
            # The complement of a sum whose carries are added to it.
            checksum = 65535 - (self._sum + total) % 65535
            ip = _V4.pack(_V4_BEGIN, total, _V4_MIDDLE, checksum, self._addresses)
        else:
            total = 40 + tcp + length
            captured = 40 + tcp + kept
            ip = _V6.pack(_V6_BEGIN, tcp + length, self._addresses)
        whole = 32 + captured + len(end)
        return (
            _BLOCK.pack(pcapng.ENHANCED_PACKET, whole, self._interface),
            _LENGTHS.pack(captured, total) + ip,
            end + pcapng.NUMBER.pack(whole),
        )


def conversation(
    interface: int,
    client: tuple[str, int],
    server: tuple[str, int],
    *,
    inbound: bool,
) -> tuple[Flow, Flow]:
    """
    Make the two directions of a connection: what the client sends, and what the server sends.

    @param interface: the number of the packets' interface.
    @param client: the client's IP address and port.
    @param server: the server's, of the same family.
    @param inbound: whether the client is the peer, so that what it sends comes in.
    """
    directions = pcapng.INBOUND, pcapng.OUTBOUND
    of_client, of_server = directions if inbound else directions[::-1]
    from_client = Flow(interface, of_client, client, server)
    from_server = Flow(interface, of_server, server, client)
    from_client.other, from_server.other = from_server, from_client
    return from_client, from_server


class Packet(NamedTuple):
    """
    What is read back of a packet.
    """

    time: int
    source: tuple[str, int]
    destination: tuple[str, int]
    flags: int
    data: bytes
    length: int
    comments: list[str]
    direction: int
    interface: int


def read_packet(body: bytes) -> Packet:
    """
    Take the body of an enhanced packet block apart.

    @raise pcapng.BadBlock: it is not one of those that L{Flow} makes.
    """
    try:
        interface, high, low, captured, _ = struct.unpack_from("<IIIII", body)
        packet = body[20 : 20 + captured]
        version = packet[0] >> 4
        if version == 4:
            (total,) = struct.unpack_from(">H", packet, 2)
            protocol, at = packet[9], 20
            source, destination = packet[12:16], packet[16:20]
        elif version == 6:
            total = struct.unpack_from(">H", packet, 4)[0] + 40
            protocol, at = packet[6], 40
            source, destination = packet[8:24], packet[24:40]
        else:
            raise pcapng.BadBlock(f"a packet of IP version {version}")
        if protocol != 6:
            raise pcapng.BadBlock(f"a packet of the protocol {protocol}, not TCP")
        source_port, destination_port, _, _, bits = struct.unpack_from(">HHIIH", packet, at)
    except (struct.error, IndexError) as error:
        raise pcapng.BadBlock("a packet that is cut short") from error
    header = at + (bits >> 12) * 4
    comments, direction = [], 0
    for code, value in pcapng.read_options(body, 20 + captured + -captured % 4):
        if code == pcapng.COMMENT:
            comments.append(value.decode(errors="replace"))
        elif code == pcapng.FLAGS and len(value) == 4:
            direction = value[0] & 3
    return Packet(
        high << 32 | low,
        (_unpacked(source), source_port),
        (_unpacked(destination), destination_port),
        bits & 0x1F,
        packet[header:],
        total - header,
        comments,
        direction,
        interface,
    )
