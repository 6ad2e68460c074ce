"""
The page of the inspector, in a browser.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.peers import (
    HERE,
    PATIENCE,
    SCRIPTS,
    Program,
    daemonCommand,
    requireNpm,
    requirePeer,
)

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "netkit" / "inspector" / "static"
MODULES = [
    *sorted(STATIC.glob("*.js")),
    ROOT / "benchmarks" / "inspector.mjs",
    ROOT / "docs" / "screenshots.mjs",
]
SERVICES = ("echo", "print-respond", "http", "websocket", "inspector")


@pytest.fixture(scope="module")
def addresses(folder: Path) -> Iterator[dict[str, str]]:
    """
    Start C{netkit} with an inspector; where each service listens.
    """
    listen = [f"--{name}=tcp:0:interface=127.0.0.1" for name in SERVICES[:-1]]
    inspect = "--inspect=tcp:0:interface=127.0.0.1"
    netkit = Program(
        daemonCommand("netkit", "--routes", "--format=none", *listen, inspect), cwd=folder
    )
    try:
        netkit.waitForLines(re.compile("netkit listens:"))
        rows = netkit.waitForLines(
            re.compile(r"^\s*([a-z-]+)\s+(127\.0\.0\.1:\d+)$"), len(SERVICES)
        )
        yield {row[1]: row[2] for row in rows}
    finally:
        netkit.stop()
    assert "Traceback" not in netkit.output


def test_page(addresses: dict[str, str]) -> None:
    """
    What curl, npm's ws, ncat and a browser send appears; each control does what it says, by
    keyboard too; axe finds nothing; nothing hostile runs.
    """
    requirePeer("curl"), requirePeer("ncat"), requireNpm("axe-core")
    node = requireNpm("puppeteer-core")
    names = ("inspector", "http", "websocket", "print-respond")
    told = subprocess.run(
        [node, "inspector.mjs", *(addresses[name] for name in names)],
        cwd=HERE,
        env={
            **os.environ,
            "CHROMIUM": requirePeer("chromium"),
            "NETKIT": str(SCRIPTS / "netkit"),
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE * 4,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    result = json.loads(told.stdout)
    assert result["failed"] == {}
    assert result["troubles"] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_syntax(path: Path) -> None:
    """
    Each module of the page, and of what drives it, is one, and names another only where that is.
    """
    told = subprocess.run(
        [requirePeer("node"), "--input-type=module", "--check"],
        input=path.read_bytes(),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert told.returncode == 0, told.stderr.decode()
    for named in re.findall(r'from "\./([^"]+)"', path.read_text()):
        assert (STATIC / named).is_file(), named
