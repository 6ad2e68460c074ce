"""
Tests for L{netkit.capture.printed} and L{netkit.capture.formats}.
"""

from __future__ import annotations

import errno
import json
import os
import pty
import tty
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from threading import Thread

import pytest
import pytest_twisted
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import LogEvent

from netkit.base.terminal import printable
from netkit.capture.printed import FORMATS, PrintedStream, Selection
from netkit.wire.recording import Direction, End, Event, Octets
from tests.wire.recording.events import Script

GET = b"GET /path HTTP/1.1\r\nHost: here\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def printed(
    path: Path | str,
    format: str,
    events: list[Event],
    selection: Selection = Selection.RECEIVED,
) -> None:
    """
    Print what there is to print of events.
    """
    from twisted.internet import reactor

    assert IReactorFromThreads.providedBy(reactor)
    stream = PrintedStream(str(path), reactor, selection=selection)
    for service in ("echo", "print-respond", "http"):
        stream.show(service, format)
    stream.start()
    stream.take(events, 0)
    await stream.stop()


def script(*pieces: bytes, service: str = "echo") -> Script:
    """
    A connection on which some pieces arrive.
    """
    made = Script()
    made.opened(service=service)
    for piece in pieces:
        made.received(piece)
    return made


def http() -> Script:
    made = script(GET, service="http")
    made.sent(OK)
    made.closed()
    return made


@pytest_twisted.ensureDeferred
async def test_text_is_the_exact_octets(tmp_path: Path) -> None:
    everything = bytes(range(256)) * 1000
    await printed(tmp_path / "out", "text", script(everything, b"more").events)
    assert (tmp_path / "out").read_bytes() == everything + b"more"


@pytest_twisted.ensureDeferred
async def test_requests_are_printed_in_their_turn(tmp_path: Path) -> None:
    """
    Those that are printed as they came, and those that had to be put together.
    """
    made, expected = Script(), b""
    for number in range(1, 4):
        made.opened(number, service="echo" if number == 3 else "http")
    for count in range(1000):
        number = count % 2 + 1
        request = GET.replace(b"path", b"%d" % count + b"x" * (count % 500))
        made.received(request, number)
        expected += request
        if count % 7 == 0:
            made.received(b"between", 3)
            expected += b"between"
        made.sent(OK, number)
        if count % 50 == 0:
            made.received(GET[:9], number)
            made.received(GET[9:], number)
            made.sent(OK, number)
            expected += GET
    await printed(tmp_path / "out", "text", made.events)
    assert (tmp_path / "out").read_bytes() == expected


@pytest_twisted.ensureDeferred
async def test_appends(tmp_path: Path) -> None:
    for piece in (b"one", b"two"):
        await printed(tmp_path / "out", "text", script(piece).events)
    assert (tmp_path / "out").read_bytes() == b"onetwo"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection.RECEIVED, GET),
        (Selection.SENT, OK),
        (Selection.BOTH, GET + OK),
        (Selection.ALL, GET + OK),
    ],
)
async def test_which_are_printed(selection: Selection, expected: bytes, tmp_path: Path) -> None:
    await printed(tmp_path / "out", "text", http().events, selection)
    assert (tmp_path / "out").read_bytes() == expected


@pytest_twisted.ensureDeferred
async def test_everything_is_printed_that_happened(tmp_path: Path) -> None:
    events = http()
    events.events.insert(1, events.events[0])
    noted = http()
    noted.events.pop()
    noted.note("what there is to say")
    noted.closed(End.RESET, "gone")
    await printed(tmp_path / "out", "json", noted.events, Selection.ALL)
    entries = list(map(json.loads, (tmp_path / "out").read_text().splitlines()))
    assert [entry["kind"] for entry in entries] == [
        "opened",
        "request",
        "response",
        "note",
        "closed",
    ]
    assert entries[3]["text"] == "what there is to say"
    assert (entries[4]["how"], entries[4]["reason"]) == ("reset", "gone")


@pytest_twisted.ensureDeferred
async def test_json_is_an_object_a_line(tmp_path: Path) -> None:
    text = 'line\nline "quoted" \N{SNOWMAN} \x7f\x9b\u202e'.encode()
    await printed(tmp_path / "out", "json", script(text, b"\xff\0", b"").events)
    raw = (tmp_path / "out").read_bytes()
    first, second, third = map(json.loads, raw.splitlines())
    assert datetime.fromisoformat(first.pop("time")).tzinfo is not None
    assert first == {
        "service": "echo",
        "connection": 1,
        "peer": "127.0.0.1:50000",
        "direction": "received",
        "kind": "octets",
        "encoding": "utf-8",
        "data": text.decode(),
    }
    assert (second["encoding"], second["data"]) == ("base64", "/wA=")
    assert "data" not in third
    assert rb"\u007f\u009b\u202e" in raw


