"""
What WebSocket costs: as many steps and as much memory as the size of a message asks for, whatever
way it comes. Steps are counted, since times on a busy machine say little.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from netkit.wire.websocket.codec import serialize_frame
from netkit.wire.websocket.codes import FIN, Opcode
from netkit.wire.websocket.connection import Connection
from netkit.wire.websocket.deflate import PerMessageDeflate

MIB = 2**20
KEY = b"\x01\x02\x03\x04"


def segments(size: int, fragment: int, *, dribble: bool = False) -> Iterator[bytes]:
    """
    A message in fragments, as it arrives: in segments of at most 64 KiB; or the frames' headers
    octet by octet.
    """
    payload = b"\xa5" * fragment
    for start in range(0, size, fragment):
        opcode = Opcode.CONTINUATION if start else Opcode.BINARY
        first = opcode | FIN if start + fragment >= size else opcode
        frame = serialize_frame(first, payload, KEY)
        header = len(frame) - fragment
        if dribble:
            yield from (frame[at : at + 1] for at in range(header))
            frame = frame[header:]
        yield from (frame[at : at + 2**16] for at in range(0, len(frame), 2**16))


class Steps:
    """
    Counts the lines of Python that run, and the octets that they copy out of what arrived.
    """

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """
        Count.
        """

        def trace(frame: object, event: str, argument: object) -> object:
            if event == "line":
                self.count += 1
            return trace

        before = sys.gettrace()
        sys.settrace(trace)  # type: ignore[arg-type]
        try:
            yield
        finally:
            sys.settrace(before)


def receive(data: Iterable[bytes]) -> int:
    """
    The size of the one message that arrives.
    """
    connection = Connection(client=False, max_message_size=0)
    sizes = [
        len(event)
        for segment in data
        for event in connection.receive_data(segment)
        if isinstance(event, bytes | bytearray)
    ]
    (size,) = sizes
    return size


@pytest.mark.parametrize(
    ("fragment", "dribble"), [(2**16, False), (2**16, True), (0, False), (100, False)]
)
def test_steps_are_linear(fragment: int, dribble: bool) -> None:
    counts = []
    for size in (MIB // 4, 2 * MIB):
        steps = Steps()
        data = list(segments(size, fragment or size, dribble=dribble))
        with steps.counted():
            received = receive(data)
        assert received >= size
        counts.append(steps.count)
    assert counts[1] <= 1.5 * 8 * counts[0]


@pytest.mark.parametrize("fragment", [2**16, 8 * MIB, 1])
def test_memory_is_that_of_the_message(fragment: int) -> None:
    size = 8 * MIB if fragment > 1 else MIB // 16
    tracemalloc.start()
    try:
        received = receive(segments(size, fragment))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert received == size
    # The frame that the test itself makes, and masks, counts too.
    assert peak < 2 * size + 4 * min(fragment, size) + MIB // 2


def test_an_idle_connection_is_small() -> None:
    count = 1000
    tracemalloc.start()
    try:
        kept = [Connection(client=False, deflate=PerMessageDeflate()) for _ in range(count)]
        each = tracemalloc.get_traced_memory()[0] / count
    finally:
        tracemalloc.stop()
    assert len(kept) == count
    assert each < 1024
