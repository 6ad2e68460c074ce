"""
What is particular to TCP connections: their names, and that nothing waits to be joined.
"""

from __future__ import annotations

import socket
from errno import ENOSPC
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory, Protocol

from netkit.reactor import UvloopReactor
from tests.reactor.conftest import Run
from tests.reactor.peers import Peer, connected


def test_is_named_after_its_first_protocol(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, "tcp", server=Peer()) as (_, server):
            transport = server.transport
            number, port = transport.sessionno, transport.getHost().port
            transport.protocol = Protocol()
            names = transport.logPrefix(), repr(transport)
            transport.protocol = server
            # The port itself does not listen any more.
            assert names == (f"Peer,{number},127.0.0.1", f"<Peer #{number} on {port}>")

    run(scenario)


def test_keeps_no_name_that_nobody_asked_for(run: Run) -> None:
    async def scenario(reactor: UvloopReactor) -> None:
        async with connected(reactor, "tcp") as (_, server):
            names = {"logstr", "repstr"}
            assert not names & vars(server.transport).keys()
            repr(server.transport)
            assert names & vars(server.transport).keys() == {"repstr"}

    run(scenario)


@pytest.mark.parametrize("adopted", [False, True])
def test_sends_without_delay(run: Run, adopted: bool) -> None:
    class Asking(Peer):
        def connectionMade(self) -> None:
            super().connectionMade()
            asked.callback(self.transport.getTcpNoDelay())

    asked = Deferred[bool]()

    async def scenario(reactor: UvloopReactor) -> None:
        factory = Factory.forProtocol(Asking)
        port: Any
        if adopted:
            with socket.create_server(("127.0.0.1", 0)) as listening:
                listening.setblocking(False)
                port = reactor.adoptStreamPort(listening.fileno(), socket.AF_INET, factory)
        else:
            port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        with socket.create_connection(("127.0.0.1", port.getHost().port)):
            assert await asked
        await port.stopListening()

    run(scenario)


def test_cannot_connect_where_a_channel_cannot_be_had(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise OSError(ENOSPC, "the kernel watches too many already")

    async def scenario(reactor: UvloopReactor) -> None:
        monkeypatch.setattr("netkit.reactor.stream.Channel", refuse)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            before = set(reactor.getReaders())
            endpoint = TCP4ClientEndpoint(reactor, *listening.getsockname())
            with pytest.raises(ConnectError):
                await endpoint.connect(Factory.forProtocol(Peer))
            assert set(reactor.getReaders()) == before
            assert reactor.getWriters() == []

    run(scenario)