@pytest_twisted.ensureDeferred
async def test_times_in_json(tmp_path: Path) -> None:
    events = script(*[b"x"] * 4)
    moments = [0, 10**9 - 1, 10**9, 1_700_000_000_123_456_789]
    timed = [
        event._replace(time=moment)
        for event, moment in zip(events.events[1:], moments, strict=True)
        if isinstance(event, Octets)
    ]
    await printed(tmp_path / "out", "json", [events.events[0], *timed])
    assert [json.loads(line)["time"] for line in (tmp_path / "out").read_text().splitlines()] == [
        "1970-01-01T00:00:00.000+00:00",
        "1970-01-01T00:00:00.999+00:00",
        "1970-01-01T00:00:01.000+00:00",
        "2023-11-14T22:13:20.123+00:00",
    ]


@pytest_twisted.ensureDeferred
async def test_json_of_a_request(tmp_path: Path) -> None:
    """
    Its head is in fields of its own: what the content is makes no difference to it.
    """
    head = b"POST /\xe9?q HTTP/1.1\r\nHost: here\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 2\r\n\r\n"
    head = head.replace(b"\xe9", b"e")
    await printed(tmp_path / "out", "json", script(head + b"\xff\0", service="http").events)
    entry = json.loads((tmp_path / "out").read_text())
    assert (entry["method"], entry["target"], entry["version"]) == ("POST", "/e?q", "HTTP/1.1")
    assert entry["fields"][1:3] == [["X-A", "1"], ["x-a", "2"]]
    assert (entry["encoding"], entry["data"]) == ("base64", "/wA=")


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("content", [b"\xff\0\1" * 10**6, "\N{SNOWMAN}".encode() * 10**6])
async def test_json_of_much(content: bytes, tmp_path: Path) -> None:
    events = script(content, service="print-respond")
    events.halfClosed(Direction.RECEIVED)
    await printed(tmp_path / "out", "json", events.events)
    entry = json.loads((tmp_path / "out").read_text())
    from base64 import b64decode

    data = entry["data"]
    assert (b64decode(data) if entry["encoding"] == "base64" else data.encode()) == content


@pytest_twisted.ensureDeferred
async def test_a_hex_dump(tmp_path: Path) -> None:
    await printed(tmp_path / "out", "hex", script(bytes(range(0x20, 0x42))).events)
    head, *lines = (tmp_path / "out").read_text().splitlines()
    assert head.startswith("# ")
    assert head.endswith(" echo 127.0.0.1:50000 received octets 34 bytes")
    assert lines == [
        "00000000  20 21 22 23 24 25 26 27 28 29 2a 2b 2c 2d 2e 2f  | !\"#$%&'()*+,-./|",
        "00000010  30 31 32 33 34 35 36 37 38 39 3a 3b 3c 3d 3e 3f  |0123456789:;<=>?|",
        "00000020  40 41                                            |@A|",
    ]


@pytest_twisted.ensureDeferred
async def test_a_hex_dump_has_whole_rows(tmp_path: Path) -> None:
    """
    However the octets came.
    """
    events = script(*[b"0123456789"] * 5, service="print-respond")
    events.halfClosed(Direction.RECEIVED)
    await printed(tmp_path / "out", "hex", events.events)
    _, *lines = (tmp_path / "out").read_text().splitlines()
    assert [line[:8] for line in lines] == ["00000000", "00000010", "00000020", "00000030"]
    assert lines[-1].endswith("  |89|")


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("format", sorted(name for name, format in FORMATS.items() if format))
async def test_what_is_wrong_is_printed(format: str, tmp_path: Path) -> None:
    await printed(tmp_path / "out", format, script(b"\x16\x03\x01hello", service="http").events)
    text = (tmp_path / "out").read_bytes()
    assert text
    if format != "text":
        assert b"not HTTP/1" in text


class Terminal:
    """
    A terminal, and what it was given.
    """

    def __init__(self) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._given = b""
        self._reading = Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        # Linux ends what a terminal says by an error.
        with suppress(OSError):
            while piece := os.read(self._master, 2**16):
                self._given += piece

    def read(self) -> bytes:
        os.close(self._slave)
        self._reading.join()
        os.close(self._master)
        return self._given


