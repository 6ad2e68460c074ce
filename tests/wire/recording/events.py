"""
Recordings for the tests: made by hand, and drawn by Hypothesis.
"""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st

from netkit.wire.recording import (
    Closed,
    Direction,
    Dropped,
    End,
    Event,
    HalfClosed,
    Note,
    Octets,
    Opened,
    RecordingReader,
    RecordingWriter,
    Role,
    Secured,
)

#: Some time in 2026, in nanoseconds.
START = 1_800_000_000_000_000_000


class Script:
    """
    Events of a recording, each a millisecond after the one before.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []

    @property
    def time(self) -> int:
        return START + len(self.events) * 1_000_000

    def opened(
        self,
        connection: int = 1,
        peer: tuple[str, int] | str = ("127.0.0.1", 50000),
        host: tuple[str, int] | str = ("127.0.0.1", 3202),
        service: str = "http",
        role: Role = Role.SERVER,
    ) -> None:
        self.events.append(Opened(connection, self.time, role, service, peer, host))

    def received(self, data: bytes, connection: int = 1, length: int | None = None) -> None:
        self._octets(Direction.RECEIVED, data, connection, length)

    def sent(self, data: bytes, connection: int = 1, length: int | None = None) -> None:
        self._octets(Direction.SENT, data, connection, length)

    def _octets(
        self, direction: Direction, data: bytes, connection: int, length: int | None
    ) -> None:
        whole = len(data) if length is None else length
        self.events.append(Octets(connection, self.time, direction, data, whole))

    def secured(self, connection: int = 1) -> None:
        self.events.append(Secured(connection, self.time, "TLSv1.3", "http/1.1", "localhost"))

    def halfClosed(self, direction: Direction, connection: int = 1) -> None:
        self.events.append(HalfClosed(connection, self.time, direction))

    def note(self, text: str, connection: int = 1) -> None:
        self.events.append(Note(connection, self.time, text))

    def dropped(self, received: int, sent: int, connection: int = 1) -> None:
        self.events.append(Dropped(connection, self.time, received, sent))

    def closed(self, how: End = End.DONE, reason: str = "", connection: int = 1) -> None:
        self.events.append(Closed(connection, self.time, how, reason))


def write(events: Iterable[Event]) -> bytes:
    """
    Write one file.
    """
    writer = RecordingWriter("netkit's tests", "a recording")
    return writer.begin() + b"".join(writer.write(events))


def read(data: bytes, piece: int | None = None) -> list[Event]:
    """
    Read one file, in pieces of so many octets.
    """
    reader = RecordingReader()
    step = piece or len(data) or 1
    events = [
        event
        for start in range(0, len(data), step)
        for event in reader.feed(data[start : start + step])
    ]
    assert not reader.pending
    return events


def exchange() -> list[Event]:
    """
    A little of everything: IPv4, IPv6, UNIX, both roles, each kind of end.
    """
    script = Script()
    script.opened()
    script.note("a note")
    script.note("another one,\nof two lines \\n and a \0")
    script.received(b"GET /first HTTP/1.1\r\nHost: here\r\n\r\n")
    script.note("a third")
    script.sent(b"HTTP/1.1 200 OK\r\nContent-Length: 150000\r\n\r\n")
    script.sent(b"x" * 150_000)
    script.opened(2, ("::1", 50001), ("::1", 3202))
    script.secured(2)
    script.received(b"GET /second HTTP/1.1\r\nHost: here\r\n\r\n", 2)
    script.halfClosed(Direction.RECEIVED, 2)
    script.sent(b"HTTP/1.1 204 No Content\r\n\r\n", 2)
    script.halfClosed(Direction.RECEIVED)
    script.note("one more")
    script.closed()
    script.halfClosed(Direction.SENT, 2)
    script.note("when both have said all", 2)
    script.note("and again", 2)
    script.closed(End.DONE, "as it should", 2)
    script.opened(3, "", "/run/echo.sock")
    script.received(b"GET /third HTTP/1.1\r\nHost: here\r\n\r\n", 3)
    script.closed(End.RESET, "Connection reset by peer", 3)
    script.opened(4, "\0abstract", "", "client", Role.CLIENT)
    script.sent(b"GET /fourth HTTP/1.1\r\nHost: here\r\n\r\n", 4)
    script.received(b"", 4, 1000)
    script.received(b"HTTP/1.1 200 OK", 4, 200_000)
    script.dropped(10, 20, 4)
    script.closed(End.TIMED_OUT, connection=4)
    # The same addresses as those of the first connection.
    script.opened(5)
    script.received(b"GET /fifth HTTP/1.1\r\nHost: here\r\n\r\n", 5)
    script.halfClosed(Direction.SENT, 5)
    script.closed(End.ABORTED, connection=5)
    return script.events


_ports = st.integers(0, 65535)
_addresses = st.one_of(
    st.tuples(st.ip_addresses(v=4).map(str), _ports),
    st.tuples(st.ip_addresses(v=6).map(str), _ports),
    st.text(st.characters(codec="utf-8", exclude_characters="@"), max_size=100),
)
_texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=300)


@st.composite
def recordings(draw: st.DrawFn) -> list[Event]:
    """
    Any events of any connections, in an order that is possible.
    """
    script = Script()
    number = 0
    open: dict[int, set[Direction]] = {}
    for _ in range(draw(st.integers(1, 30))):
        if not open or draw(st.integers(0, 5)) == 0:
            number += 1
            open[number] = set()
            script.opened(
                number,
                draw(_addresses),
                draw(_addresses),
                draw(_texts),
                draw(st.sampled_from(Role)),
            )
            continue
        at = draw(st.sampled_from(sorted(open)))
        directions = [d for d in Direction if d not in open[at]]
        kind = draw(st.integers(0, 5))
        if kind <= 2 and directions:
            data = draw(st.binary(min_size=1, max_size=100)) * draw(st.sampled_from([1, 1000]))
            extra = draw(st.sampled_from([0, 0, 1, 100_000]))
            direction = draw(st.sampled_from(directions))
            script.events.append(Octets(at, script.time, direction, data, len(data) + extra))
        elif kind == 3 and directions:
            direction = draw(st.sampled_from(directions))
            open[at].add(direction)
            script.halfClosed(direction, at)
        elif kind == 4:
            script.note(draw(_texts), at)
        elif kind == 5:
            script.closed(draw(st.sampled_from(End)), draw(st.one_of(st.just(""), _texts)), at)
            del open[at]
    return script.events
