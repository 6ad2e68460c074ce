"""
A pcapng file in, events out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..addresses import read_address
from . import comments, packets, pcapng
from .events import (
    Closed,
    Direction,
    Dropped,
    End,
    Event,
    HalfClosed,
    Note,
    Octets,
    Opened,
    Role,
    Secured,
    Unrecorded,
)
from .packets import Flag, Packet

_Key = tuple[tuple[str, int], tuple[str, int]]


class RecordingError(ValueError):
    """
    What was read is not what L{RecordingWriter <netkit.wire.recording.writer.RecordingWriter>}
    writes.
    """


@dataclass(slots=True)
class _Connection:
    """
    @ivar parts: what has come of pieces of which more is to follow, by direction.
    """

    number: int
    role: Role
    client: tuple[str, int]
    parts: dict[Direction, list[Packet]] = field(default_factory=dict)
    ended: set[Direction] = field(default_factory=set)


class RecordingReader:
    """
    Reads what L{RecordingWriter <netkit.wire.recording.writer.RecordingWriter>} writes, as its
    octets come.

    @ivar recording: the recording's name, empty before the file's header was read.
    """

    def __init__(self) -> None:
        self.recording = ""
        self._blocks = pcapng.BlockReader()
        self._connections: dict[_Key, _Connection] = {}

    @property
    def pending(self) -> int:
        """
        How many octets wait for the rest of their block: at the end of a file more than 0 where
        its writer did not get to finish it.
        """
        return self._blocks.pending

    def feed(self, data: bytes) -> Iterator[Event]:
        """
        Take more of the file.

        @return: the events that are whole with it.
        @raise RecordingError: the file is none of those that are read here.
        """
        try:
            for block in self._blocks.feed(data):
                if block.type == pcapng.ENHANCED_PACKET:
                    yield from self._packet(packets.read_packet(block.body))
                elif block.type == pcapng.SECTION_HEADER:
                    self._section(block.body)
                elif block.type == pcapng.STATISTICS:
                    yield from self._statistics(block.body)
        except pcapng.BadBlock as error:
            raise RecordingError(str(error)) from error

    def _section(self, body: bytes) -> None:
        self._connections.clear()
        for code, value in pcapng.read_options(body, 16):
            read = comments.read(value.decode(errors="replace"))
            if code == pcapng.COMMENT and read is not None and read[0] == "recording":
                self.recording = read[1].get("name", "")
                return
        raise RecordingError("a pcapng file that netkit did not write: Wireshark reads it")

    def _statistics(self, body: bytes) -> Iterator[Unrecorded]:
        _, high, low = struct.unpack_from("<III", body.ljust(12, b"\0"))
        for code, value in pcapng.read_options(body, 12):
            read = comments.read(value.decode(errors="replace"))
            if code != pcapng.COMMENT or read is None or read[0] != "unrecorded":
                continue
            try:
                counts = [int(read[1][name]) for name in ("connections", "received", "sent")]
            except (KeyError, ValueError) as error:
                raise RecordingError(
                    f"connections are missing, and not said how many: {error}"
                ) from error
            yield Unrecorded(high << 32 | low, *counts)

    def _packet(self, packet: Packet) -> Iterator[Event]:
        said = [read for comment in packet.comments if (read := comments.read(comment))]
        if packet.flags == Flag.SYN:
            for event, values in said:
                if event == "opened":
                    yield self._opened(packet, values)
            return
        connection = self._connections.get((packet.source, packet.destination))
        if connection is None:
            raise RecordingError(
                f"a packet from {packet.source} to {packet.destination}, of no connection"
            )
        from_client = packet.source == connection.client
        received = from_client == (connection.role is Role.SERVER)
        direction = Direction.RECEIVED if received else Direction.SENT
        if packet.length:
            yield from self._octets(connection, direction, packet)
        for event, values in said:
            yield from self._said(connection, packet, event, values)
        closing = any(event == "closing" for event, _ in said)
        if packet.flags & Flag.FIN and not closing:
            yield HalfClosed(connection.number, packet.time, direction)

    def _opened(self, packet: Packet, values: Mapping[str, str]) -> Opened:
        try:
            role = Role(values["role"])
            number = int(values["connection"])
            client = read_address(values["client"])
            server = read_address(values["server"])
        except (KeyError, ValueError) as error:
            raise RecordingError(f"a connection is opened, and not said how: {error}") from error
        connection = _Connection(number, role, packet.source)
        self._connections[packet.source, packet.destination] = connection
        self._connections[packet.destination, packet.source] = connection
        peer, host = (client, server) if role is Role.SERVER else (server, client)
        continued = "continued" in values
        service = values.get("service", "")
        return Opened(number, packet.time, role, service, peer, host, continued)

    def _octets(
        self, connection: _Connection, direction: Direction, packet: Packet
    ) -> Iterator[Octets]:
        parts = connection.parts.setdefault(direction, [])
        parts.append(packet)
        if packet.flags & Flag.PSH:
            data = parts[0].data if len(parts) == 1 else b"".join(part.data for part in parts)
            length = sum(part.length for part in parts)
            parts.clear()
            yield Octets(connection.number, packet.time, direction, data, length)

    def _said(
        self, connection: _Connection, packet: Packet, event: str, values: Mapping[str, str]
    ) -> Iterator[Event]:
        number, time = connection.number, packet.time
        if event == "note":
            yield Note(number, time, values.get("text", ""))
        elif event == "secured":
            yield Secured(
                number,
                time,
                values.get("tls", ""),
                values.get("alpn", ""),
                values.get("sni", ""),
            )
        elif event == "dropped":
            try:
                yield Dropped(number, time, int(values["received"]), int(values["sent"]))
            except (KeyError, ValueError) as error:
                raise RecordingError(
                    f"octets were dropped, and not said how many: {error}"
                ) from error
        elif event == "closed":
            self._connections.pop((packet.source, packet.destination), None)
            self._connections.pop((packet.destination, packet.source), None)
            try:
                how = End(values.get("how", ""))
            except ValueError as error:
                raise RecordingError(f"a connection ended, and not said how: {error}") from error
            yield Closed(number, time, how, values.get("reason", ""))
