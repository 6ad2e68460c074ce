"""
Fixtures that every interop test has.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.interop.peers import Address, Daemon


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """
    A folder for sockets, which pytest's own are too long for: a UNIX socket's path has about a
    hundred bytes.
    """
    path = Path(tempfile.mkdtemp(prefix="netkit", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def certificate(folder: Path) -> dict[str, str]:
    """
    The files of a certificate for 127.0.0.1, and of its key.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "netkit's tests")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = {"cert": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
    Path(files["cert"]).write_bytes(made.public_bytes(serialization.Encoding.PEM))
    Path(files["key"]).write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


@pytest.fixture(scope="module")
def tlsEndpoint(certificate: dict[str, str]) -> str:
    """
    A server endpoint string, on any port, with that certificate.
    """
    files = f"privateKey={certificate['key']}:certKey={certificate['cert']}"
    return f"ssl:0:interface=127.0.0.1:{files}"


@pytest.fixture(scope="module")
def serve(folder: Path) -> Iterator[Callable[..., Daemon]]:
    """
    Start services, each on a TCP port and on a UNIX socket: C{serve("netkit-echo", OPTION...)}
    is a L{Daemon}. Each is stopped at the module's end, where each has to end cleanly.
    """
    daemons: list[Daemon] = []

    def start(name: str, *options: str, launcher: str = "twistd") -> Daemon:
        socket = folder / f"{len(daemons)}.sock"
        listen = ["-l", "tcp:0:interface=127.0.0.1", "-l", f"unix:{socket}"]
        daemon = Daemon(name, *listen, *options, cwd=folder, launcher=launcher)
        daemons.append(daemon)
        return daemon

    yield start
    troubles = []
    for daemon in daemons:
        try:
            daemon.stop()
        except Exception as trouble:
            troubles.append(trouble)
    if troubles:
        raise ExceptionGroup("a service did not end cleanly", troubles)


@pytest.fixture(params=["tcp", "unix"])
def transport(request: pytest.FixtureRequest) -> str:
    """
    Run a test over TCP, and over a UNIX socket.
    """
    return str(request.param)


@pytest.fixture
def freePath(folder: Path) -> Iterator[Address]:
    """
    A UNIX address where nothing is yet, for a server that does not remove its socket.
    """
    path = folder / "free.sock"
    yield Address(path=str(path))
    path.unlink(missing_ok=True)
