"""
L{netkit.websocket} in the place of L{twisted.web.websocket}.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import netkit.websocket

ROOT = Path(__file__).parents[2]


def test_twisteds_own_tests_pass() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "compliance.twistedsuite"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "\nOK\n" in done.stderr
    assert "skipped" not in done.stderr


def test_all_of_twisteds_names_are_there() -> None:
    assert {
        "ConnectionRejected",
        "WebSocketClientEndpoint",
        "WebSocketClientFactory",
        "WebSocketProtocol",
        "WebSocketResource",
        "WebSocketServerFactory",
        "WebSocketTransport",
    } <= set(netkit.websocket.__all__)
    for name in netkit.websocket.__all__:
        assert getattr(netkit.websocket, name) is not None
