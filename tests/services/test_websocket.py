"""
Tests for L{netkit.services.websocket}.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.usage import UsageError

from netkit.services.output import Output
from netkit.services.websocket import EchoApplication, Options, makeService
from netkit.websocket import WebSocketFactory
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
    assert factory.path is None
    assert not factory.subprotocols
    assert factory.options.maxMessageSize == 2**20
    assert factory.options.deflate


def test_values() -> None:
    options = parsed(
        *["--path=/chat", "--subprotocol=b", "--subprotocol", "a", "--no-deflate"],
        *["--max-message-size=7", "--max-connections=3", "--idle-timeout=2"],
    )
    factory = makeService(options)._factory
    assert isinstance(factory, WebSocketFactory)
    assert factory.path == b"/chat"
    assert factory.subprotocols == {"a", "b"}
    assert factory.options.maxMessageSize == 7
    assert not factory.options.deflate
    assert (factory.maxConnections, factory.idleTimeout) == (3, 2.0)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--path=chat"], "'chat'"),
        (["--path=/chat?x"], "'/chat\\?x'"),
        (["--subprotocol=a b"], "'a b'"),
        (["--subprotocol="], "''"),
        (["--max-message-size=minus"], "'minus'"),
    ],
)
def test_mistakes(arguments: list[str], names: str) -> None:
    with pytest.raises(UsageError, match=names):
        parsed(*arguments)


def test_echoes_and_prints(tmp_path: Path) -> None:
    output = Output(str(tmp_path / "printed"), "json")
    output.open()
    application = EchoApplication(output.printer("websocket"))
    server = WebSocketFactory(application, clock=Clock()).buildProtocol(None)
    transport = StringTransport()
    server.makeConnection(transport)
    server.dataReceived(HANDSHAKE % b"")
    transport.clear()
    client = Connection(client=True)
    server.dataReceived(client.send_text("héllo") + client.send_bytes(b"\xff"))
    assert list(client.receive_data(transport.value())) == ["héllo", b"\xff"]
    output.close()
    lines = (tmp_path / "printed").read_text().splitlines()
    assert [json.loads(line)["data"] for line in lines] == ["héllo", "/w=="]


def test_prints_nothing_when_told_so() -> None:
    server = WebSocketFactory(EchoApplication(None), clock=Clock()).buildProtocol(None)
    transport = StringTransport()
    server.makeConnection(transport)
    server.dataReceived(HANDSHAKE % b"")
    transport.clear()
    client = Connection(client=True)
    server.dataReceived(client.send_text("x") + client.send_bytes(b"y"))
    assert list(client.receive_data(transport.value())) == ["x", b"y"]
