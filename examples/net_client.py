"""
A client that sends a request, ends its side, and prints the reply.

    python examples/net_client.py [ENDPOINT]

It talks to examples/net_server.py, to `twistd -n netkit-print-respond`, or to Node's net.
"""

import sys

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from netkit import net


async def main(endpoint: str = "tcp:localhost:3200") -> None:
    socket = await net.createConnection(endpoint)
    await socket.end(b"request data")
    print((await socket.read()).decode(), flush=True)


react(lambda reactor, *arguments: Deferred.fromCoroutine(main(*arguments)), sys.argv[1:])
