"""
What the README shows is what one gets.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.peers import (
    PATIENCE,
    SCRIPTS,
    Program,
    daemonCommand,
    eventually,
    requirePeer,
    run,
)

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(
    r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL
)

# What differs from one time to the next.
CHANGING = re.compile(
    r'(?<=^date: ).*|(?<="time": ")[^"]*|(?<="connection": )\d+|(?<="peer": ")[^"]*', re.MULTILINE
)

# Where the README's services listen.
PORTS = {"echo": "3200", "print-respond": "3201", "http": "3202", "websocket": "3203"}


@pytest.fixture(scope="module")
def printed(folder: Path) -> Path:
    """
    The file that the services print to, where the README has a terminal.
    """
    return folder / "printed"


@pytest.fixture(scope="module")
def ports(folder: Path, printed: Path) -> Iterator[dict[str, str]]:
    """
    Run all services on free ports; for each port of the README, the one in its place.
    """
    listen = [part for name in PORTS for part in (f"--{name}", "tcp:0:interface=127.0.0.1")]
    listen += ["--without", "inspector"]
    netkit = Program(daemonCommand("netkit", *listen, "--output", str(printed)), cwd=folder)
    try:
        rows = netkit.waitForLines(re.compile(r"^\s+([a-z-]+)\s+127\.0\.0\.1:(\d+)$"), len(PORTS))
        yield {PORTS[row[1]]: row[2] for row in rows}
    finally:
        netkit.stop()


def examples() -> list[tuple[str, str, str]]:
    """
    The console sessions: the command, what it puts out, what the service prints.
    """
    found = []
    following = [*BLOCKS[1:], ("", "")]
    for (language, text), (nextLanguage, nextText) in zip(BLOCKS, following, strict=True):
        if language == "console":
            lines = text.splitlines(keepends=True)
            rest = [line for line in lines if not line.startswith(("$ ", "> "))]
            command = "".join(line[2:] for line in lines if line.startswith(("$ ", "> ")))
            found.append((command, "".join(rest), nextText if nextLanguage == "text" else ""))
    return found


@pytest.mark.parametrize(("command", "output", "shown"), examples())
def test_example(
    command: str, output: str, shown: str, ports: dict[str, str], printed: Path
) -> None:
    requirePeer("bash")
    if command.startswith("curl"):
        requirePeer("curl")

    def localized(text: str) -> str:
        return re.sub("|".join(PORTS.values()), lambda found: ports[found[0]], text)

    start = printed.stat().st_size
    done = subprocess.run(
        ["bash", "-c", localized(command).replace(".venv/bin", shlex.quote(str(SCRIPTS)))],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    # The last line break of a block is the block's, where the program wrote none.
    assert CHANGING.sub("", done.stdout).rstrip("\n") == CHANGING.sub("", output).rstrip("\n")
    wanted = CHANGING.sub("", localized(shown)).rstrip("\n")

    def news() -> str:
        found = printed.read_bytes()[start:].decode().replace("\r\n", "\n")
        return CHANGING.sub("", found).rstrip("\n")

    # A thread prints.
    assert eventually(news, wanted.__eq__) == wanted


def test_command_lines(folder: Path) -> None:
    """
    Each of the command lines is understood, and all can run at once in the same folder.
    """
    commands = re.findall(r"^(twistd -n .*)$", README, re.MULTILINE)
    ports = re.findall(r"tcp:(\d+)", "".join(commands))
    assert len(set(ports)) == len(ports)
    programs = []
    try:
        for command in commands:
            free = re.sub(r"tcp:\d+", "tcp:0:interface=127.0.0.1", command)
            name, *arguments = shlex.split(free)
            programs.append(Program([str(SCRIPTS / name), *arguments], cwd=folder))
        for program in programs:
            program.waitForLines(re.compile(r" listens on "))
    finally:
        for program in programs:
            program.stop()
    assert "Traceback" not in "".join(program.output for program in programs)


def pythonBlock(number: int) -> str:
    return [text for language, text in BLOCKS if language == "python"][number]


def test_application(folder: Path) -> None:
    """
    The .tac file runs.
    """
    text = re.sub(r'"tcp:\d+"', '"tcp:0:interface=127.0.0.1"', pythonBlock(0))
    (folder / "readme.tac").write_text(text)
    program = Program(daemonCommand("-y", "readme.tac"), cwd=folder)
    try:
        program.waitForLines(re.compile(r"Factory starting on \d+$"), 2)
    finally:
        program.stop()
    assert "Traceback" not in program.output


def test_awaited_connection(folder: Path, ports: dict[str, str]) -> None:
    """
    The program speaks with the echo service.
    """
    done = run([sys.executable, "-c", pythonBlock(1).replace("3200", ports["3200"])], cwd=folder)
    assert (done.status, done.output, done.errors) == (0, b"b'hello'\n", b"")


def test_the_two_commands_are_what_ci_runs() -> None:
    commands = re.findall(r"^    (make \w+)$", README, re.MULTILINE)
    assert commands == ["make serve", "make test"]
    ci = (ROOT / ".ci" / "run").read_text()
    for command in commands:
        assert re.search(rf"^(aside \w+ )?([A-Z_]+=\S* )?{command}\b", ci, re.MULTILINE)


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
