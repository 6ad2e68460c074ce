"""
What docs/inspector.md has one type works.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.peers import Daemon, requirePeer

PAGE = (Path(__file__).parents[2] / "docs" / "inspector.md").read_text()
COMMANDS = re.findall(r"^curl .*$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    """
    Those of an HTTP service and of its inspector.
    """
    local = "tcp:0:interface=127.0.0.1"
    arguments = ("netkit-http", "-l", local, "--inspect", local, "--format=none")
    service = Daemon(*arguments, cwd=tmp_path_factory.mktemp("inspected"), listening=2)
    yield [address.port for address in service.addresses if address.port is not None]
    service.stop()


def run(command: str, port: int) -> str:
    arguments = shlex.split(command.replace(":3210/", f":{port}/"))
    done = subprocess.run([*arguments, "-f"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def test_commands(ports: list[int]) -> None:
    requirePeer("curl")
    http, inspector = ports
    run(f"curl -s -H 'Cookie: a=private' -d sent http://127.0.0.1:{http}/x", inspector)
    assert len(COMMANDS) > 10
    shown = {command: run(command, inspector) for command in COMMANDS}
    assert "a=private" not in shown[COMMANDS[4]]
    assert shown[COMMANDS[4]].endswith("\n\nsent")
    assert shown[COMMANDS[5]] == "response data"
    assert "a=private" in shown[COMMANDS[7]]
    (again,) = [json.loads(shown[each]) for each in COMMANDS if each.endswith("/send")][:1]
    assert again["to"] == f"tcp:127.0.0.1:{http}"
    (changed,) = [json.loads(shown[each]) for each in COMMANDS if "-X PUT" in each]
    assert changed["status"] == 503
    listed = json.loads(run("curl -s http://127.0.0.1:3210/api/exchanges", inspector))
    assert {row["again"] for row in listed["exchanges"]} == {None, "1.0"}


def test_every_path_is_told_of() -> None:
    told = set(re.findall(r"/api/[a-z]+", PAGE))
    assert {"/api/exchanges", "/api/send", "/api/export", "/api/feed", "/api/stats"} <= told
