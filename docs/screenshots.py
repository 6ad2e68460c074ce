"""
Take the pictures of the inspector that are in C{docs/pictures}, of a real run::

    python -m docs.screenshots [FOLDER]

It starts C{twistd netkit} with an inspector, sends what people send with C{curl}, C{netkit ws} and
C{netkit send}, and looks at that in a Chromium without a window, driven by what
C{npm install --prefix tests/interop} installs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
_SCRIPTS = Path(sys.executable).parent
_READY = re.compile(r"The inspector is at (\S+)")
_LISTENS = re.compile(r" ([\w-]+) listens on 127\.0\.0\.1:(\d+)")
_GZIP = "import gzip,sys; sys.stdout.buffer.write(gzip.compress(sys.stdin.buffer.read()))"
_SERVICES = ("echo", "print-respond", "http", "websocket")


def _curl(*arguments: str, data: bytes = b"") -> None:
    command = ["curl", "--silent", "--output", os.devnull, "--max-time", "5", *arguments]
    subprocess.run(command, input=data, check=False)


def _netkit(*arguments: str, lines: list[str], pause: float = 0.08) -> None:
    command = [str(_SCRIPTS / "netkit"), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as program:
        assert program.stdin is not None
        for line in lines:
            time.sleep(pause)
            program.stdin.write(line.encode())
            program.stdin.flush()
        time.sleep(pause)
        program.stdin.close()
        program.wait(10)


def traffic(ports: dict[str, int]) -> None:
    """
    Send what people send.

    @param ports: where each service listens on 127.0.0.1.
    """
    http = f"http://127.0.0.1:{ports['http']}"
    order = {
        "order": 1204,
        "customer": {"name": "Ada Lovelace", "address": "12 St James's Square, London"},
        "items": [
            {"sku": "difference-engine", "quantity": 1, "price": 17470.00},
            {"sku": "punched-cards", "quantity": 250, "price": 0.04},
        ],
        "express": True,
        "note": None,
    }
    for path in ("/", "/anything/users?page=2", "/status/204", "/status/301", "/bytes/40000"):
        _curl(http + path)
    _netkit(
        "send",
        f"tcp:127.0.0.1:{ports['print-respond']}",
        lines=[
            "EHLO client.example\r\n",
            "MAIL FROM:<ada@example.com>\r\n",
            "RCPT TO:<charles@example.com>\r\n",
        ],
    )
    _curl(
        *("--header", "Content-Type: application/json", "--header", "Authorization: Bearer 8e1f"),
        *(
            "--header",
            "X-Request-Id: 7d1c",
            "--cookie",
            "session=9f86d081",
            "--data",
            json.dumps(order),
        ),
        f"{http}/anything/orders",
    )
    packed = subprocess.run(
        [sys.executable, "-c", _GZIP], input=json.dumps(order).encode() * 3, capture_output=True
    )
    _curl(
        *("--header", "Content-Encoding: gzip", "--header", "Content-Type: application/json"),
        *("--request", "PUT", "--data-binary", "@-", f"{http}/anything/archive"),
        data=packed.stdout,
    )
    _curl("--data", "name=Ada&message=Hello%2C+world", f"{http}/anything/form")
    _curl(f"{http}/status/404")
    _curl(f"{http}/delay/0.3")
    _curl(f"{http}/status/503")
    _netkit(
        "ws",
        f"ws://127.0.0.1:{ports['websocket']}/chat",
        lines=[
            '{"type": "subscribe", "channel": "prices"}\n',
            "hello\n",
            '{"type": "price", "symbol": "ADA", "value": 0.4512}\n',
            "Gr\u00fc\u00dfe aus K\u00f6ln\n",
        ],
    )
    _netkit("send", f"tcp:127.0.0.1:{ports['echo']}", lines=["PING\r\n", "PING again\r\n"])
    _netkit(
        "send",
        f"tcp:127.0.0.1:{ports['http']}",
        lines=["GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"],
    )
    for number in range(9):
        _curl(f"{http}/anything/users/{number}")
    _curl("--request", "DELETE", f"{http}/anything/users/7")


def main(folder: Path) -> None:
    """
    Take them.

    @param folder: where they are written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        ports = [f"--{name}=tcp:0:interface=127.0.0.1" for name in _SERVICES]
        command = [
            *(str(_SCRIPTS / "twistd"), "-n", "--pidfile=", "netkit", "--routes", "--format=none"),
            *(*ports, "--inspect=tcp:0:interface=127.0.0.1"),
        ]
        with subprocess.Popen(command, cwd=work, stdout=subprocess.PIPE, text=True) as services:
            assert services.stdout is not None
            try:
                found: dict[str, int] = {}
                address = None
                while address is None or len(found) < len(_SERVICES):
                    line = services.stdout.readline()
                    if not line:
                        raise SystemExit("the services did not start")
                    listening = _LISTENS.search(line)
                    if listening is not None and listening[1] in _SERVICES:
                        found[listening[1]] = int(listening[2])
                    if ready := _READY.search(line):
                        address = ready[1]
                traffic(found)
                subprocess.run(
                    ["node", str(HERE / "screenshots.mjs"), address, str(folder)], check=True
                )
            finally:
                services.terminate()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "pictures")
