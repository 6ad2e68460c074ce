"""
netkit.net over TLS.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectionDone, SSLError
from twisted.internet.interfaces import IReactorTime, ISSLTransport, IStreamClientEndpoint
from twisted.internet.ssl import Certificate, optionsForClientTLS
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from netkit import net
from netkit.base.deadlines import LINGER
from netkit.base.unread import PERIOD
from tests.narrow import tcpAddress
from tests.net.test_server import Timed, later, until

# Twisted's own use of pyOpenSSL.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

CONTENT = os.urandom(2**20)


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The key and the certificate of localhost.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    return path


@pytest_twisted.async_yield_fixture
async def port(pem: Path) -> AsyncIterator[int]:
    """
    Where an echo server listens.
    """

    async def connected(socket: net.Socket) -> None:
        async for piece in socket:
            await socket.write(piece)
            if b"!" in piece:
                await socket.end()

    server = net.createServer(connected)
    # The reuse of the port is asked for to see that it goes with TLS.
    address = await server.listen(f"ssl:0:interface=127.0.0.1:privateKey={pem}", reusePort=True)
    yield tcpAddress(address).port
    await server.close(0)


def trusting(port: int, pem: Path, name: str = "localhost") -> IStreamClientEndpoint:
    from twisted.internet import reactor

    certificate = pem.read_bytes()[pem.read_bytes().index(b"-----BEGIN CERT") :]
    options = optionsForClientTLS(name, trustRoot=Certificate.loadPEM(certificate))
    return wrapClientTLS(options, TCP4ClientEndpoint(reactor, "127.0.0.1", port))


@pytest_twisted.ensureDeferred
async def test_a_conversation(port: int, pem: Path) -> None:
    socket = await net.createConnection(
        trusting(port, pem), noDelay=True, keepAlive=True, keepAliveInitialDelay=9
    )
    # The handshake is done, so that who is there is known.
    assert ISSLTransport(socket.transport).getPeerCertificate() is not None
    assert socket.peerCredentials is None
    content = CONTENT.replace(b"!", b"?")
    writing = socket.write(content)
    assert await socket.readExactly(len(content)) == content
    await writing
    await socket.write(b"bye!")
    assert await socket.read() == b"bye!"
    await socket.closed


@pytest_twisted.ensureDeferred
async def test_end_closes_after_what_was_written(pem: Path) -> None:
    received: Deferred[bytes] = Deferred()

    async def connected(socket: net.Socket) -> None:
        received.callback(await socket.read())

    server = net.createServer(connected)
    address = await server.listen(f"ssl:0:interface=127.0.0.1:privateKey={pem}")
    socket = await net.createConnection(trusting(tcpAddress(address).port, pem))
    await socket.end(CONTENT)
    assert await received == CONTENT
    await socket.closed
    await server.close()


@pytest.mark.parametrize("answers", [True, False], ids=["in time", "late"])
@pytest_twisted.ensureDeferred
async def test_last_words_are_delivered(pem: Path, answers: bool) -> None:
    """
    Also to a peer that reads them when the time for its close_notify is over.
    """
    clock = Clock()
    sockets: list[net.Socket] = []
    server = net.createServer(sockets.append, reactor=IReactorTime(Timed(clock)))
    address = await server.listen(f"ssl:0:interface=127.0.0.1:privateKey={pem}")
    socket = await net.createConnection(trusting(tcpAddress(address).port, pem))
    socket.pause()
    await until(lambda: sockets)
    content = CONTENT if answers else CONTENT[: 2**15]
    sockets[0].write(content).addErrback(lambda failure: None)
    closing = sockets[0].destroySoon()
    for _ in range(9):
        await later()
    assert not closing.called
    if not answers:
        while not closing.called:
            clock.advance(LINGER)
            await later()
    socket.resume()
    assert await socket.read() == content
    assert isinstance(await closing, ConnectionDone)
    await socket.closed
    await server.close()


@pytest_twisted.ensureDeferred
async def test_clients_that_leave_unread(pem: Path) -> None:
    clock = Clock()
    sockets: list[net.Socket] = []
    server = net.createServer(sockets.append, highWaterMark=5, reactor=IReactorTime(Timed(clock)))
    address = await server.listen(f"ssl:0:interface=127.0.0.1:privateKey={pem}")
    for data in (b"", CONTENT[: 2**15]):
        socket = await net.createConnection(trusting(tcpAddress(address).port, pem))
        await until(lambda: sockets and not sockets[-1].destroyed)
        if data:
            await socket.write(data)
            await until(lambda: sockets[-1].readableLength)
        socket.destroy()
        await socket.closed
        while server.getConnections():
            clock.advance(PERIOD)
            await later()
    await server.close()


@pytest_twisted.ensureDeferred
async def test_a_certificate_that_nobody_vouches_for(port: int, logged: list[LogEvent]) -> None:
    with pytest.raises(SSLError, match=rf"tls:localhost:{port}: certificate verify failed"):
        await net.createConnection(f"tls:localhost:{port}")


@pytest_twisted.ensureDeferred
async def test_another_servers_certificate(port: int, pem: Path) -> None:
    with pytest.raises(SSLError, match="the certificate is another server's"):
        await net.createConnection(trusting(port, pem, "example.org"))


@pytest_twisted.ensureDeferred
async def test_no_tls_at_all(logged: list[LogEvent], port: int) -> None:
    """
    A client that does not speak TLS never reaches the callback, and is logged in one line.
    """
    socket = await net.createConnection(f"tcp:127.0.0.1:{port}")
    await socket.write(b"GET / HTTP/1.1\r\n\r\n")
    await socket.read(99)
    await socket.end()
    await socket.read()
    await socket.closed
    lines = [event for event in logged if "agreed on no connection" in event["log_format"]]
    assert len(lines) == 1
    address = tcpAddress(socket.localAddress)
    assert f"{address.host}:{address.port}: " in lines[0]["reason"]
