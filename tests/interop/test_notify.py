"""
What systemd is told.
"""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path
from time import monotonic

import pytest

from tests.interop.peers import PATIENCE, SCRIPTS, Program, requirePeer, run

UNIT = Path(__file__).parents[2] / "examples" / "netkit-http.service"


@pytest.mark.parametrize("count", [0, 1])
def test_what_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.settimeout(PATIENCE)
        systemd.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        service = Program(
            [
                *[str(SCRIPTS / "twistd"), "-n", "--pidfile=", "netkit-echo"],
                *["-l", f"unix:{tmp_path}/x.sock", f"--workers={count}"],
            ]
        )

        def told() -> bytes:
            end = monotonic() + PATIENCE
            while (each := systemd.recv(1000)) == b"WATCHDOG=1" and monotonic() < end:
                pass
            return each

        assert told() == b"READY=1"
        assert systemd.recv(1000) == b"WATCHDOG=1"
        os.kill(service.pid, signal.SIGHUP)
        assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", told())
        assert told() == b"READY=1"
        # It lives, whoever serves.
        assert systemd.recv(1000) == b"WATCHDOG=1"
        os.kill(service.pid, signal.SIGTERM)
        assert told() == b"STOPPING=1"
        service.stop()
        assert "Traceback" not in service.output


def test_the_unit_file(tmp_path: Path) -> None:
    analyze = requirePeer("systemd-analyze")
    unit = UNIT.read_text()
    # Where netkit is installed is for the operator to say.
    unit = unit.replace("/opt/netkit/bin/twistd", str(SCRIPTS / "twistd"))
    (tmp_path / UNIT.name).write_text(unit)
    (tmp_path / "netkit-http.socket").write_text(UNIT.with_suffix(".socket").read_text())
    done = run([analyze, "verify", "--man=no", str(tmp_path / UNIT.name)])
    mine = [line for line in done.errors.decode().splitlines() if "netkit" in line]
    assert (done.status, mine) == (0, []), done


def test_workers_on_a_socket_of_systemds(tmp_path: Path) -> None:
    activate, curl = requirePeer("systemd-socket-activate"), requirePeer("curl")
    service = Program(
        [
            *[activate, "-l", str(tmp_path / "x.sock"), str(SCRIPTS / "twistd"), "-n"],
            *["--pidfile=", "netkit-http", "-l", "systemd:domain=UNIX:index=0", "--workers=1"],
        ],
        cwd=tmp_path,
    )
    service.waitForLines(re.compile("Listening on"))
    asked = [curl, "-sS", "--unix-socket", str(tmp_path / "x.sock"), "http://x/"]
    assert run(asked).output == b"response data"
    os.kill(service.pid, signal.SIGHUP)
    service.waitForLines(re.compile("The fresh workers serve"))
    assert run(asked).output == b"response data"
    service.stop()
    assert "Traceback" not in service.output
