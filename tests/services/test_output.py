"""
Tests for L{netkit.services.output}.
"""

from __future__ import annotations

import errno
import json
import os
import pty
import threading
import tty
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.address import IPv4Address
from twisted.logger import LogEvent

from netkit.services.errors import CannotStart
from netkit.services.output import PrintedStream

PEER = IPv4Address("TCP", "127.0.0.1", 40000)

# Far beyond what any of it takes.
PATIENCE = 60.0


async def printed(path: Path, format: str, *records: bytes) -> bytes:
    """
    Print records to a file, and read it.
    """
    stream = PrintedStream(str(path))
    printer = stream.printer("echo", format)
    assert printer is not None
    stream.open()
    for record in records:
        printer.received(PEER, record)
    await stream.close(PATIENCE)
    return path.read_bytes()


@pytest_twisted.ensureDeferred
async def test_text_is_the_exact_bytes(tmp_path: Path) -> None:
    records = [os.urandom(length) for length in (0, 1, 100, 2**16 - 1, 2**16, 2**16 + 1, 1)]
    assert await printed(tmp_path / "o", "text", *records) == b"".join(records)


@pytest_twisted.ensureDeferred
async def test_appends(tmp_path: Path) -> None:
    await printed(tmp_path / "o", "text", b"one")
    assert await printed(tmp_path / "o", "text", b"two") == b"onetwo"


@pytest_twisted.ensureDeferred
async def test_json_is_an_object_a_line(tmp_path: Path) -> None:
    lines = await printed(tmp_path / "o", "json", b"line\nline", "\N{SNOWMAN}".encode())
    first, second = map(json.loads, lines.splitlines())
    assert datetime.fromisoformat(first.pop("time")).tzinfo is not None
    assert first == {
        "service": "echo",
        "peer": "127.0.0.1:40000",
        "direction": "received",
        "encoding": "utf-8",
        "data": "line\nline",
    }
    assert second["data"] == "\N{SNOWMAN}"


@pytest_twisted.ensureDeferred
async def test_json_of_what_is_no_utf8(tmp_path: Path) -> None:
    entry = json.loads(await printed(tmp_path / "o", "json", b"\xff\x00"))
    assert (entry["encoding"], entry["data"]) == ("base64", "/wA=")


@pytest_twisted.ensureDeferred
async def test_json_controls_no_terminal(tmp_path: Path) -> None:
    data = "\x7f\x9b2J\u202e".encode()
    line = await printed(tmp_path / "o", "json", data)
    assert rb'"data": "\u007f\u009b2J\u202e"' in line
    assert json.loads(line)["data"].encode() == data


@pytest_twisted.ensureDeferred
async def test_hex(tmp_path: Path) -> None:
    shown = await printed(tmp_path / "o", "hex", b"Hello,\r\nnetkit!\xff.")
    head, *lines = shown.decode().splitlines()
    assert head.endswith(" echo 127.0.0.1:40000 received 17 bytes")
    assert lines == [
        "00000000  48 65 6c 6c 6f 2c 0d 0a 6e 65 74 6b 69 74 21 ff  |Hello,..netkit!.|",
        "00000010  2e                                               |.|",
    ]


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 2**16 - 1, 2**16, 2**16 + 1])
@pytest_twisted.ensureDeferred
async def test_hex_holds_every_octet(length: int, tmp_path: Path) -> None:
    data = os.urandom(length)
    lines = (await printed(tmp_path / "o", "hex", data)).decode().splitlines()[1:]
    assert bytes.fromhex("".join(line[10:57] for line in lines)) == data
    assert [int(line[:8], 16) for line in lines] == list(range(0, len(data), 16))


