"""
Each example runs, and does what it says.
"""

from __future__ import annotations

import re
import shlex
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from tests.interop.peers import PATIENCE, Program, daemonCommand

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


def test_chat(start: Start) -> None:
    [port] = start("chat.tac")
    where, room = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}/rooms/lobby"
    with urlopen(f"{where}/", timeout=PATIENCE) as page:
        assert b"<title>Chat</title>" in page.read()
        cookie = page.headers["set-cookie"].partition(";")[0]
    for origin, cookies, status in (
        (where, {}, 401),
        ("http://other.example", {"Cookie": cookie}, 403),
    ):
        with pytest.raises(InvalidStatus, match=str(status)):
            connect(room, origin=Origin(origin), additional_headers=cookies)

    def join() -> ClientConnection:
        fields = {"Cookie": cookie}
        return connect(
            room,
            origin=Origin(where),
            additional_headers=fields,
            subprotocols=[Subprotocol("chat")],
        )

    said = f"{cookie.partition('=')[2]}: hello"
    with join() as first:
        assert first.subprotocol == "chat"
        first.send("hello")
        assert first.recv(PATIENCE) == said
        with join() as second:
            # From before it came.
            assert second.recv(PATIENCE) == said
            second.send("hello")
            assert first.recv(PATIENCE) == second.recv(PATIENCE) == said
        first.send("x" * 5000)
        with pytest.raises(ConnectionClosedError, match="1009"):
            first.recv(PATIENCE)


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
    (folder / "certificates").mkdir()
    (folder / "certificates" / "one.pem").write_bytes(keyText + certificateText)


def haveIPv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


# What systemd does for a service: sockets that listen, from descriptor 3 on.
ACTIVATE = """
import os, socket, sys
servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
for number, server in enumerate(servers, 3):
    # Not over one that is to be passed on yet.
    spare = os.dup(server.fileno())
    server.close()
    os.dup2(spare, number)
os.environ.update(LISTEN_FDS="2", LISTEN_FDNAMES="first:echo", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[1], sys.argv[1:])
"""

HEADER = b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)

# What each service is sent, and what it says to that.
SERVICES = {
    "netkit-echo": (b"hello", b"hello"),
    "netkit-print-respond": (b"hello", b"response data"),
    "netkit-http": (GET + b"\r\n", b"HTTP/1.1 200 "),
    "netkit-websocket": (GET + UPGRADE + b"\r\n", b"HTTP/1.1 101 "),
}


@contextmanager
def started(arguments: list[str], folder: Path) -> Iterator[list[re.Match[str]]]:
    """
    Run a service as systemd does, and tell where it listens.
    """
    program = Program([sys.executable, "-c", ACTIVATE, *daemonCommand(*arguments)], cwd=folder)
    try:
        listening = re.compile(r" listens on (unix:(\S+)|\S+:(\d+)) \((.*)\)$")
        yield program.waitForLines(listening, arguments.count("-l"))
    finally:
        program.stop()
    assert "Traceback" not in program.output, program.output


def connected(listens: re.Match[str], folder: Path) -> socket.socket:
    """
    Connect as the endpoint wants it: with a PROXY header, with TLS.
    """
    _, path, port, endpoint = listens.groups()
    if path:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE)
        client.connect(f"\0{path[1:]}" if path.startswith("@") else str(folder / path))
    else:
        host = "::1" if "\\:\\:1" in endpoint else "127.0.0.1"
        client = socket.create_connection((host, int(port)), PATIENCE)
    if endpoint.startswith("haproxy:"):
        client.sendall(HEADER)
    if "ssl:" in endpoint or "tls:" in endpoint:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client = context.wrap_socket(client)
    return client


def answers(listens: re.Match[str], sent: bytes, expected: bytes, folder: Path) -> bool:
    """
    Whether a service says what it is to say, on one of the endpoints.
    """
    with connected(listens, folder) as client:
        client.sendall(sent)
        if expected == b"response data":
            if isinstance(client, ssl.SSLSocket):
                # Python's SSLSocket has no half-close for print-respond to see.
                return True
            client.shutdown(socket.SHUT_WR)
        answer = b""
        while len(answer) < len(expected) and (data := client.recv(len(expected))):
            answer += data
    return answer == expected


@pytest.mark.parametrize("command", endpointCommands())
def test_endpoints(command: str, folder: Path, certificate: None) -> None:
    if "interface=\\:\\:1" in command and not haveIPv6():
        pytest.skip("this machine has no IPv6")
    arguments = shlex.split(re.sub(r"tcp:\d+|ssl:\d+", lambda found: found[0][:4] + "0", command))
    with started(arguments, folder) as listening:
        for one in listening:
            assert answers(one, *SERVICES[arguments[0]], folder)


@pytest.mark.parametrize("service", SERVICES)
def test_each_endpoint_with_each_service(service: str, folder: Path, certificate: None) -> None:
    arguments = [service]
    for number, command in enumerate(endpointCommands()):
        for endpoint in re.findall(r"-l (\S+)", command):
            if "interface=\\:\\:1" not in endpoint or haveIPv6():
                # Ports, and names of sockets, that are free.
                free = re.sub(r"(tcp|ssl):\d+", r"\1:0", endpoint.strip("'"))
                arguments += ["-l", re.sub(r"unix:(@?)", rf"unix:\g<1>{service}{number}", free)]
    with started(arguments, folder) as listening:
        for one in listening:
            assert answers(one, *SERVICES[service], folder), one[0]
