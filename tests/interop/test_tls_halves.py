"""
TLS whose halves end one by one: whoever has sent all that it has to say gets the whole answer.
"""

from __future__ import annotations

import hashlib
import random
import re
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TypeVar

import pytest

from tests.interop.peers import HERE, SCRIPTS, Daemon, Program, requirePeer, run

T = TypeVar("T")

ANSWER = b"the whole answer\n" * 20_000
CONTENT = random.Random(1).randbytes(8 * 2**20)

# Of a client: takes the port, the authority and what to send, and gives the answer.
Ask = Callable[[int, Path, bytes], bytes]


@pytest.fixture(scope="module")
def authority(certificate: dict[str, str]) -> Path:
    return Path(certificate["cert"])


@pytest.fixture(scope="module", params=["", "uvloop"], ids=["default", "uvloop"])
def services(
    request: pytest.FixtureRequest, folder: Path, tlsEndpoint: str
) -> Iterator[tuple[int, int]]:
    """
    The ports of an echo and of a print-respond service.
    """
    with pytest.MonkeyPatch.context() as patch:
        if request.param:
            patch.setenv("NETKIT_TEST_REACTOR", request.param)
        (folder / "answer").write_bytes(ANSWER)
        echo = Daemon("netkit-echo", "-l", tlsEndpoint, cwd=folder)
        respond = Daemon(
            *("netkit-print-respond", "-l", tlsEndpoint, "--response-file", "answer"),
            *("--format", "none"),
            cwd=folder,
        )
    yield echo.address("tls").port or 0, respond.address("tls").port or 0
    echo.stop()
    respond.stop()


def netkit(port: int, ca: Path, content: bytes) -> bytes:
    command = [str(SCRIPTS / "netkit"), "send", "--ca", str(ca), f"tls:127.0.0.1:{port}"]
    done = run(command, content)
    assert (done.status, done.errors) == (0, b"")
    return done.output


def node(port: int, ca: Path, content: bytes) -> bytes:
    done = run(
        [requirePeer("node"), str(HERE / "tls_halves.mjs"), "client", str(port), str(ca)], content
    )
    assert (done.status, done.errors) == (0, b"")
    return done.output


def unwrap(port: int, ca: Path, content: bytes, version: ssl.TLSVersion) -> bytes:
    """
    Python's: C{unwrap} says close_notify, and then it reads to the server's.
    """
    context = ssl.create_default_context(cafile=str(ca))
    context.maximum_version = version
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    received = []
    with socket.create_connection(("127.0.0.1", port)) as connection:

        def until(step: Callable[[], T]) -> T:
            while True:
                try:
                    result = step()
                except ssl.SSLWantReadError:
                    connection.sendall(outgoing.read())
                    incoming.write(connection.recv(2**16))
                else:
                    connection.sendall(outgoing.read())
                    return result

        until(tls.do_handshake)
        for place in range(0, len(content), 2**16):
            # The echo comes meanwhile, and is to be taken.
            tls.write(content[place : place + 2**14])
            for more in range(place + 2**14, min(place + 2**16, len(content)), 2**14):
                tls.write(content[more : more + 2**14])
            connection.sendall(outgoing.read())
            connection.setblocking(False)
            with suppress(BlockingIOError):
                incoming.write(connection.recv(2**20))
            connection.setblocking(True)
            with suppress(ssl.SSLWantReadError):
                while piece := tls.read(2**14):
                    received.append(piece)
        with pytest.raises(ssl.SSLWantReadError):
            tls.unwrap()
        connection.sendall(outgoing.read())
        # Which the server's close_notify is, behind our own.
        with suppress(ssl.SSLZeroReturnError):
            while piece := until(lambda: tls.read(2**14)):
                received.append(piece)
    return b"".join(received)


def python12(port: int, ca: Path, content: bytes) -> bytes:
    return unwrap(port, ca, content, ssl.TLSVersion.TLSv1_2)


def python13(port: int, ca: Path, content: bytes) -> bytes:
    return unwrap(port, ca, content, ssl.TLSVersion.TLSv1_3)


CLIENTS = pytest.mark.parametrize(
    "client", [netkit, node, python12, python13], ids=lambda value: value.__name__
)


@CLIENTS
def test_the_whole_answer(services: tuple[int, int], authority: Path, client: Ask) -> None:
    assert client(services[1], authority, b"question") == ANSWER


@CLIENTS
def test_every_octet_comes_back(services: tuple[int, int], authority: Path, client: Ask) -> None:
    echoed = client(services[0], authority, CONTENT)
    assert hashlib.sha256(echoed).digest() == hashlib.sha256(CONTENT).digest()


def test_openssl_as_client(services: tuple[int, int], authority: Path) -> None:
    """
    It does not read behind its close_notify, with which the end of its input is told: it gets all
    before that.
    """
    command = [requirePeer("openssl"), "s_client", "-quiet", "-verify_return_error"]
    command += ["-CAfile", str(authority), "-connect", f"127.0.0.1:{services[0]}"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        writing = Thread(target=client.stdin.write, args=(CONTENT,))
        writing.start()
        echoed = client.stdout.read(len(CONTENT) - 2**16)
        writing.join()
        client.stdin.flush()
        echoed += client.stdout.read(2**16)
        client.kill()
    assert hashlib.sha256(echoed).digest() == hashlib.sha256(CONTENT).digest()


def test_openssl_as_server(authority: Path, certificate: dict[str, str]) -> None:
    server = Program(
        [
            *(requirePeer("openssl"), "s_server", "-accept", "127.0.0.1:0", "-rev"),
            *("-cert", certificate["cert"], "-key", certificate["key"]),
        ]
    )
    try:
        [found] = server.waitForLines(re.compile(r"ACCEPT 127\.0\.0\.1:(\d+)"))
        assert netkit(int(found[1]), authority, b"a line\n") == b"enil a\n"
    finally:
        server.stop()


def test_node_as_server(authority: Path, certificate: dict[str, str]) -> None:
    server = Program(
        [
            *(requirePeer("node"), str(HERE / "tls_halves.mjs"), "server"),
            *(certificate["cert"], certificate["key"]),
        ]
    )
    try:
        [found] = server.waitForLines(re.compile(r"listening on (\d+)"))
        assert netkit(int(found[1]), authority, CONTENT) == CONTENT
    finally:
        server.stop()
