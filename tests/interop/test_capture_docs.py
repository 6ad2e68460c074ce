"""
What docs/capture.md shows is what one gets.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from netkit.capture.reading import Recordings
from netkit.wire.recording import Closed, Opened
from tests.interop.peers import PATIENCE, SCRIPTS, Daemon, Program, eventually, requirePeer
from tests.interop.peers import run as runToEnd

PAGE = (Path(__file__).parents[2] / "docs" / "capture.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(
    r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
)
SHELL = [text.strip() for language, text in BLOCKS if language == "sh"]
SESSIONS = "".join(text for language, text in BLOCKS if language == "console")

# What differs from one time to the next: times, the ports of clients, and the length of our own.
CHANGING = re.compile(
    r'(?<=^date: ).*|(?<="time": ")[^"]*|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}'
    r"|(?<=127\.0\.0\.1:)\d+|\d+ B (?=in)|\d+\.\d{3}(?= s )",
    re.MULTILINE,
)


def same(text: str) -> str:
    return CHANGING.sub("", text.replace("\r\n", "\n")).rstrip("\n")


@pytest.fixture(scope="module")
def http(folder: Path) -> Iterator[Daemon]:
    """
    The service of the walk, on a free port.
    """
    _, *arguments = shlex.split(SHELL[0].replace("tcp:8002", "tcp:0"))
    service = Daemon(*arguments[2:], cwd=folder)
    yield service
    service.stop()


def sessions() -> list[tuple[str, str]]:
    """
    The commands, and what each puts out.
    """
    _, *parts = re.split(r"^\$ ", SESSIONS, flags=re.MULTILINE)
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


def test_walk(http: Daemon, folder: Path) -> None:
    """
    Each command says what the page says, one after the other.
    """
    for peer in ("bash", "curl", "python3"):
        requirePeer(peer)
    port = str(http.address("tcp").port)
    path = f"{SCRIPTS}:{os.environ['PATH']}"
    for command, output in sessions():
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command.replace("8002", port)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            cwd=folder,
            env={**os.environ, "PATH": path},
        )
        assert (done.returncode, done.stderr) == (0, ""), command
        assert same(done.stdout) == same(output), command
        if re.search(r"curl|netkit (send|replay)", command):
            # A recording is some moments behind.
            _settle(folder)


def _settle(folder: Path) -> None:
    """
    Wait until each connection that was recorded is over there.
    """

    def ends() -> list[type]:
        with Recordings(folder / "recorded", follow=True) as recordings:
            return [type(each) for each in recordings.read() if isinstance(each, Opened | Closed)]

    ended = eventually(ends, lambda found: 0 < found.count(Opened) == found.count(Closed))
    assert ended.count(Opened) == ended.count(Closed)


def test_live(http: Daemon, folder: Path) -> None:
    """
    What Wireshark is given is what tshark, which reads the same, can read.
    """
    shown, wireshark = SHELL[1].split(" | ")
    assert wireshark == "wireshark -k -i -"
    command = shlex.split(shown)
    command[0] = str(SCRIPTS / command[0])
    show = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=folder)
    tshark = subprocess.Popen(
        [requirePeer("tshark"), "-l", "-i", "-", "-c", "1"],
        stdin=show.stdout,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        runToEnd([str(SCRIPTS / "netkit"), "send", http.address("tcp").client], b"x")
        assert b"127.0.0.1" in tshark.communicate(timeout=PATIENCE)[0]
    finally:
        show.kill()
        show.communicate()


def test_any_program(folder: Path) -> None:
    (folder / "index.html").write_text("<p>hello")
    serving = shlex.split(SHELL[2].replace("8080", "0"))
    program = Program([str(SCRIPTS / serving[0]), *serving[1:]], cwd=folder)
    try:
        [found] = program.waitForLines(re.compile(r"Site starting on (\d+)"))
        sending = shlex.split(SHELL[3].partition(" | ")[2].replace(r"\:7:", rf"\:{found[1]}:"))
        sending[0] = str(SCRIPTS / sending[0])
        request = b"GET / HTTP/1.0\r\n\r\n"
        assert runToEnd(sending, request, cwd=folder).output.endswith(b"<p>hello")
    finally:
        program.stop()
    for recorded in ("web", "sent"):
        shown = runToEnd([str(SCRIPTS / "netkit"), "show", str(folder / recorded)]).output
        assert b"GET /" in shown


@pytest_twisted.ensureDeferred
async def test_application(capsys: pytest.CaptureFixture[str]) -> None:
    [example] = [text for language, text in BLOCKS if language == "python"]
    names: dict[str, Any] = {}
    exec(compile(example.replace("tcp:8003", "tcp:0"), "docs/capture.md", "exec"), names)
    port = await names["listen"](reactor)

    def ask() -> bytes:
        with socket.create_connection(("127.0.0.1", port.getHost().port)) as client:
            client.sendall(b"GET /there HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b""
            while piece := client.recv(1000):
                answer += piece
            return answer

    assert (await deferToThread(ask)).startswith(b"HTTP/1.1 204 ")
    await port.stopListening()
    # Events are handed on some moments after they happened.
    while not (said := capsys.readouterr().out):
        await deferLater(reactor, 0.01)
    assert said == "GET /there\n"