def test_none_prints_nothing() -> None:
    assert PrintedStream("/no/such/folder/o").printer("echo", "none") is None


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """
    A terminal, as standard output: the end that a person looks at.
    """
    person, program = pty.openpty()
    tty.setraw(program)
    with open(program, "wb", buffering=0, closefd=True) as stdout:
        monkeypatch.setattr("sys.__stdout__", stdout)
        yield person
    os.close(person)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"plain\ttext\n", b"plain\ttext\n"),
        ("\N{SNOWMAN}".encode(), "\N{SNOWMAN}".encode()),
        (b"\xff\xfe", rb"\xff\xfe"),
        (b"\x1b[2J\x07\x7f", rb"\x1b[2J\x07\x7f"),
        ("\x9b2J\u202e".encode(), rb"\x9b2J\u202e"),
        (b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\n\n"),
        (b"over\rwritten", rb"over\x0dwritten"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_on_a_terminal_what_is_no_text_is_escaped(
    data: bytes, shown: bytes, terminal: int
) -> None:
    stream = PrintedStream("-")
    stream.open()
    printer = stream.printer("echo", "text")
    assert printer is not None
    printer.received(PEER, data)
    await stream.close(PATIENCE)
    assert os.read(terminal, 1000) == shown


@pytest_twisted.ensureDeferred
async def test_standard_output_survives_the_close(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    stream = PrintedStream("-")
    stream.open()
    stream.write([b"\xffone"], 4)
    await stream.close(PATIENCE)
    os.write(1, b"two")
    assert capfdbinary.readouterr().out.endswith(b"\xffonetwo")


def test_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match=r"--output '/no/such/o' cannot be .*No such file"):
        PrintedStream("/no/such/o").open()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(CannotStart, match="fifo"):
        PrintedStream(str(fifo)).open()


def test_standard_output_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.__stdout__", None)
    with pytest.raises(CannotStart, match="'-'"):
        PrintedStream("-").open()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
@pytest_twisted.ensureDeferred
async def test_full_disk_is_logged_and_the_service_goes_on(logged: list[LogEvent]) -> None:
    stream = PrintedStream("/dev/full")
    printer = stream.printer("echo", "text")
    assert printer is not None
    stream.open()
    await printer.received(PEER, b"lost")
    await stream.close(PATIENCE)
    (event,) = [event for event in logged if "path" in event]
    assert (event["length"], event["path"]) == (4, "/dev/full")
    assert event["reason"] == os.strerror(errno.ENOSPC)


@pytest_twisted.ensureDeferred
async def test_several_services_share_a_stream(tmp_path: Path) -> None:
    """
    It is open until the last of them has stopped.
    """
    stream = PrintedStream(str(tmp_path / "o"))
    stream.open()
    stream.open()
    await stream.close(PATIENCE)
    await stream.write([b"still there"], 11)
    await stream.close(PATIENCE)
    assert (tmp_path / "o").read_bytes() == b"still there"


@pytest.fixture
def stalled(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """
    The path of a FIFO, and the descriptor by which it can be read.
    """
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reading
    os.close(reading)


@pytest_twisted.ensureDeferred
async def test_what_is_not_taken_in_time_is_logged(
    stalled: tuple[str, int], logged: list[LogEvent]
) -> None:
    path, _ = stalled
    stream = PrintedStream(path)
    stream.open()
    stream.write([bytes(2**20)], 2**20)
    await stream.close(0.1)
    (event,) = [event for event in logged if "path" in event]
    assert (event["path"], event["length"]) == (path, 2**20)


@pytest_twisted.ensureDeferred
async def test_a_stalled_stream_keeps_so_much_and_no_more(
    stalled: tuple[str, int], logged: list[LogEvent]
) -> None:
    path, reading = stalled
    stream = PrintedStream(path, limit=2**20)
    printer = stream.printer("echo", "text")
    assert printer is not None
    stream.open()
    # A record alone may be larger than the limit.
    taken = printer.received(PEER, b"x" * 2**21)
    await printer.received(PEER, b"too much")
    (event,) = [event for event in logged if "path" in event]
    assert (event["length"], event["peer"]) == (8, "127.0.0.1:40000")
    assert "wait to be printed" in event["reason"]
    assert not taken.called
    thread = threading.Thread(target=readExactly, args=(reading, 2**21))
    thread.start()
    await taken
    thread.join()
    await stream.close(PATIENCE)


def readExactly(descriptor: int, length: int) -> None:
    os.set_blocking(descriptor, True)
    while length:
        length -= len(os.read(descriptor, length))
