"""
What netkit records, read by another library.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from io import BytesIO
from typing import Any

import pytest

from netkit.wire.recording import Octets, RecordingWriter, Unrecorded
from tests.interop.peers import requireModule
from tests.wire.recording.events import START, exchange


@pytest.fixture(scope="module")
def blocks() -> list[Any]:
    """
    The blocks of a little of everything, as python-pcapng reads them.
    """
    requireModule("pcapng")
    writer = RecordingWriter("netkit's tests", "a recording")
    events = [*exchange(), Unrecorded(START, 7, 100, 200)]
    data = writer.begin() + b"".join(writer.write(events))
    with warnings.catch_warnings():
        # It has one for its own table of options.
        warnings.simplefilter("ignore", DeprecationWarning)
        return list(import_module("pcapng").FileScanner(BytesIO(data)))


def of(blocks: list[Any], kind: str) -> list[Any]:
    return [block for block in blocks if type(block).__name__ == kind]


def test_the_header(blocks: list[Any]) -> None:
    [header] = of(blocks, "SectionHeader")
    assert blocks[0] is header
    assert header.options["shb_userappl"] == "netkit's tests"
    assert "headers are synthetic" in header.options["opt_comment"]


def test_the_interfaces(blocks: list[Any]) -> None:
    interfaces = of(blocks, "InterfaceDescription")
    assert [each.options["if_name"] for each in interfaces] == ["http", "client", ""]
    assert {each.link_type_description for each in interfaces} == {"Raw IP"}
    assert {each.timestamp_resolution for each in interfaces} == {1e-9}


def test_the_packets(blocks: list[Any]) -> None:
    packets = of(blocks, "EnhancedPacket")
    assert packets[0].timestamp == pytest.approx(START / 10**9)
    directions = {packet.options["epb_flags"].inout for packet in packets}
    assert directions == {"inbound", "outbound"}
    carried = b"".join(packet.packet_data for packet in packets)
    for event in exchange():
        if isinstance(event, Octets) and len(event.data) < 1000:
            assert event.data in carried
    cut = [packet for packet in packets if packet.packet_len > packet.captured_len]
    assert len(cut) == 5
    said = [packet.options["opt_comment"] for packet in packets if "opt_comment" in packet.options]
    assert any("a note" in comment for comment in said)


def test_what_is_missing(blocks: list[Any]) -> None:
    [statistics] = of(blocks, "InterfaceStatistics")
    assert statistics.options["isb_ifdrop"] == 7
