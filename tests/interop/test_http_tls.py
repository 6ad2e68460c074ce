"""
The http service under TLS, and behind the PROXY protocol.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.interop.peers import Daemon, Finished, requirePeer, run


def writeCertificate(path: Path, name: str) -> None:
    """
    Write a key, and a certificate that it signed for a name, into one file.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )


@pytest.fixture
def listening(folder: Path) -> Iterator[Callable[[str], int]]:
    """
    Start the service on an endpoint; the TCP port it got.
    """
    daemons = []

    def listen(endpoint: str) -> int:
        daemon = Daemon("netkit-http", "--routes", "--format=none", "-l", endpoint, cwd=folder)
        daemons.append(daemon)
        port = daemon.addresses[0].port
        assert port is not None
        return port

    yield listen
    for daemon in daemons:
        daemon.stop()


def curl(port: int, name: str, certificate: Path, *arguments: str) -> Finished:
    """
    Run curl for a name that is on this machine, with a certificate that it trusts.
    """
    options = ["-sS", "--verbose", "--cacert", str(certificate), "--max-time", "60"]
    place = ["--resolve", f"{name}:{port}:127.0.0.1"]
    origin = f"https://{name}:{port}"
    urls = [origin + each if each.startswith("/") else each for each in arguments]
    return run([requirePeer("curl"), *options, *place, *urls])


def test_tls(folder: Path, listening: Callable[[str], int]) -> None:
    """
    ALPN agrees on http/1.1, though curl offers HTTP/2 first; the connection is kept, large
    content goes both ways.
    """
    certificate = folder / "ssl.pem"
    writeCertificate(certificate, "one.example")
    port = listening(f"ssl:0:privateKey={certificate}:certKey={certificate}:interface=127.0.0.1")
    done = curl(port, "one.example", certificate, "--http2", "/anything", "/bytes/3000000")
    assert done.status == 0, done.errors
    assert b"ALPN: server accepted http/1.1" in done.errors
    assert b"* Re-using existing connection" in done.errors
    assert (bytes(range(256)) * 12000)[:3000000] in done.output
    (folder / "content").write_bytes(b"x" * 3000000)
    upload = ["/anything", "--data-binary", f"@{folder / 'content'}"]
    done = curl(port, "one.example", certificate, *upload)
    assert json.loads(done.output)["content"] == "x" * 3000000


def test_an_error_reaches_a_client_under_tls(
    folder: Path, listening: Callable[[str], int]
) -> None:
    certificate = folder / "ssl.pem"
    writeCertificate(certificate, "one.example")
    port = listening(f"ssl:0:privateKey={certificate}:certKey={certificate}:interface=127.0.0.1")
    done = curl(port, "one.example", certificate, "/", "--include", "-H", "Host: a b")
    assert done.output.startswith(b"HTTP/1.1 400 ")


def test_tls_from_a_folder_of_certificates(folder: Path, listening: Callable[[str], int]) -> None:
    certificates = folder / "certificates"
    certificates.mkdir()
    writeCertificate(certificates / "one.pem", "one.example")
    port = listening(f"tls:{certificates}:0:interface=127.0.0.1")
    done = curl(port, "one.example", certificates / "one.pem", "/")
    assert (done.status, done.output) == (0, b"response data"), done.errors
    assert b"ALPN: server accepted http/1.1" in done.errors


@pytest.mark.parametrize(
    ("header", "peer"),
    [
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n", "192.0.2.1:1234"),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 1234 80\r\n", "[2001:db8::1]:1234"),
    ],
)
def test_behind_the_proxy_protocol_the_peer_is_the_client(
    listening: Callable[[str], int], header: bytes, peer: str
) -> None:
    port = listening("haproxy:tcp:0:interface=127.0.0.1")
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        request = b"GET /anything HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        connection.sendall(header + request)
        answer = b""
        while data := connection.recv(2**16):
            answer += data
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["peer"] == peer


def test_curl_as_a_proxy(listening: Callable[[str], int]) -> None:
    port = listening("haproxy:tcp:0:interface=127.0.0.1")
    url = f"http://127.0.0.1:{port}/anything"
    done = run([requirePeer("curl"), "-sS", "--haproxy-protocol", url, url])
    assert done.status == 0, done.errors
    assert done.output.count(b'"peer": "127.0.0.1:') == 2
