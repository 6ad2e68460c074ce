"""
A server that prints what each client sends and answers once the client has ended.

    python examples/net_server.py [ENDPOINT]

The counterpart of the first program in the documentation of Node's net.
"""

import sys

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from netkit import net


async def connected(socket: net.Socket) -> None:
    content = await socket.read()
    print(content.decode(), flush=True)
    await socket.end(b"response data")


async def main(endpoint: str = "tcp:3200:interface=localhost") -> None:
    server = net.createServer(connected, allowHalfOpen=True)
    print("listening on", await server.listen(endpoint), flush=True)
    await Deferred()


react(lambda reactor, *arguments: Deferred.fromCoroutine(main(*arguments)), sys.argv[1:])
