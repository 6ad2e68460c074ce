"""
Programs that know nothing of netkit, on the uvloop reactor.
"""

from __future__ import annotations

import os
import subprocess
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

from tests.interop.peers import requirePeer

INSTALL = "import netkit.reactor; netkit.reactor.install()\n"

Program = Callable[..., int]

SITE = """
import sys
from twisted.internet import endpoints, reactor
from twisted.web import resource, server

class Echo(resource.Resource):
    isLeaf = True
    def render_GET(self, request):
        return b"hello " * 1000
    def render_POST(self, request):
        return request.content.read()

endpoint = endpoints.serverFromString(reactor, "ssl:0:privateKey=" + sys.argv[1])
endpoint.listen(server.Site(Echo())).addCallback(lambda p: print(p.getHost().port, flush=True))
reactor.run()
"""

WEBSOCKETS = """
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet import reactor

class Echo(WebSocketServerProtocol):
    def onMessage(self, payload, isBinary):
        self.sendMessage(payload, isBinary)

factory = WebSocketServerFactory()
factory.protocol = Echo
port = reactor.listenTCP(0, factory, interface="127.0.0.1")
print(port.getHost().port, flush=True)
reactor.run()
"""

ASYNCIO = """
import asyncio
from twisted.internet import reactor, task
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutput
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)

async def conversation(number):
    server = await serve(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with connect(f"ws://127.0.0.1:{port}") as websocket:
        for message in ("first", "second" * 10_000):
            await websocket.send(message)
            assert await websocket.recv() == message
    # Twisted's part of the work, awaited by asyncio's.
    loop = asyncio.get_running_loop()
    output = await getProcessOutput("/bin/echo", [str(number)]).asFuture(loop)
    server.close()
    return output + await deferToThread(lambda: b"thread").asFuture(loop)

async def main(reactor):
    loop = reactor.eventloop
    running = [Deferred.fromFuture(loop.create_task(conversation(n))) for n in range(5)]
    print([await each for each in running], flush=True)

task.react(main)
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """
    Start a program on the uvloop reactor: C{program(source, argument...)} is the port that it
    prints. It is stopped at the end, and has to end cleanly.
    """
    processes: list[subprocess.Popen[str]] = []

    def start(source: str, *arguments: str) -> int:
        process = subprocess.Popen(
            [sys.executable, "-c", INSTALL + source, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout is not None
        return int(process.stdout.readline())

    yield start
    for process in processes:
        process.terminate()
        _, errors = process.communicate(timeout=20)
        assert "Traceback" not in errors
        assert process.returncode == 0


def certificate(path: Path) -> str:
    """
    Write a key and its self-signed certificate to C{path}.
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
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + signed.public_bytes(Encoding.PEM)
    )
    return str(path)


@pytest.mark.parametrize(("option", "version"), [("--http2", "2"), ("--http1.1", "1.1")])
def test_curl_speaks_with_twisted_web_over_tls(
    program: Program, tmp_path: Path, option: str, version: str
) -> None:
    port = program(SITE, certificate(tmp_path / "server.pem"))
    body = tmp_path / "body"
    body.write_bytes(os.urandom(1_000_000))
    curl = ["curl", "--silent", "--show-error", "--insecure", "--max-time", "30", option]
    url = f"https://127.0.0.1:{port}/"
    got = subprocess.run([*curl, "-w", " %{http_version}", url], stdout=-1, check=True).stdout
    assert got == b"hello " * 1000 + b" " + version.encode()
    posted = [*curl, "--header", "Expect:", "--data-binary", f"@{body}", url, url, url]
    got = subprocess.run(posted, stdout=-1, check=True).stdout
    assert got == body.read_bytes() * 3


def test_websockets_speaks_with_autobahn(program: Program) -> None:
    with connect(f"ws://127.0.0.1:{program(WEBSOCKETS)}", compression=None) as websocket:
        for message in ("text", b"binary" * 100_000, "", "text again"):
            websocket.send(message)
            assert websocket.recv(timeout=20) == message
        for number in range(1000):
            websocket.send(f"message {number}")
        for number in range(1000):
            assert websocket.recv(timeout=20) == f"message {number}"


def test_asyncio_library_works_in_a_twisted_program() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", INSTALL + ASYNCIO], capture_output=True, text=True, timeout=60
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    expected = [b"%d\nthread" % number for number in range(5)]
    assert ran.stdout == f"{expected}\n"


@pytest.mark.parametrize(
    ("peer", "suites"),
    [
        (None, ["twisted.mail"]),
        (None, ["twisted.protocols.test.test_tls"]),
        # Of conch's, those with connections and processes: to itself, and to OpenSSH's client.
        ("ssh", [f"twisted.conch.test.test_{name}" for name in ("conch", "filetransfer", "ssh")]),
    ],
)
def test_passes_twisteds_own_suites(tmp_path: Path, peer: str | None, suites: list[str]) -> None:
    if peer is not None:
        requirePeer(peer)
    trial = [sys.executable, "-c", "from twisted.scripts.trial import run; run()"]
    ran = subprocess.run(
        [*trial, "--reactor=uvloop", *suites],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-5000:]


def test_soaks() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "compliance.soak", "6"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
