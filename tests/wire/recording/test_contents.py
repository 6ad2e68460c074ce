"""
The packets of content: in C and in Python the same.
"""

from __future__ import annotations

from gc import collect
from random import Random
from types import ModuleType
from typing import Any
from weakref import ref

import pytest

from netkit.wire.recording import Direction
from netkit.wire.recording.contents import ACKNOWLEDGED_AFTER, MAX_CONTENT
from netkit.wire.recording.packets import Flow, conversation, read_packet
from netkit.wire.recording.pcapng import BlockReader, section_header
from tests.compiled import compiled, languages
from tests.wire.recording.contents_fuzz import compareOnce

native = compiled("netkit.wire.recording.contents")

RECEIVED, SENT = Direction.RECEIVED, Direction.SENT
contents = languages("netkit.wire.recording.contents")


def connection(host: str = "127.0.0.1") -> tuple[Flow, Flow]:
    return conversation(3, (host, 50000), (host, 3202), inbound=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_packets(contents: ModuleType, host: str) -> None:
    events = [
        (7, 2**33, RECEIVED, b"abc", 3),
        (7, 2**33 + 1, SENT, bytes(16384), 16384),
        (7, 2**33 + 2, RECEIVED, b"", 0),
        (7, 2**33 + 3, RECEIVED, b"cut", MAX_CONTENT),
    ]
    pair = connection(host)
    made: list[Any] = [section_header([])]
    assert contents.contents(events, 0, {7: pair}, RECEIVED, made) == 4
    blocks = list(BlockReader().feed(b"".join(made)))[1:]
    packets = [read_packet(block.body) for block in blocks]
    client, server = (host, 50000), (host, 3202)
    assert [tuple(packet) for packet in packets] == [
        (2**33, client, server, 24, b"abc", 3, [], 1, 3),
        (2**33 + 1, server, client, 24, bytes(16384), 16384, [], 2, 3),
        (2**33 + 2, client, server, 24, b"", 0, [], 1, 3),
        (2**33 + 3, client, server, 24, b"cut", MAX_CONTENT, [], 1, 3),
    ]
    assert [flow.next for flow in pair] == [1003 + MAX_CONTENT, 1000 + 16384]
    assert [flow.unacknowledged for flow in pair] == [MAX_CONTENT, 0]


def test_what_is_large_is_not_copied(contents: ModuleType) -> None:
    large = bytes(4096)
    made: list[Any] = []
    contents.contents([(1, 0, SENT, large, 4096)] * 2, 0, {1: connection()}, RECEIVED, made)
    assert sum(piece is large for piece in made) == 2


@pytest.mark.parametrize(
    "left",
    [
        object(),
        (2, 0, SENT, b"", 0),
        (1, 0, SENT, b"", MAX_CONTENT + 1),
        (1, 0, SENT, b"a" * 100, 100),
    ],
)
def test_what_is_left(contents: ModuleType, left: object) -> None:
    pair = connection()
    pair[1].unacknowledged = ACKNOWLEDGED_AFTER - 99
    plain = (1, 0, SENT, b"a", 1)
    made: list[Any] = []
    assert contents.contents([left, plain], 0, {1: pair}, RECEIVED, made) == 0
    assert (made, pair[1].next) == ([], 1000)
    assert contents.contents([left, plain], 1, {1: pair}, RECEIVED, made) == 2
    assert contents.contents([left, plain], 2, {1: pair}, RECEIVED, made) == 2
    assert pair[1].next == 1001


def test_what_is_no_event_is_left_to_python() -> None:
    if native is None:
        pytest.skip("packets are not made in C: there was no compiler")
    unmade: Any = native.Sender.__new__(native.Sender)
    known = {1: connection(), 2: (unmade, unmade), 3: "ab", 4: (1, 2), 5: ()}
    made: list[Any] = []
    for wrong in (
        (),
        (1, 0, SENT, b"a", 1, 1),
        (1, -1, SENT, b"a", 1),
        (1, 2**64, SENT, b"a", 1),
        (1, "now", SENT, b"a", 1),
        (1, 0, SENT, bytearray(b"a"), 1),
        (1, 0, SENT, b"a", 0),
        (1, 0, SENT, b"a", -1),
        (1, 0, SENT, b"a", 2**70),
        *((number, 0, SENT, b"a", 1) for number in (3, 4, 5)),
    ):
        assert native.contents([wrong], 0, known, RECEIVED, made) == 0
    assert not made
    assert native.contents([(2, 0, SENT, b"a", 1)], 0, known, RECEIVED, made) == 1
    with pytest.raises(TypeError):
        native.contents([([], 0, SENT, b"a", 1)], 0, known, RECEIVED, made)
    mistaken: list[tuple[Any, ...]] = [
        (),
        (1, 0, {}, SENT, []),
        ([], 0, [], SENT, []),
        ([], 0, {}, SENT, ()),
    ]
    for arguments in mistaken:
        with pytest.raises(TypeError):
            native.contents(*arguments)
    with pytest.raises(ValueError, match="first"):
        native.contents([], -1, {}, SENT, [])
    for addresses in (b"", bytes(13), bytes(100)):
        with pytest.raises(ValueError, match="12 octets"):
            native.Sender(0, 1, addresses)


def test_connections_are_not_kept() -> None:
    pair = connection()
    found = [ref(flow) for flow in pair]
    del pair
    collect()
    assert [each() for each in found] == [None, None]


def test_both_languages_do_the_same() -> None:
    if native is None:
        pytest.skip("packets are not made in C: there was no compiler")
    for seed in range(100):
        compareOnce(Random(seed))
