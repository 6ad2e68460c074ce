"""
Tests for L{netkit.tls.endpoint} and L{netkit.tls.openssl}: on sockets, with our own and with
Twisted's TLS at the other end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.error import SSLError
from twisted.internet.interfaces import IListeningPort, INegotiated, IProtocolNegotiationFactory
from twisted.internet.ssl import Certificate, optionsForClientTLS
from zope.interface import alsoProvides

from netkit import net
from netkit.base.endpoints import clientEndpoint, serverEndpoint
from netkit.echo import EchoFactory
from netkit.printrespond import PrintRespondFactory
from netkit.tls import TLSProtocol, TLSServerEndpoint, wrapClientTLS
from tests.certificates import Authority
from tests.narrow import tcpAddress

# Twisted's own use of pyOpenSSL.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

CONTENT = bytes(range(256)) * 4096

Serve = Callable[..., Awaitable[int]]


@pytest_twisted.async_yield_fixture
async def serve() -> AsyncIterator[Serve]:
    """
    A function that listens on an endpoint string, and gives the port.
    """
    from twisted.internet import reactor

    ports: list[IListeningPort] = []

    async def listen(description: str, factory: Any, make: Any = serverEndpoint) -> int:
        ports.append(await make(reactor, description).listen(factory))
        host = ports[-1].getHost()
        return tcpAddress(host).port if hasattr(host, "port") else 0

    yield listen
    for port in ports:
        await maybeDeferred(port.stopListening)


@pytest.fixture
def roots(authority: Authority, tmp_path: Path) -> Path:
    folder = tmp_path / "roots"
    folder.mkdir()
    (folder / "ca.pem").write_bytes(authority.path.read_bytes())
    return folder


async def ask(endpoint: Any, content: bytes) -> bytes:
    """
    Send something, half-close, and read to the end.
    """
    socket = await net.createConnection(endpoint, allowHalfOpen=True)
    ending = socket.end(content)
    answer = await socket.read()
    await ending
    await socket.closed
    return answer


@pytest.mark.parametrize("kind", ["ssl", "tls", "netkit-tls", "tls over unix"])
@pytest_twisted.ensureDeferred
async def test_half_close(serve: Serve, pem: Path, roots: Path, tmp_path: Path, kind: str) -> None:
    """
    Each service answers what a client sent to its end.
    """
    from twisted.internet import reactor

    for factory, answer in (
        (EchoFactory(), CONTENT),
        (PrintRespondFactory(b"the answer" * 9999), b"the answer" * 9999),
    ):
        description = {
            "ssl": f"ssl:0:interface=127.0.0.1:privateKey={pem}",
            "tls": f"tls:{pem}:0:interface=127.0.0.1",
            "netkit-tls": f"netkit-tls:{pem.parent}:0:interface=127.0.0.1",
            "tls over unix": f"tls:{pem}:endpoint=unix\\:{tmp_path}/s",
        }[kind]
        other = kind == "netkit-tls"
        port = await serve(description, factory, serverFromString if other else serverEndpoint)
        client = f"tls:localhost:{port}:trustRoots={roots}"
        if kind == "tls over unix":
            client += f":endpoint=unix\\:{tmp_path}/s"
        endpoint: Any = client
        if other:
            endpoint = clientFromString(reactor, f"netkit-{client}")
        assert await ask(endpoint, CONTENT) == answer
        if kind == "tls over unix":
            (tmp_path / "s").unlink(missing_ok=True)
            break


@pytest_twisted.ensureDeferred
async def test_contexts_of_pyopenssl(serve: Serve, pem: Path, authority: Authority) -> None:
    """
    They have halves as well.
    """
    from twisted.internet import reactor

    port = await serve(f"ssl:0:interface=127.0.0.1:privateKey={pem}", EchoFactory())
    options = optionsForClientTLS(
        "localhost", trustRoot=Certificate.loadPEM(authority.path.read_bytes())
    )
    lower = clientEndpoint(reactor, f"tcp:127.0.0.1:{port}")
    assert await ask(wrapClientTLS(options, lower, reactor), CONTENT) == CONTENT
    assert await ask(f"ssl:localhost:{port}", CONTENT) == CONTENT
    options = optionsForClientTLS(
        "example.org", trustRoot=Certificate.loadPEM(authority.path.read_bytes())
    )
    with pytest.raises(SSLError, match="the certificate is another server's"):
        await ask(wrapClientTLS(options, lower, reactor), CONTENT)


@pytest.mark.filterwarnings("ignore:Passing method:DeprecationWarning")
@pytest_twisted.ensureDeferred
async def test_a_method_of_pyopenssl(serve: Serve, pem: Path, roots: Path) -> None:
    """
    Twisted's own TLS serves it, which has no halves.
    """
    port = await serve(
        f"ssl:0:interface=127.0.0.1:privateKey={pem}:sslmethod=TLS_METHOD", EchoFactory()
    )
    socket = await net.createConnection(f"tls:localhost:{port}:trustRoots={roots}")
    assert isinstance(socket.transport, TLSProtocol)
    await socket.write(b"hi")
    assert await socket.readExactly(2) == b"hi"
    socket.destroy()


@pytest_twisted.ensureDeferred
async def test_application_protocols(serve: Serve, pem: Path, roots: Path) -> None:
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred
    from twisted.internet.protocol import Factory, Protocol

    agreed: Deferred[bytes | None] = Deferred()

    class Agreeing(Protocol):
        def handshakeCompleted(self) -> None:
            agreed.callback(INegotiated(self.transport).negotiatedProtocol)
            assert self.transport is not None
            self.transport.loseConnection()

    from twisted.internet.interfaces import IHandshakeListener
    from zope.interface import classImplements

    classImplements(Agreeing, IHandshakeListener)

    def speaking(factory: Any, *names: bytes) -> Any:
        factory.acceptableProtocols = lambda: list(names)
        alsoProvides(factory, IProtocolNegotiationFactory)
        return factory

    port = await serve(
        f"ssl:0:interface=127.0.0.1:privateKey={pem}", speaking(EchoFactory(), b"a", b"b")
    )
    endpoint = clientEndpoint(reactor, f"tls:localhost:{port}:trustRoots={roots}")
    await endpoint.connect(speaking(Factory.forProtocol(Agreeing), b"x", b"b"))
    assert await agreed == b"b"


@pytest_twisted.ensureDeferred
async def test_a_certificate_is_asked_for(
    serve: Serve, pem: Path, authority: Authority, roots: Path
) -> None:
    for description in (
        f"ssl:0:interface=127.0.0.1:privateKey={pem}:clientCA={authority.path}",
        f"tls:{pem}:0:interface=127.0.0.1:clientCA={authority.path}",
    ):
        port = await serve(description, EchoFactory())
        client = f"tls:localhost:{port}:trustRoots={roots}"
        identity = authority.issue("client.example")
        assert await ask(f"{client}:certificate={identity}", b"hi") == b"hi"
        with pytest.raises(Exception, match="certificate required"):
            await ask(client, b"hi")


@pytest_twisted.ensureDeferred
async def test_new_certificates(pem: Path, authority: Authority, tmp_path: Path) -> None:
    from twisted.internet import reactor

    path = tmp_path / "a.pem"
    path.write_bytes(pem.read_bytes())
    endpoint = serverEndpoint(reactor, f"ssl:0:privateKey={path}")
    assert isinstance(endpoint, TLSServerEndpoint)
    before = endpoint.certificates.current
    path.write_bytes(authority.issue("new.example").read_bytes())
    endpoint.certificates.reload()
    assert endpoint.certificates.current[0].names == ("new.example",)
    assert before[0].names == ("localhost",)


def test_names_that_are_not_ascii() -> None:
    from twisted.internet.testing import MemoryReactorClock

    reactor = MemoryReactorClock()
    clientEndpoint(reactor, "tls:bücher.example:443")
    clientEndpoint(reactor, "tls:127.0.0.1:443:bindAddress=127.0.0.1:timeout=3")
