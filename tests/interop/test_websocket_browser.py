"""
The websocket service, and more clients that nobody here wrote: a browser, curl, Autobahn|Python;
over TCP, TLS, and UNIX sockets where they can.
"""

from __future__ import annotations

import base64
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.interop.browser import browse
from tests.interop.peers import HERE, Daemon, requireModule, requirePeer, run

SCRIPT = """
const socket = new WebSocket("ORIGIN/chat", ["none", "two"]);
socket.binaryType = "arraybuffer";
const next = (event) => new Promise((resolve) => {
    socket.addEventListener(event, resolve, { once: true });
});
socket.addEventListener("error", () => report({ error: "no connection" }));
await next("open");
const echoed = [];
for (const message of ["", "zwölf € 🚀", "x".repeat(70000)]) {
    socket.send(message);
    echoed.push((await next("message")).data === message);
}
const bytes = new Uint8Array(2 ** 19).map((_, i) => i * i);
socket.send(bytes);
const back = new Uint8Array((await next("message")).data);
echoed.push(back.length === bytes.length && back.every((octet, i) => octet === bytes[i]));
socket.close(4711, "enough");
const { code, wasClean } = await next("close");
const { protocol, extensions } = socket;
report({ echoed, code, wasClean, protocol, extensions });
"""


@pytest.fixture(scope="module")
def websocket(serve: Callable[..., Daemon], tlsEndpoint: str) -> Daemon:
    """
    The service under C{twistd}.
    """
    return serve(
        *("netkit-websocket", "--path", "/chat", "--subprotocol", "two", "--format", "none"),
        *("-l", tlsEndpoint),
    )


def keyHash(certificate: str) -> str:
    """
    What Chromium knows a certificate by that it is to trust.
    """
    key = x509.load_pem_x509_certificate(Path(certificate).read_bytes()).public_key()
    octets = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(octets).digest()).decode()


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_chromium(
    websocket: Daemon, transport: str, tmp_path: Path, certificate: dict[str, str]
) -> None:
    """
    A page in a browser has messages of every kind echoed, compressed, and closes.
    """
    report = browse(
        SCRIPT.replace("ORIGIN", websocket.address(transport).origin("ws")),
        tmp_path,
        f"--ignore-certificate-errors-spki-list={keyHash(certificate['cert'])}",
    )
    assert report == {
        "echoed": [True] * 4,
        "code": 4711,
        "wasClean": True,
        "protocol": "two",
        "extensions": report["extensions"],
    }
    assert report["extensions"].startswith("permessage-deflate")


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_autobahn(websocket: Daemon, transport: str, certificate: dict[str, str]) -> None:
    """
    Autobahn|Python has messages of every kind echoed, compressed, and closes with its code.
    """
    requireModule("autobahn")
    url = websocket.address(transport).origin("ws") + "/chat"
    peer = [sys.executable, str(HERE / "autobahn_peer.py")]
    done = run([*peer, "client", url, certificate["cert"]])
    assert (done.status, done.output.split()) == (
        0,
        [b"True", b"4711", b"0", b"permessage-deflate"],
    ), done.errors.decode()


@pytest.mark.parametrize("transport", ["tcp", "unix", "tls"])
@pytest.mark.parametrize(
    ("version", "answer"),
    [
        ("13", [b"HTTP/1.1 101 Switching Protocols", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]),
        ("8", [b"HTTP/1.1 426 Upgrade Required", b"Sec-WebSocket-Version: 13"]),
    ],
)
def test_curl(websocket: Daemon, transport: str, version: str, answer: list[bytes]) -> None:
    """
    curl sees the opening handshake.
    """
    curl = requirePeer("curl")
    address = websocket.address(transport)
    where = ["--unix-socket", address.path] if address.path else []
    if address.certificate:
        where = ["--cacert", address.certificate]
    fields = (
        *("Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Version: {version}"),
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    headers = [argument for field in fields for argument in ("--header", field)]
    url = address.origin("http") + "/chat"
    # Nothing ends what follows on a connection that is open.
    done = run([curl, "--silent", "--include", "--max-time", "1", *headers, *where, url])
    assert done.status == (28 if version == "13" else 0)
    for line in answer:
        assert line in done.output
