"""
Events in, a pcapng file out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from ..addresses import Address, address_text
from . import comments, packets, pcapng
from .contents import ACKNOWLEDGED_AFTER, MAX_CONTENT, contents
from .events import (
    Closed,
    Direction,
    Dropped,
    End,
    Event,
    HalfClosed,
    Note,
    Opened,
    PlainOctets,
    Role,
    Secured,
    Unrecorded,
)
from .packets import Flag, Flow

_ABOUT = (
    "Octets, times, directions and ends of connections are what was recorded above TLS. IP and TCP"
    " headers are synthetic: made from the addresses of the connections."
)

# Where a connection's own addresses cannot stand in its packets, these do (RFC 2544).
_CLIENTS = "198.18.{}.{}"
_SERVER = "198.19.0.1"

# Ports of clients from here on (RFC 6335 section 6), and that of a UNIX socket: it is reserved, so
# that no tool takes it for a protocol's, and lower than those of clients.
_CLIENT_PORTS = 49152
_UNIX_PORT = 1023

_RECEIVED = Direction.RECEIVED
# As numbers, which are quicker.
_SYN, _ACK = int(Flag.SYN), int(Flag.ACK)
_SYN_ACK, _FIN_ACK, _RST_ACK = (int(flag | Flag.ACK) for flag in (Flag.SYN, Flag.FIN, Flag.RST))

# What is to be appended to a file.
_Pieces = list[bytes | memoryview]

# A packet without content that repeats the last acknowledgment is a duplicate to tools that look
# for trouble, one with the number before the next is a keep-alive. This one is neither.
_NOTE_OFFSET = 2


class _Connection(NamedTuple):
    """
    A connection, as far as this file knows it.
    """

    received: Flow
    sent: Flow


@dataclass(slots=True)
class _Known:
    """
    A connection that was opened, whether or not this file has anything of it yet.
    """

    opened: Opened
    secured: Secured | None = None
    ended: set[Direction] = field(default_factory=set)


class RecordingWriter:
    """
    Turns events into the octets of one pcapng file after another.

    A file is complete in itself: a connection that was opened in an earlier one is opened anew,
    marked as continued, when something more of it is written.
    """

    def __init__(self, application: str, recording: str) -> None:
        """
        @param application: what program records, for the file's header.
        @param recording: a name that no other recording has. It tells whether connections of the
            same number in two files are one.
        """
        self._application = application
        self._recording = recording
        self._known: dict[int, _Known] = {}
        # Those of them that ended with what was written last.
        self._over: set[int] = set()
        self._connections: dict[int, _Connection] = {}
        self._interfaces: dict[str, int] = {}
        # The addresses that stand in the file, and how many others took the place of some.
        self._taken: set[frozenset[Address]] = set()
        self._replaced = 0

    def begin(self, *, section: bool = False) -> bytes:
        """
        Begin a file.

        @param section: whether it is another section of the same file. Connections that go on in
            it have other addresses there: tools would take what comes for sent again.
        @return: what it begins with.
        """
        self._connections.clear()
        self._interfaces.clear()
        if not section:
            self._taken.clear()
            self._replaced = 0
        about = comments.write("recording", name=self._recording, about=_ABOUT)
        return pcapng.section_header(
            [(pcapng.COMMENT, about.encode()), (pcapng.APPLICATION, self._application.encode())]
        )

    def write(self, events: Iterable[Event | PlainOctets]) -> _Pieces:
        """
        Write events, in the order in which they happened.

        Events of connections that were never opened, or are closed, are left out.

        @return: what is to be appended to the file, in pieces.
        """
        for number in self._over:
            del self._known[number]
        self._over.clear()
        made: _Pieces = []
        all_events = [*events]
        at = 0
        while True:
            at = contents(all_events, at, self._connections, _RECEIVED, made)
            if at == len(all_events):
                return made
            event = all_events[at]
            at += 1
            if isinstance(event, tuple):
                self._octets(event, made)
                continue
            pieces: _Pieces = []
            if type(event) is Opened:
                self._known[event.connection] = _Known(event)
                self._open(event, pieces)
            elif type(event) is Unrecorded:
                self._unrecorded(event, pieces)
            elif self._is_open(event.connection):
                self._other(event, pieces)
            # They are many, and small.
            made.append(b"".join(pieces))

    def retract(self) -> None:
        """
        Know that what was written last did not get to a file. Connections that ended with it are
        open still: their ends are to be written again, in a file or a section to be begun.
        """
        self._over.clear()

    def _octets(self, event: PlainOctets, pieces: _Pieces) -> None:
        """
        Write octets that L{contents} leaves: the first of a connection in a file, what takes more
        than one packet, what is to be acknowledged.
        """
        number, time, direction, data, length = event
        connection = self._connections.get(number)
        if connection is None:
            if not self._is_open(number):
                return
            connection = self._continue(number, time, pieces)
        flow = connection.received if direction is _RECEIVED else connection.sent
        kept = memoryview(data)
        # One packet at least.
        for start in range(0, length or 1, MAX_CONTENT):
            rest = length - start
            # Only the last has PSH: by that the reader knows that it is one piece.
            last = rest <= MAX_CONTENT
            part = kept[start : start + MAX_CONTENT]
            pieces += flow.content(time, part, min(rest, MAX_CONTENT), last=last)
        if flow.unacknowledged > ACKNOWLEDGED_AFTER:
            pieces += flow.other.packet(time, _ACK)

    def _is_open(self, number: int) -> bool:
        return number in self._known and number not in self._over

    def _other(self, event: Event, pieces: _Pieces) -> None:
        number, time = event.connection, event.time
        known = self._known[number]
        connection = self._connections.get(number) or self._continue(number, time, pieces)
        if isinstance(event, Secured):
            if known.secured != event:
                known.secured = event
                self._secure(connection, event, pieces)
        elif isinstance(event, HalfClosed):
            known.ended.add(event.direction)
            self._half_close(connection, event.direction, time, pieces)
        elif isinstance(event, Note):
            self._note(connection, time, comments.write("note", text=event.text), pieces)
        elif isinstance(event, Dropped):
            said = comments.write("dropped", received=str(event.received), sent=str(event.sent))
            self._note(connection, time, said, pieces)
        elif isinstance(event, Closed):
            self._close(connection, event, pieces)
            del self._connections[number]
            self._over.add(number)

    def _continue(self, number: int, time: int, pieces: _Pieces) -> _Connection:
        """
        Have a connection of an earlier file in this one.
        """
        known = self._known[number]
        first = known.opened
        again = Opened(
            number, time, first.role, first.service, first.peer, first.host, continued=True
        )
        connection = self._open(again, pieces)
        if known.secured is not None:
            self._secure(connection, known.secured, pieces)
        for direction in known.ended:
            self._half_close(connection, direction, time, pieces)
        return connection

    def _open(self, event: Opened, pieces: _Pieces) -> _Connection:
        interface = self._interface(event.service, pieces)
        serving = event.role is Role.SERVER
        client, server = (event.peer, event.host) if serving else (event.host, event.peer)
        from_client, from_server = packets.conversation(
            interface, *self._addresses(client, server), inbound=serving
        )
        flows = (from_client, from_server) if serving else (from_server, from_client)
        connection = self._connections[event.connection] = _Connection(*flows)
        said = comments.write(
            "opened",
            connection=str(event.connection),
            service=event.service,
            role=event.role,
            client=address_text(client),
            server=address_text(server),
            continued="yes" if event.continued else "",
        )
        pieces += from_client.packet(event.time, _SYN, comment=said)
        pieces += from_server.packet(event.time, _SYN_ACK)
        pieces += from_client.packet(event.time, _ACK)
        return connection

    def _interface(self, service: str, pieces: _Pieces) -> int:
        interface = self._interfaces.get(service)
        if interface is None:
            interface = self._interfaces[service] = len(self._interfaces)
            pieces.append(pcapng.interface(service))
        return interface

    def _unrecorded(self, event: Unrecorded, pieces: _Pieces) -> None:
        said = comments.write(
            "unrecorded",
            connections=str(event.connections),
            received=str(event.received),
            sent=str(event.sent),
        )
        # How many packets those would have been nobody knows: one each, at the least.
        interface = self._interface("", pieces)
        pieces.append(pcapng.statistics(interface, event.time, event.connections, said))

    def _addresses(
        self, client: Address, server: Address
    ) -> tuple[tuple[str, int], tuple[str, int]]:
        """
        The addresses that a connection has in its packets: its own, unless IP has none such, or
        another connection of the file had the same. Tools would take the two for one.
        """
        ends = frozenset((client, server))
        if (
            not (isinstance(client, str) or isinstance(server, str))
            and len(ends) == 2
            and ends not in self._taken
            and (family := len(packets.packed(client[0])))
            and family == len(packets.packed(server[0]))
        ):
            self._taken.add(ends)
            return client, server
        number = self._replaced
        self._replaced += 1
        host, port = divmod(number, 65536 - _CLIENT_PORTS)
        host %= 65536
        replaced = _CLIENTS.format(host >> 8, host & 0xFF), _CLIENT_PORTS + port
        return replaced, (_SERVER, _UNIX_PORT if isinstance(server, str) else server[1])

    def _secure(self, connection: _Connection, event: Secured, pieces: _Pieces) -> None:
        said = comments.write("secured", tls=event.version, alpn=event.alpn, sni=event.sni)
        self._note(connection, event.time, said, pieces)

    def _note(self, connection: _Connection, time: int, comment: str, pieces: _Pieces) -> None:
        flow = connection.sent
        pieces += flow.packet(time, _ACK, comment=comment, number=flow.next - _NOTE_OFFSET)

    def _half_close(
        self, connection: _Connection, direction: Direction, time: int, pieces: _Pieces
    ) -> None:
        flow = connection.received if direction is Direction.RECEIVED else connection.sent
        if not flow.ended:
            pieces += flow.packet(time, _FIN_ACK)

    def _close(self, connection: _Connection, event: Closed, pieces: _Pieces) -> None:
        said = comments.write("closed", how=event.how, reason=event.reason)
        received, sent = connection.received, connection.sent
        if event.how is not End.DONE:
            flow = received if event.how is End.RESET else sent
            pieces += flow.packet(event.time, _RST_ACK, comment=said)
            return
        for flow in (received, sent):
            if not flow.ended:
                # Tells the reader that no half-close of its own was recorded.
                closing = comments.write("closing")
                pieces += flow.packet(event.time, _FIN_ACK, comment=closing)
        self._note(connection, event.time, said, pieces)
