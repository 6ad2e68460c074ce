"""
The blocks of a pcapng file (draft-ietf-opsawg-pcapng), as far as a recording uses them.

Numbers are little-endian, as on nearly all machines: what captures from a pipe insists on its own
order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

#: Block types (section 11.1).
SECTION_HEADER = 0x0A0D0D0A
INTERFACE = 1
STATISTICS = 5
ENHANCED_PACKET = 6

#: Options of any block (section 3.5).
END_OF_OPTIONS = 0
COMMENT = 1

#: Options of the section header (section 4.1).
APPLICATION = 4

#: Options of an interface (section 4.2).
INTERFACE_NAME = 2
TIME_RESOLUTION = 9

#: An option of an interface's statistics (section 4.6): how many packets there was no room for.
DROPPED_PACKETS = 5

#: An option of a packet (section 4.3): its direction, among others.
FLAGS = 2
INBOUND = 1
OUTBOUND = 2

#: Packets begin with an IPv4 or IPv6 header: LINKTYPE_RAW.
RAW_IP = 101

_MAGIC = 0x1A2B3C4D
_BLOCK = struct.Struct("<II")
_OPTION = struct.Struct("<HH")
NUMBER = struct.Struct("<I")

#: What a reader takes one block for at most, in octets: a packet of 64 KiB and its comments are
#: far below.
MAX_BLOCK = 2**20

#: What an option may hold.
MAX_OPTION = 2**16 - 1

Option = tuple[int, bytes]


class Block(NamedTuple):
    """
    A block of any kind: its type, and what is between its two lengths.
    """

    type: int
    body: bytes


class BadBlock(ValueError):
    """
    What was read is no pcapng file, or none of a kind that is read here.
    """


def options(given: Iterable[Option]) -> bytes:
    """
    Make the end of a block's body: options, each padded to 32 bits, and their end.

    @raise ValueError: an option is longer than L{MAX_OPTION}.
    """
    made = b""
    for code, value in given:
        if len(value) > MAX_OPTION:
            raise ValueError(f"an option of {len(value)} octets, of which 65535 are possible")
        made += _OPTION.pack(code, len(value)) + value + bytes(-len(value) % 4)
    return made + bytes(4) if made else b""


def block(type: int, body: bytes) -> bytes:
    """
    Make a block of any kind.

    @param body: a multiple of four octets.
    """
    length = len(body) + 12
    return _BLOCK.pack(type, length) + body + NUMBER.pack(length)


def section_header(given: Iterable[Option]) -> bytes:
    """
    Make the block that begins a file. How long the section is, it does not say.
    """
    return block(SECTION_HEADER, struct.pack("<IHHq", _MAGIC, 1, 0, -1) + options(given))


def interface(name: str) -> bytes:
    """
    Make the block that describes an interface, of packets that begin with an IP header and have
    their time in nanoseconds.
    """
    described = options([(INTERFACE_NAME, name.encode()), (TIME_RESOLUTION, b"\x09")])
    return block(INTERFACE, struct.pack("<HHI", RAW_IP, 0, 0) + described)


def statistics(interface: int, time: int, dropped: int, comment: str) -> bytes:
    """
    Make the block that says how many packets of an interface there was no room for.

    @param interface: the interface's number.
    @param time: nanoseconds since the epoch.
    @param dropped: how many.
    @param comment: what to say about it.
    """
    said = options([(COMMENT, comment.encode()), (DROPPED_PACKETS, struct.pack("<Q", dropped))])
    return block(STATISTICS, struct.pack("<III", interface, time >> 32, time & 0xFFFFFFFF) + said)


def read_options(body: bytes, at: int) -> Iterator[Option]:
    """
    Take a block's options apart.

    @param at: where they begin.
    @raise BadBlock: one of them is not whole.
    """
    while at < len(body):
        if at + 4 > len(body):
            raise BadBlock(f"an option begins {len(body) - at} octets before its block's end")
        code, length = _OPTION.unpack_from(body, at)
        if code == END_OF_OPTIONS:
            return
        at += 4
        if at + length > len(body):
            raise BadBlock(f"an option of {length} octets goes beyond its block")
        yield code, body[at : at + length]
        at += length + -length % 4


class BlockReader:
    """
    Takes a file apart into its blocks, as its octets come.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._begun = False

    @property
    def pending(self) -> int:
        """
        How many octets of a block that is not whole have come: at the end of a file more than 0
        where its writer did not get to finish it.
        """
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[Block]:
        """
        Take more of the file.

        @return: the blocks that are whole with it.
        @raise BadBlock: it is no pcapng file, or none that is written here.
        """
        buffer = self._buffer
        buffer += data
        at = 0
        try:
            while len(buffer) - at >= 12:
                type, length = _BLOCK.unpack_from(buffer, at)
                if not self._begun:
                    self._check_begin(buffer, at)
                if not 12 <= length <= MAX_BLOCK or length % 4:
                    raise BadBlock(f"a block of {length} octets")
                if len(buffer) - at < length:
                    return
                if NUMBER.unpack_from(buffer, at + length - 4)[0] != length:
                    raise BadBlock("a block whose two lengths differ")
                body = bytes(buffer[at + 8 : at + length - 4])
                at += length
                yield Block(type, body)
        finally:
            del buffer[:at]

    def _check_begin(self, buffer: bytearray, at: int) -> None:
        type, _, magic = struct.unpack_from("<III", buffer, at)
        if type != SECTION_HEADER:
            raise BadBlock("not a pcapng file")
        if magic != _MAGIC:
            raise BadBlock("a pcapng file of big-endian numbers, which netkit does not write")
        self._begun = True