@pytest_twisted.ensureDeferred
async def test_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Each record begins on a line of its own, with who and when, and controls nothing.
    """
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    pieces = (b"no line end", b"\x1b[2J\xff\x9b\n", "\u202eevil\n".encode(), b"\0" * 3000)
    await printed(terminal.path, "text", script(*pieces).events)
    lines = terminal.read().decode().splitlines()
    assert [line.split(" ", 1)[1] for line in lines[::2][:3]] == [
        "echo 1 127.0.0.1:50000 < octets"
    ] * 3
    assert lines[1::2][:3] == ["no line end", r"\x1b[2J\xff\x9b", r"\u202eevil"]
    assert lines[7] == f"00000000  {' '.join(['00'] * 16)}  |{'.' * 16}|"
    assert lines[-1] == "... 2744 more bytes"


@pytest_twisted.ensureDeferred
async def test_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    await printed(terminal.path, "text", script(b"x").events)
    assert terminal.read().startswith(b"\x1b[36m")


@pytest_twisted.ensureDeferred
async def test_a_reader_that_stalls(tmp_path: Path, logged: list[LogEvent]) -> None:
    """
    It is waited for as long as somebody waits for it; what it gets in the end is everything.
    """
    from twisted.internet import reactor

    assert IReactorFromThreads.providedBy(reactor)
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    stream = PrintedStream(str(path), reactor, maxQueued=10_000)
    stream.show("echo", "text")
    stream.start()
    content = os.urandom(10**6)
    stream.take(script(content).events, len(content))
    assert stream.full
    stopped = stream.stop()
    os.set_blocking(reader, True)
    received = b""

    def read() -> None:
        nonlocal received
        while piece := os.read(reader, 2**16):
            received += piece

    from twisted.internet.threads import deferToThread

    await deferToThread(read)
    await stopped
    os.close(reader)
    assert received == content


@pytest_twisted.ensureDeferred
async def test_a_reader_that_never_goes_on(tmp_path: Path, logged: list[LogEvent]) -> None:
    """
    Whoever does not wait any longer is told what is lost.
    """
    from twisted.internet import reactor

    assert IReactorFromThreads.providedBy(reactor)
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    stream = PrintedStream(str(path), reactor)
    stream.show("echo", "text")
    stream.start()
    stream.take(script(os.urandom(10**6)).events, 10**6)
    stopped = stream.stop()
    stopped.cancel()
    await stopped
    os.close(reader)
    [said] = [event for event in logged if "in time" in (event["log_format"] or "")]
    assert said["octets"] == 10**6


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("format", ["json", "hex"])
async def test_records_are_one_write(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What others write to the same place, as the log to a file that has both, never splits it.
    """
    real = os.write
    path = tmp_path / "out"
    path.touch()
    writes: list[bytes] = []

    def write(descriptor: int, data: bytes) -> int:
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            writes.append(bytes(data))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    await printed(path, format, script(b"some text", b"x" * 1000, bytes(1000)).events)
    [written] = writes
    assert written.endswith(b"\n")
    assert written == path.read_bytes()


@pytest_twisted.ensureDeferred
async def test_long_records_between_short_ones(tmp_path: Path) -> None:
    pieces = [b"a", os.urandom(10**5), b"b", b"c", os.urandom(2**16), os.urandom(10**6), b"d"]
    await printed(tmp_path / "out", "text", script(*pieces).events)
    assert (tmp_path / "out").read_bytes() == b"".join(pieces)


@pytest_twisted.ensureDeferred
async def test_a_full_disk(
    tmp_path: Path, logged: list[LogEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    It is told once; the next record that fits begins on a line of its own.
    """
    real = os.write
    left = [10]
    path = tmp_path / "out"
    path.touch()

    def full(descriptor: int, data: bytes) -> int:
        if not os.path.samestat(os.fstat(descriptor), path.stat()):
            return real(descriptor, data)
        if not left[0]:
            left[0] = -1
        if left[0] < 0:
            left[0] -= 1
            if left[0] > -5:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(descriptor, data)
        taken = real(descriptor, data[: left[0]])
        left[0] -= taken
        return taken

    monkeypatch.setattr(os, "write", full)
    await printed(tmp_path / "out", "json", script(*[b"x"] * 6).events)
    partial, *lines = (tmp_path / "out").read_text().splitlines()
    assert len(partial) == 10
    assert len(lines) >= 2
    assert all(json.loads(line)["data"] == "x" for line in lines)
    told = [event for event in logged if "cannot be printed" in (event["log_format"] or "")]
    assert [event["reason"] for event in told] == ["No space left on device"]
    again = [event for event in logged if "printed to again" in (event["log_format"] or "")]
    assert [event["count"] for event in again] == [6 - len(lines)]


@pytest_twisted.ensureDeferred
async def test_nothing_will_be_seen(logged: list[LogEvent]) -> None:
    await printed(os.devnull, "text", [])
    assert [event for event in logged if "nothing will be seen" in (event["log_format"] or "")]


@pytest.mark.parametrize("format", ["hex", "json"])
@pytest_twisted.ensureDeferred
async def test_no_format_controls_a_terminal(format: str, tmp_path: Path) -> None:
    """
    Not by the name that a client gave its socket, nor by what it sent.
    """
    evil = "\x1b[2J\x9b31m\u202e"
    made = Script()
    made.opened(service="echo", peer=f"/run/{evil}")
    made.received(evil.encode())
    made.received(b"GET /" + evil.encode() + b" HTTP/1.1\r\n\r\n")
    made.closed()
    await printed(tmp_path / "out", format, made.events, Selection.ALL)
    shown = (tmp_path / "out").read_text()
    assert printable(shown) == shown
