"""
What is particular to TCP connections: their names.
"""

from __future__ import annotations

from twisted.internet.protocol import Protocol

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
