"""
The tutorial and the pages of one task each: their examples run, and do what they say.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest_twisted
from twisted.application.service import IServiceCollection
from twisted.internet.error import ConnectionLost
from twisted.logger import LogEvent

from netkit.http import HTTPFactory
from netkit.tls import CertificateFiles, CertificateFolder, Certificates
from netkit.websocket import WebSocketFactory
from tests.certificates import Authority
from tests.conftest import Listen

from .clients import connect
from .http.connected import Connection, get, post
from .websocket.helpers import Server

DOCS = Path(__file__).parents[1] / "docs"


def examples(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def run(code: str, names: dict[str, Any]) -> dict[str, Any]:
    exec(compile(code, "docs", "exec"), names)
    return names


def opened(
    factory: WebSocketFactory, path: bytes = b"/rooms/lobby", fields: bytes = b""
) -> Server:
    server = Server(factory=factory, fields=fields)
    server.request = server.request.replace(b"/chat", path)
    server.receive(server.request)
    return server


def texts(server: Server) -> str:
    return str(server.sent())


def test_tutorial() -> None:
    names: dict[str, Any] = {}
    echo, everybody, rooms, page = examples("tutorial.md")
    first = opened(run(echo, names)["factory"])
    first.transport.clear()
    first.receive(first.client.send_text("hello"))
    assert "hello" in texts(first)
    for code, path in ((everybody, b"/"), (rooms, b"/rooms/lobby")):
        factory = run(code, names)["factory"]
        servers = [opened(factory, path) for _ in range(3)]
        # One of them leaves.
        servers.pop().lose(ConnectionLost())
        for server in servers:
            server.transport.clear()
        servers[0].receive(servers[0].client.send_text("hello"))
        assert all("hello" in texts(server) for server in servers)
    elsewhere = opened(factory, b"/elsewhere")
    assert elsewhere.response().startswith(b"HTTP/1.1 404 ")
    foreign = opened(factory, fields=b"Origin: http://other.example\r\n")
    assert foreign.response().startswith(b"HTTP/1.1 403 ")
    shown = Server(factory=run(page, names)["factory"])
    shown.receive(get())
    assert b"<title>Chat</title>" in shown.response()


async def ask(listen: Listen, handler: Any, octets: bytes) -> bytes:
    client = await connect(await listen(HTTPFactory(handler)))
    client.transport.write(octets.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
    await client.lost
    return bytes(client.received)


@pytest_twisted.ensureDeferred
async def test_uploads(listen: Listen, tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    names: dict[str, Any] = {"folder": folder}
    for code in examples("uploads.md"):
        run(code, names)
    told = await ask(listen, names["upload"], post(b"hello"))
    assert b"HTTP/1.1 201 " in told
    [stored] = folder.iterdir()
    assert stored.name.encode() in told
    assert stored.read_bytes() == b"hello"
    parts = [
        b'Content-Disposition: form-data; name="name"\r\n\r\nAnn\r\n--x',
        b'Content-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\nPNG\r\n--x',
    ]
    kind = b"Content-Type: multipart/form-data; boundary=x"
    told = await ask(
        listen, names["photo"], post(b"\r\n".join([b"--x", *parts]) + b"--\r\n", kind)
    )
    assert told.endswith(b"Ann: a.png, 3 octets")
    form = b"\r\n".join([b"--x", parts[0]]) + b"--\r\n"
    told = await ask(listen, names["photo"], post(form, kind))
    assert told.endswith(b"a photo is wanted\n")


def test_events() -> None:
    [code] = examples("events.md")
    names = run(code, {})
    readers = [Connection(names["handler"]) for _ in range(2)]
    for reader in readers:
        reader.send(get())
        reader.take()
    names["tell"]("it rains")
    for reader in readers:
        assert b"event: news\nid: 1\ndata: it rains\n\n" in reader.take()
    late = Connection(names["handler"])
    late.send(get(b"/", b"Last-Event-ID: 0"))
    assert b"data: it rains" in late.take()
    for reader in (*readers, late):
        reader.lose()


def test_nginx() -> None:
    [code] = examples("nginx.md")
    names = run(code, {})
    connection = Connection(names["handler"])
    connection.send(get(b"/", b"X-Forwarded-For: 192.0.2.1"))
    assert connection.take().endswith(b"hello, 192.0.2.1\n")
    assert list(IServiceCollection(names["application"])) == [names["service"]]


class Certbot:
    """
    The files that certbot keeps of a site, and how it renews them.
    """

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.live = folder / "live/example.org"
        self._archive = folder / "archive/example.org"
        self._authority = authority
        self._count = 0
        for made in (self.live, self._archive):
            made.mkdir(parents=True)

    def renew(self, name: str) -> Iterator[None]:
        """
        Fetch a certificate for a name, and set one link after the other on what it came with.
        """
        self._count += 1
        key, certificate = re.findall(
            rb"-----BEGIN .*?-----END [A-Z ]+-----\n",
            self._authority.issue(name).read_bytes(),
            re.DOTALL,
        )
        chain = self._authority.path.read_bytes()
        parts = {
            "cert": certificate,
            "privkey": key,
            "chain": chain,
            "fullchain": certificate + chain,
        }
        for part, content in parts.items():
            kept = self._archive / f"{part}{self._count}.pem"
            kept.write_bytes(content)
            link = self.live / f"{part}.pem"
            link.unlink(missing_ok=True)
            link.symlink_to(f"../../archive/example.org/{kept.name}")
            yield


def shown(certificates: Certificates) -> set[str]:
    return {name for each in certificates.current for name in each.names}


def test_lets_encrypt_renews_link_by_link(tmp_path: Path, logged: list[LogEvent]) -> None:
    certbot = Certbot(tmp_path, Authority(tmp_path))
    for _ in certbot.renew("first.example"):
        pass
    live = certbot.live
    every = [
        Certificates(CertificateFolder(live.parent)),
        Certificates(CertificateFiles(live / "fullchain.pem", live / "privkey.pem")),
        Certificates(
            CertificateFiles(live / "cert.pem", live / "privkey.pem", live / "chain.pem")
        ),
    ]
    for now, _ in enumerate(certbot.renew("second.example")):
        for certificates in every:
            certificates.refresh(now * Certificates.PERIOD)
            assert shown(certificates) <= {"first.example", "second.example"}
    assert all(shown(certificates) == {"second.example"} for certificates in every)
    logged.clear()


def test_lets_encrypt_hands_a_copy_on(tmp_path: Path) -> None:
    [hook] = re.findall(r"```sh\n(.*?)```", (DOCS / "letsencrypt.md").read_text(), re.DOTALL)
    copies = tmp_path / "tls"
    copies.mkdir()
    hook = hook.replace("/etc/netkit/tls", str(copies)).replace("chgrp netkit", "chgrp $(id -g)")
    certbot = Certbot(tmp_path, Authority(tmp_path))
    certificates = None
    for now, name in enumerate(["first.example", "second.example"]):
        for _ in certbot.renew(name):
            pass
        environment = {**os.environ, "RENEWED_LINEAGE": str(certbot.live)}
        subprocess.run(["sh", "-c", hook], check=True, env=environment)
        if certificates is None:
            certificates = Certificates(CertificateFolder(copies))
        certificates.refresh(now * Certificates.PERIOD)
        assert shown(certificates) == {name}
    [copy] = copies.iterdir()
    assert copy.name == "example.org.pem"
    assert copy.stat().st_mode & 0o777 == 0o640


@pytest_twisted.ensureDeferred
async def test_lets_encrypt_looks_for_its_file(listen: Listen, tmp_path: Path) -> None:
    [code] = examples("letsencrypt.md")
    webroot = tmp_path / "acme"
    challenges = webroot / ".well-known/acme-challenge"
    challenges.mkdir(parents=True)
    (challenges / "token").write_text("token.thumbprint")
    pem = Authority(tmp_path).issue("example.org")
    code = code.replace("/var/lib/netkit/acme", str(webroot)).replace("/etc/netkit/tls", str(pem))
    names = run(code, {})
    told = await ask(listen, names["plain"], get(b"/.well-known/acme-challenge/token"))
    assert told.endswith(b"\r\n\r\ntoken.thumbprint")
    for path in (b"/.well-known/acme-challenge/../../../ca.pem", b"/.well-known/acme-challenge/x"):
        assert b"HTTP/1.1 404 " in await ask(listen, names["plain"], get(path))
    told = await ask(listen, names["plain"], get(b"/page?a=b"))
    assert b"location: https://example.org/page?a=b\r\n" in told
    assert len(list(IServiceCollection(names["application"]))) == 2
