"""
HTTP over a bare socket: ask a server for its first page and print what it answers, header and all.

    python examples/net_http.py [ENDPOINT [HOST]]
"""

import sys

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from netkit import net


async def main(endpoint: str = "tcp:localhost:3202", host: str = "localhost") -> None:
    # Our half stays open until the server has answered: some take its end for ours.
    socket = await net.createConnection(endpoint)
    await socket.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    async for piece in socket:
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


react(lambda reactor, *arguments: Deferred.fromCoroutine(main(*arguments)), sys.argv[1:])
