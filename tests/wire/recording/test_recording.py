"""
What is written is what is read back.
"""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings

from netkit.wire.recording import (
    Closed,
    Direction,
    End,
    Event,
    Note,
    Octets,
    Opened,
    RecordingError,
    RecordingReader,
    RecordingWriter,
)
from netkit.wire.recording.packets import Flag, read_packet
from netkit.wire.recording.pcapng import ENHANCED_PACKET, BlockReader
from tests.wire.recording.events import Script, exchange, read, recordings, write


@pytest.mark.parametrize("piece", [None, 1, 7, 4096])
def test_round_trip(piece: int | None) -> None:
    events = exchange()
    assert read(write(events), piece) == events


@settings(max_examples=settings().max_examples // 2)
@given(recordings())
def test_anything_round_trips(events: list[Event]) -> None:
    assert read(write(events)) == events


def test_a_piece_larger_than_a_packet_is_one_piece() -> None:
    script = Script()
    script.opened()
    script.received(bytes(range(256)) * 1000)
    script.received(b"x" * 65495)
    script.received(b"x" * 65496)
    assert read(write(script.events)) == script.events


def test_only_the_first_octets_of_a_piece_are_kept() -> None:
    script = Script()
    script.opened()
    script.received(b"first", length=1_000_000)
    [_, octets] = read(write(script.events))
    assert isinstance(octets, Octets)
    assert (octets.data, octets.length) == (b"first", 1_000_000)


def test_more_octets_than_sequence_numbers() -> None:
    """
    They wrap, and the octets that are not kept count.
    """
    script = Script()
    script.opened()
    for _ in range(50):
        script.received(b"", length=100_000_000)
    script.sent(b"enough")
    assert read(write(script.events)) == script.events


def test_a_connection_goes_on_in_the_next_file() -> None:
    script = Script()
    script.opened()
    script.secured()
    script.received(b"one")
    script.halfClosed(Direction.RECEIVED)
    writer = RecordingWriter("netkit's tests", "a recording")
    writer.begin()
    writer.write(script.events)
    before = len(script.events)
    script.sent(b"two")
    script.closed()
    second = read(writer.begin() + b"".join(writer.write(script.events[before:])))
    opened, secured, halfClosed, *rest = second
    assert isinstance(opened, Opened)
    assert opened.continued
    assert opened.peer == ("127.0.0.1", 50000)
    assert [type(event).__name__ for event in (secured, halfClosed)] == ["Secured", "HalfClosed"]
    assert rest == script.events[before:]


def test_the_files_of_a_recording_have_its_name() -> None:
    reader = RecordingReader()
    writer = RecordingWriter("netkit's tests", "a recording")
    assert reader.recording == ""
    assert list(reader.feed(writer.begin())) == []
    assert reader.recording == "a recording"


def test_events_of_an_unknown_connection_are_left_out() -> None:
    """
    What comes after a connection's end, of a protocol that goes on writing.
    """
    script = Script()
    script.received(b"before")
    script.opened()
    script.closed()
    script.sent(b"after")
    script.note("after")
    assert [type(event) for event in read(write(script.events))] == [Opened, Closed]


def test_a_note_that_is_too_long_is_cut() -> None:
    script = Script()
    script.opened()
    script.note("x" * 100_000)
    note = read(write(script.events))[-1]
    assert isinstance(note, Note)
    assert note.text.startswith("xxx")
    assert note.text.endswith("...")
    assert len(note.text) < 10_000


def test_a_file_that_was_not_finished() -> None:
    """
    As a crash leaves it: all that is whole is read.
    """
    data = write(exchange())
    reader = RecordingReader()
    events = list(reader.feed(data[:-5]))
    assert reader.pending
    assert events == exchange()[:-1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "not a pcapng file"),
        (bytes.fromhex("0a0d0d0a0000001c1a2b3c4d") + bytes(16), "big-endian"),
        (write([])[:4] + b"\x07\0\0\0" + write([])[8:], "a block of 7 octets"),
        (write([])[:-4] + b"\x07\0\0\0", "two lengths differ"),
        (write([]).replace(b"netkit: recording", b"somebody: elses!!"), "netkit did not write"),
    ],
)
def test_another_file(data: bytes, message: str) -> None:
    with pytest.raises(RecordingError, match=message):
        list(RecordingReader().feed(data))


@settings(max_examples=settings().max_examples // 5)
@given(recordings())
def test_a_damaged_file(events: list[Event]) -> None:
    """
    Whatever is changed in it, it is read or refused.
    """
    data = bytearray(write(events))
    for at in range(8, len(data), max(1, len(data) // 20)):
        data[at] ^= 0x55
        with suppress(RecordingError):
            list(RecordingReader().feed(bytes(data)))
        data[at] ^= 0x55


def test_how_a_connection_ended() -> None:
    for how in End:
        script = Script()
        script.opened()
        script.closed(how, "why")
        closed = read(write(script.events))[-1]
        assert isinstance(closed, Closed)
        assert (closed.how, closed.reason) == (how, "why")


def test_a_unix_socket_has_addresses_that_tools_can_be_told() -> None:
    """
    The server's port is the lower one, and no protocol's: C{tshark -d tcp.port==1023,pgsql}.
    """
    script = Script()
    for number in range(1, 20_001):
        script.opened(number, "", "/run/postgresql/.s.PGSQL.5432")
    blocks = list(BlockReader().feed(write(script.events)))
    packets = [read_packet(block.body) for block in blocks if block.type == ENHANCED_PACKET]
    opening = [packet for packet in packets if packet.flags == Flag.SYN]
    assert {packet.destination for packet in opening} == {("198.19.0.1", 1023)}
    assert len({packet.source for packet in opening}) == 20_000
    assert min(port for (_, port) in (packet.source for packet in opening)) >= 49152


def test_a_connection_that_goes_on_in_another_section_of_its_file() -> None:
    """
    It is another one to tools, which would take what comes for sent again, and the same here.
    """
    script = Script()
    script.opened()
    script.received(b"one")
    writer = RecordingWriter("netkit's tests", "a recording")
    first = writer.begin() + b"".join(writer.write(script.events))
    writer.write(script.events[1:])
    writer.retract()
    script.closed()
    file = first + writer.begin(section=True) + b"".join(writer.write(script.events[2:]))
    again = [event for event in read(file) if isinstance(event, Opened)][1]
    assert (again.connection, again.peer, again.continued) == (1, ("127.0.0.1", 50000), True)
    blocks = [block for block in BlockReader().feed(file) if block.type == ENHANCED_PACKET]
    clients = [p.source for p in map(read_packet, (b.body for b in blocks)) if p.flags == Flag.SYN]
    assert clients == [("127.0.0.1", 50000), ("198.18.0.0", 49152)]
