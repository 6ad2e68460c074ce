"""
Each example runs, and does what it says.
"""

from __future__ import annotations

import re
import shlex
import socket
import ssl
import subprocess
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

from tests.interop.browser import browse
from tests.interop.peers import PATIENCE, Program, daemonCommand, requirePeer

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


PAGE = """
const origin = "ORIGIN";
const news = new EventSource(origin + "/news");
await new Promise((resolve) => news.onopen = resolve);
const told = new Promise((resolve) => news.addEventListener("pet", resolve));
const form = new FormData();
form.append("name", "Caf\\u00e9");
form.append("kind", "cat");
form.append("photo", new Blob([new Uint8Array(100000)]), "caf\\u00e9.png");
const pet = await fetch(origin + "/pets", { method: "POST", body: form });
const { data } = await told;
const changed = await fetch(pet.url, { method: "PUT", body: JSON.stringify({ kind: "dog" }) });
const name = new URL(pet.url).pathname.split("/")[2];
const photo = await fetch(`${origin}/files/${name}.png`, { headers: { Range: "bytes=-10" } });
report([data, await pet.json(), await changed.json(), photo.status, await photo.text()]);
"""


def test_rest(start: Start, folder: Path, tmp_path: Path) -> None:
    [port] = start("rest.tac")
    where = f"http://127.0.0.1:{port}"
    requirePeer("curl")

    def curl(path: str, *arguments: str) -> str:
        command = ["curl", "-sS", "--max-time", str(PATIENCE), *arguments, where + path]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode()

    assert curl("/pets") == '[{"name":"Tom","kind":"cat"}]'
    assert "\naccess-control-allow-origin: *" in curl("/pets", "-i", "-H", "Origin: http://a.b")
    assert curl("/pets/7", "-o", "/dev/null", "-w", "%{http_code}") == "404"
    changes = '{"name": "Tim"}'
    assert curl("/pets/1", "-X", "PUT", "--json", changes) == '{"name":"Tim","kind":"cat"}'
    assert curl("/pets/1", "--json", "[]", "-X", "PUT") == "an object is wanted\n"
    # The cookie jar, and what is told of it.
    jar = str(tmp_path / "jar")
    curl("/pets/1", "-c", jar)
    assert "Set-Cookie: seen=.1.1;" in curl("/pets/1", "-b", jar, "-i")
    # A form, with its file.
    photo = tmp_path / "photo.png"
    photo.write_bytes(bytes(range(256)) * 1000)
    fields = ["-F", "name=Ann", "-F", "kind=dog", "-F", f"photo=@{photo}"]
    assert curl("/pets", "-L", *fields) == '{"name":"Ann","kind":"dog"}'
    assert (folder / "files" / "2.png").read_bytes() == photo.read_bytes()
    assert curl("/pets", "-F", "name=Ann") == "a value is missing: 'kind'\n"
    # A stream, which curl decompresses.
    assert curl("/pets.csv") == "1,Tim,cat\r\n2,Ann,dog\r\n"
    assert "content-encoding: gzip" in curl("/pets.csv", "-I", "-X", "GET", "--compressed")
    assert curl("/pets.csv", "--compressed") == curl("/pets.csv")
    # Uploads, for those who may, up to a size.
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(20 * 2**20)
    upload = ["-D", "-", "--data-binary", f"@{large}"]
    assert "401" in curl("/files", *upload)
    reply = curl("/files", *upload, "-u", "ann:secret")
    location = re.search(r"location: (\S+)", reply, re.IGNORECASE)
    assert location is not None, reply
    with large.open("wb") as file:
        file.truncate(501 * 2**20)
    assert "413" in curl("/files", *upload, "-u", "ann:secret", "-H", "Expect: 100-continue")
    # Of a file: parts, and whether it is another one.
    size = ["-o", "/dev/null", "-w", "%{http_code} %{size_download}"]
    assert curl(location[1], *size) == f"200 {20 * 2**20}"
    assert curl(location[1], *size, "-r", "5-14") == "206 10"
    tags = str(tmp_path / "tags")
    curl(location[1], "--etag-save", tags, "-o", "/dev/null")
    assert curl(location[1], *size, "--etag-compare", tags) == "304 0"
    # Nothing was left of what was refused.
    assert len(list((folder / "files").iterdir())) == 2
    pet = {"name": "Caf\xe9", "kind": "cat"}
    told = browse(PAGE.replace("ORIGIN", where), tmp_path / "profile")
    assert told == ["Caf\xe9", pet, pet | {"kind": "dog"}, 206, "\0" * 10]


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


def onFreePorts(command: str) -> str:
    """
    Have services listen on ports that nobody else has, in tests that run side by side.
    """
    return re.sub(r"(tcp:|ssl:|tls:certificates:)\d+", r"\g<1>0", command)


@pytest.mark.parametrize("command", endpointCommands())
def test_endpoints(command: str, folder: Path, certificate: None) -> None:
    if "interface=\\:\\:1" in command and not haveIPv6():
        pytest.skip("this machine has no IPv6")
    arguments = shlex.split(onFreePorts(command))
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
                free = onFreePorts(endpoint.strip("'"))
                arguments += ["-l", re.sub(r"unix:(@?)", rf"unix:\g<1>{service}{number}", free)]
    with started(arguments, folder) as listening:
        for one in listening:
            assert answers(one, *SERVICES[service], folder), one[0]
