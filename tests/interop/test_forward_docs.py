"""
What docs/forward.md shows is what one gets.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred

from netkit.localca.authority import Authority, defaultFolder
from netkit.services.forward import Options
from tests.interop.peers import PATIENCE, SCRIPTS, Daemon, eventually, requirePeer, run
from tests.interop.test_capture_docs import same

PAGE = (Path(__file__).parents[2] / "docs" / "forward.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(
    r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
)
SHELL = [text.strip() for language, text in BLOCKS if language == "sh"]
[SESSION] = [text for language, text in BLOCKS if language == "console"]


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[str]:
    """
    The port of the walk's relay, which is free, as its server's is.
    """
    daemons: list[Daemon] = []
    upstream = "8002"
    for command in SHELL:
        free = command.replace("-l tcp:8002", "-l tcp:0").replace("-l tcp:8005", "-l tcp:0")
        _, *arguments = shlex.split(free.replace("127.0.0.1:8002", f"127.0.0.1:{upstream}"))
        daemons.append(Daemon(*arguments[2:], cwd=folder))
        upstream = str(daemons[-1].address("tcp").port)
    yield upstream
    for daemon in daemons:
        daemon.stop()


def test_walk(port: str, folder: Path) -> None:
    requirePeer("curl")
    _, *parts = re.split(r"^\$ ", SESSION, flags=re.MULTILINE)
    for part in parts:
        command, _, output = part.partition("\n")
        done = subprocess.run(
            ["sh", "-c", command.replace("8005", port)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            cwd=folder,
            env={**os.environ, "PATH": f"{SCRIPTS}:{os.environ['PATH']}"},
        )
        assert (done.returncode, done.stderr) == (0, ""), command
        assert same(done.stdout) == same(output), command
        settle(folder)


def settle(folder: Path) -> None:
    """
    Wait until what was recorded is over: a recording is some moments behind.
    """
    show = [str(SCRIPTS / "netkit"), "show", str(folder / "recorded")]
    eventually(lambda: run(show).output, lambda said: bool(said) and b" open" not in said)


@pytest_twisted.ensureDeferred
async def test_application() -> None:
    [example] = [text for language, text in BLOCKS if language == "python"]
    names: dict[str, Any] = {}
    exec(compile(example.replace("tcp:8005", "tcp:0"), "docs/forward.md", "exec"), names)
    port = await names["listen"](reactor)
    await maybeDeferred(port.stopListening)


def test_command_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    Those that want a server which is not there are understood at least.
    """
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    Authority.make(defaultFolder())
    text = " ".join(text for language, text in BLOCKS if not language).replace("\\\n", " ")
    commands = re.findall(r"twistd -n netkit-forward (.*)", text)
    assert len(commands) == 2
    for command in commands:
        options = Options()
        options.parseOptions(shlex.split(command))
        assert len(options["pairs"]) == len(options["to"]) > 0


def test_every_option_is_there() -> None:
    own: list[Any] = [*Options.optParameters, *Options.optFlags]
    assert [name for name, *_ in own if f"--{name}" not in PAGE] == []
