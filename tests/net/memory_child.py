"""
A program whose memory test_memory.py watches.

C{memory_child.py write ENDPOINT MEBIBYTES} writes so much to a socket. C{memory_child.py hold
ENDPOINT} reads nothing from one until a line of standard input. Each prints by how many bytes the
process has grown at most.
"""

from __future__ import annotations

import sys

import psutil
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, react
from twisted.internet.threads import deferToThread

from netkit import net

PIECE = bytes(2**18)
PROCESS = psutil.Process()


async def main(verb: str, endpoint: str, mebibytes: str = "0") -> None:
    socket = await net.createConnection(endpoint)
    before = PROCESS.memory_info().rss
    peak = before

    def look() -> None:
        nonlocal peak
        peak = max(peak, PROCESS.memory_info().rss)

    looking = LoopingCall(look)
    looking.start(0.02)
    if verb == "write":
        for _ in range(int(mebibytes) * 2**20 // len(PIECE)):
            await socket.write(PIECE)
        await socket.end()
    else:
        await deferToThread(sys.stdin.readline)
    looking.stop()
    look()
    print(peak - before, flush=True)


react(lambda reactor, *arguments: Deferred.fromCoroutine(main(*arguments)), sys.argv[1:])
