"""
Tests for L{netkit.services.websocket}.
"""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.usage import UsageError

from netkit.services.websocket import EchoApplication, Options, makeService
from netkit.websocket import WebSocketFactory, WebSocketOptions
from netkit.wire.websocket.connection import Connection
from tests.websocket.helpers import HANDSHAKE


def parsed(*arguments: str) -> Options:
    options = Options()
    options.parseOptions(list(arguments))
    return options


def test_defaults() -> None:
    options = parsed()
    assert options["listen"] == ["tcp:3203:interface=127.0.0.1"]
    assert options["format"] == "json"
    factory = makeService(options)._factory
    assert isinstance(factory, WebSocketFactory)
    acceptor = factory.acceptor
    assert (acceptor.path, acceptor.origins, acceptor.subprotocols) == (None, None, frozenset())
    assert acceptor.options == WebSocketOptions()


def test_values() -> None:
    options = parsed(
        *["--path=/chat", "--subprotocol=b", "--subprotocol", "a", "--no-deflate"],
        *["--max-message-size=7", "--max-connections=3", "--idle-timeout=2"],
        *["--origin=https://a.example", "--origin", "http://B:8080", "--no-context-takeover"],
        *["--max-fragments=8", "--max-handshake-size=9", "--deflate-level=1"],
        *["--deflate-window-bits=15", "--open-timeout=1.5", "--close-timeout=0"],
        *["--ping-interval=3", "--ping-timeout=4"],
    )
    factory = makeService(options)._factory
    assert isinstance(factory, WebSocketFactory)
    assert factory.acceptor.path == b"/chat"
    assert factory.acceptor.subprotocols == {"a", "b"}
    assert factory.acceptor.origins == frozenset(("https://a.example", "http://b:8080"))
    assert factory.acceptor.options == WebSocketOptions(
        maxMessageSize=7,
        maxFragments=8,
        maxHandshakeSize=9,
        deflate=False,
        deflateLevel=1,
        deflateWindowBits=15,
        deflateContextTakeover=False,
        openTimeout=1.5,
        closeTimeout=0,
        pingInterval=3,
        pingTimeout=4,
    )
    assert (factory.maxConnections, factory.idleTimeout) == (3, 2.0)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--path=chat"], "'chat'"),
        (["--path=/chat?x"], "'/chat\\?x'"),
        (["--subprotocol=a b"], "'a b'"),
        (["--subprotocol="], "''"),
        (["--max-message-size=minus"], "'minus'"),
        (["--path=/a b"], "'/a b'"),
        (["--path=/\udcff"], "path as in a URL"),
        (["--subprotocol=a", "--subprotocol=a"], "'a' is given twice"),
        (["--origin=https://a", "--origin=a.example"], "--origin: 'a.example' is not a web"),
        (["--origin=*"], "'\\*'"),
        (["--ping-interval=-1"], "--ping-interval takes .* '-1'"),
        (["--ping-timeout=soon"], "'soon'"),
        (["--deflate-level=0"], "--deflate-level is a whole number, 1 to 9, not 0"),
        (["--deflate-window-bits=16"], "--deflate-window-bits is a whole number, 8 to 15, not 16"),
        (["--max-handshake-size=0"], "--max-handshake-size is a whole number, 1 or more, not 0"),
    ],
)
def test_mistakes(arguments: list[str], names: str) -> None:
    with pytest.raises(UsageError, match=names):
        parsed(*arguments)


def test_echoes_messages() -> None:
    server = WebSocketFactory(EchoApplication(), clock=Clock()).buildProtocol(None)
    transport = StringTransport()
    server.makeConnection(transport)
    server.dataReceived(HANDSHAKE % b"")
    transport.clear()
    client = Connection(client=True)
    server.dataReceived(client.send_text("x") + client.send_bytes(b"y"))
    assert list(client.receive_data(transport.value())) == ["x", b"y"]
