"""
Tests for L{netkit.tls.contexts} and L{netkit.tls.certificates}.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from netkit.tls import (
    CertificateFiles,
    CertificateFolder,
    Certificates,
    ClientContext,
    ServerContexts,
)
from netkit.tls.connection import StandardConnection
from tests.certificates import Authority
from tests.tls.peer import clientContext

VERSIONS = pytest.mark.parametrize(
    "version",
    [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3],
    ids=lambda value: value.name,
)


def serve(files: CertificateFiles | CertificateFolder, **options: Any) -> ServerContexts:
    return ServerContexts(Certificates(files), Clock(), **options)


def one(pem: Path) -> CertificateFiles:
    return CertificateFiles(pem, pem)


def shake(client: Any, server: Any, turns: int = 4) -> tuple[Any, Any]:
    """
    Have both sides agree, and the client hear what comes behind.
    """
    for _ in range(turns):
        for side, other in ((client, server), (server, client)):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
            said = side.outgoing.read()
            if isinstance(other, StandardConnection):
                other.greet(said)
            else:
                other.incoming.write(said)
    return client, server


def agree(
    contexts: ServerContexts, context: ssl.SSLContext | None = None, name: str | None = None
) -> tuple[StandardConnection, StandardConnection]:
    context = context or clientContext()
    context.sslobject_class = StandardConnection
    client = StandardConnection.make(context, serverName=name)
    pair: tuple[StandardConnection, StandardConnection] = shake(client, contexts.connection(None))
    return pair


def shown(client: StandardConnection) -> str:
    certificate = client.get_peer_certificate()
    assert certificate is not None
    [name] = certificate.to_cryptography().subject
    return str(name.value)


# SNI.


@pytest.fixture
def folder(authority: Authority, tmp_path: Path) -> Path:
    """
    Keys and certificates of several hosts, in two folders.
    """
    (tmp_path / "more").mkdir()
    for place, name in (("a", "a.example"), ("b", "*.b.example"), ("more/c", "c.example")):
        (tmp_path / f"{place}.pem").write_bytes(authority.issue(name).read_bytes())
    (tmp_path / "ca.pem").write_bytes(authority.path.read_bytes())
    (tmp_path / "README").write_text("not in PEM")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.example", "a.example"),
        ("A.Example", "a.example"),
        ("c.example", "c.example"),
        ("x.b.example", "*.b.example"),
        ("x.y.b.example", "a.example"),
        ("unknown.example", "a.example"),
        (None, "a.example"),
    ],
)
@VERSIONS
def test_the_certificate_of_the_host_that_is_asked_for(
    folder: Path, name: str | None, expected: str, version: ssl.TLSVersion
) -> None:
    client, server = agree(
        serve(CertificateFolder(folder)), clientContext(maximum_version=version), name
    )
    assert shown(client) == expected
    assert server.get_servername() == (None if name is None else name.encode())
    assert client.get_protocol_version_name() == version.name.replace("_", ".")
    assert client.get_cipher_name()


def test_the_chain_is_shown(folder: Path, authority: Authority) -> None:
    context = clientContext(verify_mode=ssl.CERT_REQUIRED)
    context.load_verify_locations(authority.path)
    agree(serve(CertificateFolder(folder)), context, "a.example")


# ALPN.


@pytest.mark.parametrize(
    ("ours", "offered", "agreed"),
    [
        ([b"h2", b"http/1.1"], ["http/1.1", "h2"], b"h2"),
        ([b"http/1.1"], ["h2", "http/1.1"], b"http/1.1"),
        ([b"http/1.1"], [], b""),
        ([], ["h2"], b""),
    ],
)
def test_alpn(pem: Path, ours: Sequence[bytes], offered: list[str], agreed: bytes) -> None:
    context = clientContext()
    if offered:
        context.set_alpn_protocols(offered)
    client, server = agree(serve(one(pem), protocols=ours), context)
    assert client.get_alpn_proto_negotiated() == server.get_alpn_proto_negotiated() == agreed


def test_no_protocol_in_common(pem: Path) -> None:
    context = clientContext()
    context.sslobject_class = StandardConnection
    context.set_alpn_protocols(["h2"])
    client = StandardConnection.make(context)
    server = serve(one(pem), protocols=[b"http/1.1"]).connection(None)
    with pytest.raises(ssl.SSLError, match=r"(?i)callback failed"):
        shake(client, server, 1)
    assert server.refusal == "no application protocol that both sides take"
    client.incoming.write(server.outgoing.read())
    with pytest.raises(ssl.SSLError, match=r"(?i)no application protocol"):
        client.do_handshake()


# Clients' certificates.


def test_a_client_shows_its_certificate(pem: Path, authority: Authority) -> None:
    context = clientContext()
    context.load_cert_chain(authority.issue("client.example"))
    _, server = agree(serve(one(pem), clientAuthorities=authority.path), context)
    assert shown(server) == "client.example"


def test_a_client_without_certificate(pem: Path, authority: Authority) -> None:
    with pytest.raises(ssl.SSLError, match="peer did not return a certificate"):
        agree(serve(one(pem), clientAuthorities=authority.path))


# Sessions.


def heard(client: Any, server: Any) -> None:
    """
    Have the client hear what the server sends behind the handshake: tickets.
    """
    server.write(b"x")
    client.incoming.write(server.outgoing.read())
    assert client.read(9) == b"x"


@VERSIONS
def test_a_session_is_resumed(pem: Path, version: ssl.TLSVersion) -> None:
    contexts = serve(one(pem), protocols=[b"http/1.1"])
    context = clientContext(maximum_version=version, sslobject_class=StandardConnection)
    client, server = shake(StandardConnection.make(context), contexts.connection(None))
    heard(client, server)
    assert (client.session_reused, server.session_reused) == (False, False)
    again = StandardConnection.make(context, session=client.session)
    client, server = shake(again, contexts.connection(None))
    assert (client.session_reused, server.session_reused) == (True, True)


def test_a_ticket(pem: Path) -> None:
    client, _ = agree(serve(one(pem)))
    octets = client.incoming.read()
    assert len(octets) == 5 + int.from_bytes(octets[3:5])


def test_a_client_resumes(pem: Path, authority: Authority) -> None:
    contexts = serve(one(pem))
    client = ClientContext("localhost", authorities=[authority.path])
    reused = []
    for _ in range(3):
        connection, server = shake(client.connection(None), contexts.connection(None))
        heard(connection, server)
        reused.append(server.session_reused)
        client.ended(connection)
    assert reused == [False, True, True]


# The client.


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("localhost", {}, "certificate verify failed"),
        ("example.org", {"authorities": True}, "Hostname mismatch"),
        ("127.0.0.1", {"authorities": True}, "IP address mismatch"),
    ],
)
def test_whom_a_client_does_not_believe(
    pem: Path, authority: Authority, name: str, options: dict[str, Any], told: str
) -> None:
    if options:
        options = {"authorities": [authority.path]}
    client = ClientContext(name, **options)
    with pytest.raises(ssl.SSLCertVerificationError, match=told):
        shake(client.connection(None), serve(one(pem)).connection(None))


def test_whom_a_client_believes(pem: Path, authority: Authority, tmp_path: Path) -> None:
    contexts = serve(one(pem), clientAuthorities=authority.path)
    identity = one(authority.issue("client.example"))
    for options in (
        {"authorities": [authority.path]},
        {"authorities": [pem]},
        {"verify": False},
    ):
        client = ClientContext("localhost", identity=identity, **options)
        client.offer([b"x"])
        _, server = shake(client.connection(None), contexts.connection(None))
        assert shown(server) == "client.example"


def test_old_versions_are_refused(pem: Path) -> None:
    context = clientContext()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="unsupported protocol"):
        agree(serve(one(pem)), context)


# The secrets.


def test_secrets(pem: Path, tmp_path: Path) -> None:
    contexts = serve(one(pem))
    contexts.logSecrets(str(tmp_path / "secrets"))
    agree(contexts)
    assert "CLIENT_TRAFFIC_SECRET_0 " in (tmp_path / "secrets").read_text()


# The files.


def test_new_certificates_are_shown(authority: Authority, tmp_path: Path) -> None:
    path = tmp_path / "a.pem"
    path.write_bytes(authority.issue("a.example").read_bytes())
    certificates = Certificates(CertificateFolder(tmp_path))
    clock = Clock()
    contexts = ServerContexts(certificates, clock)
    assert shown(agree(contexts)[0]) == "a.example"
    path.write_bytes(authority.issue("new.example").read_bytes())
    assert shown(agree(contexts)[0]) == "a.example"
    clock.advance(Certificates.PERIOD)
    assert shown(agree(contexts)[0]) == "new.example"
    path.write_bytes(authority.issue("newest.example").read_bytes())
    certificates.reload()
    assert shown(agree(contexts)[0]) == "newest.example"
    # Nothing changed.
    current = certificates.current
    clock.advance(Certificates.PERIOD)
    agree(contexts)
    assert certificates.current is current


@pytest.mark.parametrize("how", ["broken", "gone"])
def test_what_becomes_wrong_is_left_as_it_was(
    authority: Authority, tmp_path: Path, how: str, logged: list[LogEvent]
) -> None:
    path = tmp_path / "a.pem"
    path.write_bytes(authority.issue("a.example").read_bytes())
    certificates = Certificates(one(path))
    clock = Clock()
    contexts = ServerContexts(certificates, clock)
    agree(contexts)
    if how == "broken":
        path.write_bytes(b"-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
    else:
        path.unlink()
    with pytest.raises((OSError, ValueError)):
        certificates.reload()
    for _ in range(3):
        clock.advance(Certificates.PERIOD)
        assert shown(agree(contexts)[0]) == "a.example"
    path.write_bytes(authority.issue("b.example").read_bytes())
    clock.advance(Certificates.PERIOD)
    assert shown(agree(contexts)[0]) == "b.example"
    assert len([event for event in logged if "read anew" in event["log_format"]]) == 1


def test_a_chain_of_its_own(authority: Authority, tmp_path: Path) -> None:
    chain = tmp_path / "chain"
    chain.write_bytes(authority.path.read_bytes())
    pem = authority.issue("localhost")
    files = CertificateFiles(pem, pem, chain)
    assert files.paths() == [pem, pem, chain]
    context = clientContext(verify_mode=ssl.CERT_REQUIRED)
    context.load_verify_locations(authority.path)
    agree(serve(files), context)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"key": b""}, "key': no private key is in it"),
        ({"certificate": b""}, "certificate': no certificate is in it"),
        ({"chain": b"nothing"}, "chain': no certificate is in it"),
        ({"key": b"-----BEGIN PRIVATE KEY-----\nx"}, "key': a private key in it is none"),
        (
            {"certificate": b"-----BEGIN CERTIFICATE-----\nx"},
            "certificate': a certificate in it is none",
        ),
        ({"key": None}, "No such file"),
    ],
)
def test_wrong_files(
    authority: Authority, tmp_path: Path, content: dict[str, bytes | None], told: str
) -> None:
    pem = authority.issue("localhost").read_bytes()
    for name in ("key", "certificate", "chain"):
        octets = content.get(name, pem)
        if octets is not None:
            (tmp_path / name).write_bytes(octets)
    files = CertificateFiles(tmp_path / "certificate", tmp_path / "key", tmp_path / "chain")
    with pytest.raises((OSError, ValueError), match=told):
        Certificates(files)


def test_a_key_of_another_certificate(authority: Authority) -> None:
    files = CertificateFiles(authority.issue("a.example"), authority.issue("b.example"))
    with pytest.raises(ValueError, match="is not that of the certificate in"):
        Certificates(files)


def test_an_encrypted_key(authority: Authority, tmp_path: Path) -> None:
    """
    OpenSSL would ask for the passphrase at the terminal.
    """
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
    )

    key = tmp_path / "key"
    key.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        )
    )
    with pytest.raises(ValueError, match="the private key is encrypted"):
        Certificates(CertificateFiles(authority.issue("a.example"), key))


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no file in it that is called \*\.pem"):
        Certificates(CertificateFolder(tmp_path))
    with pytest.raises(FileNotFoundError):
        Certificates(CertificateFolder(tmp_path / "none"))


def test_authorities_that_are_none(pem: Path, tmp_path: Path) -> None:
    (tmp_path / "ca").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="ca': no certificate is in it"):
        serve(one(pem), clientAuthorities=tmp_path / "ca")
    with pytest.raises(FileNotFoundError):
        serve(one(pem), clientAuthorities=tmp_path / "none")


def test_no_key_stays_behind(pem: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    serve(one(pem))
    assert set(os.listdir("/proc/self/fd")) == before
