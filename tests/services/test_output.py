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
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.logger import LogEvent

from netkit.services.errors import CannotStart
from netkit.services.output import FORMATS, Output

PEER = IPv4Address("TCP", "127.0.0.1", 40000)


def printed(path: Path, format: str, *records: bytes) -> bytes:
    """
    Print records to a file, and read it.
    """
    output = Output(str(path), format)
    printer = output.printer("echo")
    assert printer is not None
    output.open()
    for record in records:
        printer.received(PEER, record)
    output.close()
    return path.read_bytes()


@given(records=st.lists(st.binary()))
def test_text_is_the_exact_bytes(
    records: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("output") / "text"
    assert printed(path, "text", *records) == b"".join(records)


def test_appends(tmp_path: Path) -> None:
    printed(tmp_path / "o", "text", b"one")
    assert printed(tmp_path / "o", "text", b"two") == b"onetwo"


def test_json_is_an_object_a_line(tmp_path: Path) -> None:
    lines = printed(tmp_path / "o", "json", b"line\nline", "\N{SNOWMAN}".encode()).splitlines()
    first, second = map(json.loads, lines)
    assert datetime.fromisoformat(first.pop("time")).tzinfo is not None
    assert first == {
        "service": "echo",
        "peer": "127.0.0.1:40000",
        "direction": "received",
        "encoding": "utf-8",
        "data": "line\nline",
    }
    assert second["data"] == "\N{SNOWMAN}"


def test_json_of_what_is_no_utf8(tmp_path: Path) -> None:
    entry = json.loads(printed(tmp_path / "o", "json", b"\xff\x00"))
    assert (entry["encoding"], entry["data"]) == ("base64", "/wA=")


def test_json_controls_no_terminal(tmp_path: Path) -> None:
    data = "\x7f\x9b2J\u202e".encode()
    line = printed(tmp_path / "o", "json", data)
    assert rb'"data": "\u007f\u009b2J\u202e"' in line
    assert json.loads(line)["data"].encode() == data


def test_hex(tmp_path: Path) -> None:
    head, *lines = printed(tmp_path / "o", "hex", b"Hello,\r\nnetkit!\xff.").decode().splitlines()
    assert head.endswith(" echo 127.0.0.1:40000 received 17 bytes")
    assert lines == [
        "00000000  48 65 6c 6c 6f 2c 0d 0a 6e 65 74 6b 69 74 21 ff  |Hello,..netkit!.|",
        "00000010  2e                                               |.|",
    ]


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 2**16 - 1, 2**16, 2**16 + 1])
def test_hex_holds_every_octet(length: int, tmp_path: Path) -> None:
    data = os.urandom(length)
    lines = printed(tmp_path / "o", "hex", data).decode().splitlines()[1:]
    assert bytes.fromhex("".join(line[10:57] for line in lines)) == data
    assert [int(line[:8], 16) for line in lines] == list(range(0, len(data), 16))


def test_none_prints_nothing_and_opens_nothing() -> None:
    output = Output("/no/such/folder/o", "none")
    output.open()
    assert output.printer("echo") is None
    output.close()


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
def test_on_a_terminal_what_is_no_text_is_escaped(
    data: bytes, shown: bytes, terminal: int
) -> None:
    output = Output("-", "text")
    output.open()
    output.write("echo", "peer", data)
    output.close()
    assert os.read(terminal, 1000) == shown


def test_standard_output_survives_the_close(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    output = Output("-", "text")
    output.open()
    output.write("echo", "peer", b"\xffone")
    output.close()
    os.write(1, b"two")
    assert capfdbinary.readouterr().out.endswith(b"two")


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "none"])
def test_cannot_be_opened(format: str, tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match=r"--output '/no/such/o' cannot be .*No such file"):
        Output("/no/such/o", format).open()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(CannotStart, match="fifo"):
        Output(str(fifo), format).open()


def test_standard_output_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.__stdout__", None)
    with pytest.raises(CannotStart, match="'-'"):
        Output("-", "text").open()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
def test_full_disk_is_logged_and_the_service_goes_on(logged: list[LogEvent]) -> None:
    output = Output("/dev/full", "text")
    printer = output.printer("echo")
    assert printer is not None
    output.open()
    printer.received(PEER, b"lost")
    output.close()
    (event,) = [event for event in logged if "path" in event]
    assert (event["length"], event["path"]) == (4, "/dev/full")
    assert event["reason"] == os.strerror(errno.ENOSPC)


def test_a_slow_reader_gets_everything(tmp_path: Path) -> None:
    # The pipe takes less than this at once, and is opened so that it says so.
    fifo, content = tmp_path / "fifo", os.urandom(2**20)
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    output = Output(str(fifo), "text")
    output.open()
    os.set_blocking(reading, True)
    read: list[bytes] = []

    def reader() -> None:
        while piece := os.read(reading, 2**16):
            read.append(piece)

    thread = threading.Thread(target=reader)
    thread.start()
    output.write("echo", "peer", content)
    output.close()
    thread.join()
    os.close(reading)
    assert b"".join(read) == content
