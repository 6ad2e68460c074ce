"""
IP and TCP headers for octets that were recorded above them.

Nobody saw the real ones: these are made from a connection's addresses, so that any tool that reads
packets can follow the connection. Sequence numbers count the octets, each side acknowledges what
the other has sent before it, and nothing is ever lost or sent twice.
"""

from __future__ import annotations

import struct
from enum import IntFlag
from ipaddress import IPv4Address, ip_address
from typing import NamedTuple

from . import pcapng

#: How many octets of content one packet holds at most: an IPv4 packet has up to 65,535.
MAX_CONTENT = 65535 - 40

# A window of 1 GiB: 65535 shifted by 14 (RFC 7323 section 2), told in the SYN packets.
_WINDOW = 65535
_WINDOW_SCALE = b"\x01\x03\x03\x0e"

#: After how many octets of one direction the other acknowledges them: long before numbers wrap.
ACKNOWLEDGED_AFTER = 2**20

# Not 0: a packet that carries a note has a number of two before the next one.
_FIRST_NUMBER = 1000

_TTL_AND_TCP = 64 << 8 | 6

# An enhanced packet block up to its packet: type, length, interface, time in two halves, captured
# length, length.
_PACKET = struct.Struct("<IIIIIII")

# IP's header and TCP's: all that is the same in each packet of a flow is octets already.
_V4 = struct.Struct(">2sH6sH12sII8s")
_V6 = struct.Struct(">4sH38sII8s")
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


_ACK = int(Flag.ACK)
_STARTS_OR_ENDS = int(Flag.SYN | Flag.FIN)
_LOW = 0xFFFFFFFF
_CONTENT_END = _TCP_END.pack(5 << 12 | Flag.PSH | Flag.ACK, _WINDOW, 0)


class Flow:
    """
    One direction of a connection, as the packets of a sender.

    @ivar next: the sequence number of the next octet.
    @ivar acknowledged: up to where the other direction's numbers are acknowledged.
    @ivar unacknowledged: how many octets, at least, the other direction has not acknowledged.
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
        self._interface = interface
        self.next = _FIRST_NUMBER
        self.acknowledged = 0
        self.unacknowledged = 0
        self.ended = False
        flags = pcapng.options([(pcapng.FLAGS, pcapng.NUMBER.pack(direction))])
        # By the octets that are missing to a multiple of four.
        self._ends = [bytes(padding) + flags for padding in range(4)]
        sender, receiver = ip_address(source[0]), ip_address(destination[0])
        addresses = sender.packed + receiver.packed
        ports = _PORTS.pack(source[1], destination[1])
        self._v4 = isinstance(sender, IPv4Address)
        self._between = addresses + ports if self._v4 else _V6_MIDDLE + addresses + ports
        # What the checksum of IP's header sums up, without the length (RFC 791 section 3.1).
        self._sum = 0x4500 + _TTL_AND_TCP + sum(struct.unpack(">4H", addresses[:8]))

    def packet(
        self,
        time: int,
        flags: int,
        data: bytes = b"",
        length: int | None = None,
        comment: str = "",
        number: int | None = None,
    ) -> tuple[bytes, ...]:
        """
        Make a packet's block, in pieces. The sequence numbers go on with it.

        @param time: nanoseconds since the epoch.
        @param data: its content, as far as it is kept.
        @param length: how much content it has; as much as is kept by default.
        @param comment: what to say about it.
        @param number: another sequence number than the next one.
        """
        if flags & _ACK:
            self.acknowledged = self.other.next
            self.other.unacknowledged = 0
        if length is None:
            length = len(data)
        end = self._ends[-len(data) % 4]
        if comment:
            end = end[:-4] + pcapng.options([(pcapng.COMMENT, comment.encode())])
        options = b""
        words = 5
        if flags & _STARTS_OR_ENDS:
            if flags & Flag.SYN:
                options = _WINDOW_SCALE
                words = 6
            self.ended = bool(flags & Flag.FIN)
        if number is None:
            number = self.next
            self.next = number + length & _LOW
            self.unacknowledged += length
            if flags & _STARTS_OR_ENDS:
                self.next = self.next + 1 & _LOW
        whole, head = self._head(
            time,
            words * 4,
            _TCP_END.pack(words << 12 | flags, _WINDOW, 0),
            number,
            len(data),
            length,
            len(end),
        )
        return head, options, data, end, pcapng.NUMBER.pack(whole)

    def content(self, time: int, data: bytes, length: int) -> tuple[bytes, ...]:
        """
        As L{packet}, for content: what nearly all packets are.
        """
        other = self.other
        self.acknowledged = other.next
        other.unacknowledged = 0
        number = self.next
        self.next = number + length & _LOW
        self.unacknowledged += length
        end = self._ends[-len(data) & 3]
        whole, head = self._head(time, 20, _CONTENT_END, number, len(data), length, len(end))
        return head, data, end, pcapng.NUMBER.pack(whole)

    def _head(
        self, time: int, tcp: int, tcp_end: bytes, number: int, kept: int, length: int, end: int
    ) -> tuple[int, bytes]:
        if self._v4:
            total = 20 + tcp + length
            ip = _V4.pack(
                _V4_BEGIN,
                total,
                _V4_MIDDLE,
                # The complement of a sum whose carries are added to it.
                65535 - (self._sum + total) % 65535,
                self._between,
                number,
                self.acknowledged,
                tcp_end,
            )
            captured = 20 + tcp + kept
        else:
            total = 40 + tcp + length
            ip = _V6.pack(
                _V6_BEGIN,
                tcp + length,
                self._between,
                number,
                self.acknowledged,
                tcp_end,
            )
            captured = 40 + tcp + kept
        whole = 32 + captured + end
        return whole, _PACKET.pack(
            pcapng.ENHANCED_PACKET,
            whole,
            self._interface,
            time >> 32,
            time & _LOW,
            captured,
            total,
        ) + ip


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
    flags: Flag
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
        (str(ip_address(source)), source_port),
        (str(ip_address(destination)), destination_port),
        Flag(bits & 0x1F),
        packet[header:],
        total - header,
        comments,
        direction,
        interface,
    )
