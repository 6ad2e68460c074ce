"""
netkit's WebSocket client, and servers that nobody here wrote: npm's ws, Python's websockets,
Autobahn|Python; over TCP, UNIX sockets and TLS.
"""

from __future__ import annotations

import json
import re
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.endpoints import clientFromString
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.python.failure import Failure
from twisted.web.iweb import IPolicyForHTTPS
from websockets.sync.server import ServerConnection, serve, unix_serve
from zope.interface import implementer

from netkit.websocket import (
    WebSocketClientEndpoint,
    WebSocketClosed,
    WebSocketProtocol,
    WebSocketTransport,
)
from tests.interop.peers import HERE, PATIENCE, Program, requireModule, requireNpm

LISTENS = re.compile(r"listens on (\S+)")
PORT = {"host": "127.0.0.1", "port": 0}


@implementer(IPolicyForHTTPS)
class Trusting:
    """
    Trusts one certificate.
    """

    def __init__(self, path: str) -> None:
        self._root = trustRootFromCertificates([Certificate.loadPEM(Path(path).read_bytes())])

    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:
        return optionsForClientTLS(hostname.decode("ascii"), trustRoot=self._root)


def echo(connection: ServerConnection) -> None:
    for message in connection:
        if isinstance(message, str) and message.startswith("close "):
            connection.close(int(message[6:]), "as asked")
        else:
            connection.send(message)


@contextmanager
def websockets(transport: str, folder: Path, certificate: dict[str, str]) -> Iterator[str]:
    """
    Run Python's websockets: gives the port or the path.
    """
    context = None
    if transport == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate["cert"], certificate["key"])
    subprotocols: Any = ["two"]
    if transport == "unix":
        path = str(folder / "websockets.sock")
        server = unix_serve(echo, path, subprotocols=subprotocols, max_size=None)
    else:
        path = ""
        server = serve(echo, "127.0.0.1", 0, subprotocols=subprotocols, max_size=None, ssl=context)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield path or str(server.socket.getsockname()[1])
    finally:
        server.shutdown()
        thread.join(PATIENCE)


@contextmanager
def ws(transport: str, folder: Path, certificate: dict[str, str]) -> Iterator[str]:
    """
    Run npm's ws: gives the port or the path.
    """
    node = requireNpm("ws")
    tls = None
    if transport == "tls":
        tls = {name: Path(path).read_text() for name, path in certificate.items()}
    listen = {"path": str(folder / "ws.sock")} if transport == "unix" else PORT
    settings = json.dumps({"listen": listen, "tls": tls})
    program = Program([node, str(HERE / "websocket_server.mjs"), settings])
    try:
        yield program.waitForLines(LISTENS)[0][1]
    finally:
        program.stop()


@contextmanager
def autobahn(transport: str, folder: Path, certificate: dict[str, str]) -> Iterator[str]:
    """
    Run Autobahn|Python: gives the port.
    """
    requireModule("autobahn")
    program = Program([sys.executable, str(HERE / "autobahn_peer.py"), "server"])
    try:
        yield program.waitForLines(LISTENS)[0][1]
    finally:
        program.stop()


class Client(WebSocketProtocol):
    """
    Keeps what it receives.
    """

    transport: WebSocketTransport

    def __init__(self) -> None:
        self.received: DeferredQueue[Any] = DeferredQueue()
        self.lost: Deferred[tuple[Any]] = Deferred()

    def buildProtocol(self, url: str) -> Client:
        return self

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self.transport = transport

    def textMessageReceived(self, message: str) -> None:
        self.received.put(message)

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        self.received.put(bytes(data))

    def pongReceived(self, payload: bytes) -> None:
        self.received.put(("pong", payload))

    def connectionLost(self, reason: Failure) -> None:
        self.lost.callback((reason.value,))


@pytest.mark.parametrize(
    ("peer", "transport"),
    [
        *((websockets, transport) for transport in ("tcp", "unix", "tls")),
        *((ws, transport) for transport in ("tcp", "unix", "tls")),
        (autobahn, "tcp"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_client(
    peer: Callable[..., Any], transport: str, folder: Path, certificate: dict[str, str]
) -> None:
    """
    Messages of every kind come back, compression is agreed to, both sides close.
    """
    from twisted.internet import reactor

    with ExitStack() as running:
        where = running.enter_context(peer(transport, folder, certificate))
        if transport == "unix":
            endpoint = WebSocketClientEndpoint.over(
                clientFromString(reactor, f"unix:{where}"), subprotocols=["none", "two"]
            )
        else:
            scheme = "wss" if transport == "tls" else "ws"
            endpoint = WebSocketClientEndpoint.new(
                reactor,
                f"{scheme}://127.0.0.1:{where}/",
                tlsPolicy=Trusting(certificate["cert"]),
                subprotocols=[] if peer is autobahn else ["none", "two"],
            )
        client = Client()
        connection, _ = await endpoint.establish(client)
        (extension,) = connection.responseHeaders.getRawHeaders(b"sec-websocket-extensions", [])
        assert extension.startswith(b"permessage-deflate")
        assert client.transport.subprotocol == (None if peer is autobahn else "two")
        for message in ("", "zwölf € 🚀", "x" * 70_000, b"", bytes(range(256)) * 4096):
            if isinstance(message, str):
                client.transport.sendTextMessage(message)
            else:
                client.transport.sendBytesMessage(message)
            assert await client.received.get() == message
        for piece, finished in (("one ", False), ("", False), ("message", True)):
            client.transport.sendTextPiece(piece, finished)
        assert await client.received.get() == "one message"
        client.transport.ping(b"are you there?")
        assert await client.received.get() == ("pong", b"are you there?")
        client.transport.sendTextMessage("close 4711")
        (reason,) = await client.lost
        assert isinstance(reason, WebSocketClosed)
        assert (reason.code, reason.reason, reason.byPeer) == (4711, "as asked", True)
        other = await endpoint.connect(Client())
        other.transport.loseConnection(4712, "enough")
        (reason,) = await other.lost
        assert isinstance(reason, WebSocketClosed)
        assert (reason.code, reason.byPeer) == (4712, False)
