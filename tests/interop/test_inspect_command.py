"""
C{netkit inspect}, and the inspector of all services.
"""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from urllib.request import urlopen

from netkit.wire.recording import (
    Closed,
    Direction,
    End,
    Event,
    Octets,
    Opened,
    RecordingWriter,
    Role,
)
from tests.interop.peers import SCRIPTS, Program, daemonCommand
from tests.interop.peers import run as runToEnd

_AT = re.compile(r"The inspector is at (\S+)")


def test_a_recording(tmp_path: Path) -> None:
    asked = b"GET /recorded HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    at = 10**18
    writer = RecordingWriter("test", "test")
    events: list[Event] = [
        Opened(1, at, Role.SERVER, "http", ("127.0.0.1", 5000), ("127.0.0.1", 80)),
        Octets(1, at, Direction.RECEIVED, asked, len(asked)),
        Octets(1, at, Direction.SENT, answer, len(answer)),
        Closed(1, at, End.DONE),
    ]
    recording = tmp_path / "netkit-1.pcapng"
    recording.write_bytes(b"".join([writer.begin(), *writer.write(events)]))
    program = Program([str(SCRIPTS / "netkit"), "inspect", str(recording)], cwd=tmp_path)
    try:
        (found,) = program.waitForLines(_AT, 1)
        with urlopen(f"{found[1]}api/exchanges") as response:
            (row,) = json.load(response)["exchanges"]
        assert (row["target"], row["status"]) == ("/recorded", 200)
        with urlopen(f"{found[1]}api") as response:
            assert json.load(response)["recording"] == str(recording)
    finally:
        status = program.stop()
    assert status in (128 + signal.SIGTERM, -signal.SIGTERM)


def test_what_is_no_recording(tmp_path: Path) -> None:
    for path, told in ((tmp_path / "none", "does not exist"), (tmp_path, "no recording in it")):
        done = runToEnd([str(SCRIPTS / "netkit"), "inspect", str(path)])
        assert told.encode() in done.errors


def test_two_of_all_services_have_one_each(tmp_path: Path) -> None:
    endpoints = [
        f"--{name}=unix:{tmp_path}/{name}"
        for name in ("echo", "print-respond", "http", "websocket")
    ]
    found = []
    programs = []
    try:
        for folder in ("one", "other"):
            (tmp_path / folder).mkdir()
            its = [each.replace(f"{tmp_path}/", f"{tmp_path}/{folder}/") for each in endpoints]
            programs.append(Program(daemonCommand("netkit", *its), cwd=tmp_path / folder))
            found += programs[-1].waitForLines(_AT, 1)
        one, other = (match[1] for match in found)
        assert one != other
        for url in (one, other):
            with urlopen(f"{url}api") as response:
                assert len(json.load(response)["services"]) == 4
    finally:
        for program in programs:
            program.stop()
