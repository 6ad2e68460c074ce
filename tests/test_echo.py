"""
Tests for L{netkit.echo}.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest_twisted
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from netkit.echo import EchoFactory

from .clients import connect
from .conftest import Listen


@pytest_twisted.ensureDeferred
async def test_everything_comes_back_after_a_half_close(listen: Listen) -> None:
    content = os.urandom(8 * 10**6)
    client = await connect(await listen(EchoFactory()))
    client.transport.write(content)
    client.transport.loseWriteConnection()
    assert isinstance(await client.lost, ConnectionDone)
    assert client.received == content


@pytest_twisted.ensureDeferred
async def test_nothing_sent(listen: Listen) -> None:
    client = await connect(await listen(EchoFactory()))
    client.transport.loseWriteConnection()
    assert isinstance(await client.lost, ConnectionDone)
    assert client.received == b""


@pytest_twisted.ensureDeferred
async def test_stop_ends_an_open_connection(listen: Listen) -> None:
    factory = EchoFactory()
    client = await connect(await listen(factory))
    client.transport.write(b"x")
    await client.receive(1)
    await factory.closeConnections(5.0)
    assert not factory.connections
    await client.lost


def test_a_peer_that_does_not_read_is_not_read_from() -> None:
    transport = StringTransport()
    EchoFactory(clock=Clock()).buildProtocol(None).makeConnection(transport)
    assert transport.producer is transport
    assert transport.streaming


def test_traffic_is_no_silence() -> None:
    clock = Clock()
    protocol = EchoFactory(idleTimeout=4.0, clock=clock).buildProtocol(None)
    transport = StringTransport()
    protocol.makeConnection(transport)
    for _ in range(10):
        protocol.dataReceived(b"x")
        clock.advance(1)
    assert not transport.disconnected
    clock.pump([1] * 5)
    assert transport.disconnected


# What makes the start of a program longer that does not use it.
_UNUSED = ("capture", "faults", "forward", "http", "tls", "websocket", "wire.http")


def modules(*statements: str) -> set[str]:
    """
    The modules that are loaded when a program has run.
    """
    program = "\n".join([*statements, "import sys", "print(*sys.modules, sep='\\n')"])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return set(done.stdout.decode().split())


def test_it_is_imported_without_what_it_does_not_use() -> None:
    """
    Whoever composes an application with it pays for no recorder, no relay and no page.
    """
    loaded = modules("import netkit.echo")
    for name in (*_UNUSED, "commands", "operation", "services"):
        assert f"netkit.{name}" not in loaded
    assert "netkit.echo" in loaded


def test_its_plugin_starts_without_what_it_does_not_use() -> None:
    loaded = modules(
        "from netkit.services import echo",
        "options = echo.Options()",
        "options.parseOptions(['--listen=tcp:0'])",
        "echo.makeService(options)",
    )
    for name in _UNUSED:
        assert f"netkit.{name}" not in loaded
    assert "netkit.services" in loaded
    assert "twisted.web" not in loaded
