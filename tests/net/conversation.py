# ruff: noqa: E402 - the reactor is installed before Twisted is imported
"""
A conversation between a server and clients of netkit.net on one reactor: C{conversation.py REACTOR
FOLDER} prints what was said.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from importlib import import_module
from typing import Any

name, folder = sys.argv[1:]
if name == "uvloop":
    import_module("netkit.reactor").install()
else:
    import_module(f"twisted.internet.{name}reactor").install()

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks
from twisted.internet.task import react

from netkit import net

LENGTH = 2**22


async def connected(socket: net.Socket) -> None:
    request = await socket.read()
    for _ in range(2):
        await socket.write(request)
    await socket.end()


async def ask(endpoint: str) -> int:
    socket = await net.createConnection(endpoint, timeout=60.0)
    await socket.write(bytes(LENGTH))
    await socket.end()
    reply = await socket.read()
    reason = await socket.closed
    return len(reply) if type(reason).__name__ == "ConnectionDone" else -1


@inlineCallbacks
def askWithDeferreds(endpoint: str) -> Generator[Deferred[Any], Any, bytes]:
    socket = yield net.createConnection(endpoint)
    yield socket.end(b"request")
    reply: bytes = yield socket.read()
    return reply


async def main() -> None:
    server = net.createServer(connected, allowHalfOpen=True)
    tcp = await server.listen("tcp:0:interface=127.0.0.1")
    assert isinstance(tcp, IPv4Address)
    await server.listen(f"unix:{folder}/s")
    shared = await server.listen("tcp:0:interface=127.0.0.1", reusePort=True)
    assert isinstance(shared, IPv4Address)
    endpoints = [f"tcp:127.0.0.1:{tcp.port}", f"unix:{folder}/s", f"tcp:127.0.0.1:{shared.port}"]
    asking = [Deferred.fromCoroutine(ask(endpoint)) for endpoint in endpoints]
    assert await gatherResults(asking) == [2 * LENGTH] * 3
    assert await askWithDeferreds(endpoints[0]) == b"requestrequest"
    if name == "asyncio":
        import asyncio

        loop = asyncio.get_running_loop()

        async def task() -> bytes:
            socket = await net.createConnection(endpoints[1]).asFuture(loop)
            await asyncio.sleep(0)
            await socket.end(b"task").asFuture(loop)
            return await socket.read().asFuture(loop)

        assert await Deferred.fromFuture(loop.create_task(task())) == b"tasktask"
    stuck = await net.createConnection(endpoints[0])
    while not server.getConnections():
        await Deferred.fromCoroutine(turn())
    await server.close(0.01)
    assert type(await stuck.closed).__name__ == "ConnectionLost"
    print("all was said")


async def turn() -> None:
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    await deferLater(reactor, 0)


react(lambda reactor: Deferred.fromCoroutine(main()), ())
