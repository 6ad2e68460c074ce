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


def packages(module: str) -> set[str]:
    """
    The packages that are loaded with a module, those of netkit and Twisted by two names.
    """
    program = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return {".".join(name.split(".")[:2]) for name in done.stdout.decode().split()}


def test_it_is_imported_without_what_it_does_not_use() -> None:
    """
    Whoever composes an application with it pays for no recorder, no relay and no page.
    """
    loaded = packages("netkit.echo")
    for name in ("capture", "commands", "forward", "inspector", "services"):
        assert f"netkit.{name}" not in loaded
    assert "netkit.echo" in loaded


def test_its_plugin_is_loaded_without_other_protocols() -> None:
    loaded = packages("netkit.services.echo")
    assert loaded.isdisjoint({"netkit.forward", "netkit.http", "netkit.websocket", "twisted.web"})
