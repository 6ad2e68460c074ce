"""
Each example runs, and does what it says.
"""

from __future__ import annotations

import re
import shlex
import socket
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from websockets.sync.client import connect

from tests.interop.peers import PATIENCE, Daemon, Program, daemonCommand

EXAMPLES = Path(__file__).parents[2] / "examples"

Start = Callable[[str], list[int]]


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """
    Run a .tac file, on free ports in place of those that it names, and tell which ones.
    """
    programs = []

    def start(name: str) -> list[int]:
        text, count = re.subn(r'"tcp:\d+:', '"tcp:0:', (EXAMPLES / name).read_text())
        (folder / name).write_text(text)
        program = Program(daemonCommand("-y", name), cwd=folder)
        programs.append(program)
        listening = program.waitForLines(re.compile(r"Factory starting on (\d+)$"), count)
        return [int(match[1]) for match in listening]

    yield start
    for program in programs:
        program.stop()
        assert "Traceback" not in program.output, program.output


def send(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as reply:
            return reply.read()


def test_compose(start: Start) -> None:
    echo, respond, http, websocket = start("compose.tac")
    assert send(echo, b"hello") == b"hello"
    with connect(f"ws://127.0.0.1:{websocket}/", proxy=None) as listener:
        assert listener.recv(PATIENCE) == "1 listening"
        assert send(respond, b"by print-respond") == b"told\n"
        assert listener.recv(PATIENCE) == "by print-respond"
        request = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 7\r\n\r\n"
        assert send(http, request + b"by http").endswith(b"\r\n\r\ntold 1\n")
        assert listener.recv(PATIENCE) == "by http"
    assert b"405" in send(http, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


def test_upper(start: Start) -> None:
    [port] = start("upper.tac")
    assert send(port, b"hello " * 100_000) == b"HELLO " * 100_000


def endpointCommands() -> list[str]:
    text = (EXAMPLES / "endpoints.md").read_text()
    return re.findall(r"^    twistd -n (.*)$", text, re.MULTILINE)


@pytest.fixture(scope="module")
def certificate(folder: Path) -> None:
    """
    Make the files that the TLS examples name.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    keyText = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    certificateText = signed.public_bytes(Encoding.PEM)
    (folder / "key.pem").write_bytes(keyText)
    (folder / "cert.pem").write_bytes(certificateText)
    (folder / "server.pem").write_bytes(keyText + certificateText)


def haveIPv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


# What systemd does for a service: a socket that listens, as descriptor 3.
ACTIVATE = """
import os, socket, sys
server = socket.create_server(("127.0.0.1", 0))
os.dup2(server.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_FDNAMES="echo", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize("command", endpointCommands())
def test_endpoints(command: str, folder: Path, certificate: None) -> None:
    if "interface=\\:\\:1" in command and not haveIPv6():
        pytest.skip("this machine has no IPv6")
    arguments = shlex.split(re.sub(r"tcp:\d+|ssl:\d+", lambda found: found[0][:4] + "0", command))
    if "systemd:" in command:
        activate = Program(
            [sys.executable, "-c", ACTIVATE, *daemonCommand(*arguments)], cwd=folder
        )
        try:
            [listening] = activate.waitForLines(re.compile(r" listens on 127\.0\.0\.1:(\d+) \("))
            assert send(int(listening[1]), b"hello") == b"hello"
        finally:
            activate.stop()
        return
    daemon = Daemon(*arguments, cwd=folder)
    for address in daemon.addresses:
        assert address.port != 0
    daemon.stop()
