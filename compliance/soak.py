"""
The uvloop reactor under full load for a long time.

    python -m compliance.soak [SECONDS] [CLIENTS]

In one process, on TCP and on a UNIX socket, an echo server and CLIENTS clients (50) at a time that
behave at random: they talk, half-close, stall, reset, or go away at once. Beside them, a tenth as
many run child processes, work in threads, and send datagrams. What comes back is compared with
what was sent. After SECONDS (300) nothing may be left: the exit status is 0, or 1 and the last
lines say what was.
"""

from __future__ import annotations

import ctypes
import gc
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter

import netkit.reactor

if __name__ == "__main__":
    netkit.reactor.install()

from twisted.internet import process, reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import clientFromString, connectProtocol, serverFromString
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import DatagramProtocol, Protocol
from twisted.internet.task import react
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.internet.utils import getProcessOutputAndValue
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from netkit.echo import EchoFactory

# Large enough for the kernel's buffers to be full now and then.
LARGEST = 4_000_000

DATA = random.randbytes(LARGEST)


@implementer(IHalfCloseableProtocol)
class Client(Protocol):
    """
    One connection to the echo server.

    @ivar done: fires when the connection is over, and fails if it was not as it should be.
    """

    def __init__(self, behaviour: str) -> None:
        self.behaviour = behaviour
        self.done = Deferred[None]()
        self.size = int(LARGEST ** random.random())
        self.received = 0

    def connectionMade(self) -> None:
        if self.behaviour == "leave":
            self.transport.loseConnection()
            return
        self.transport.write(DATA[: self.size])
        if self.behaviour == "half-close":
            self.transport.loseWriteConnection()
        elif self.behaviour == "reset":
            reactor.callLater(random.random() / 50, self.transport.abortConnection)
        elif self.behaviour == "stall":
            self.transport.pauseProducing()
            reactor.callLater(random.random() / 2, self.transport.resumeProducing)

    def dataReceived(self, data: bytes) -> None:
        end = self.received + len(data)
        if data != DATA[self.received : end]:
            self.transport.abortConnection()
        self.received = end
        if end == self.size and self.behaviour != "half-close":
            self.transport.loseConnection()

    def readConnectionLost(self) -> None:
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        expected = {"leave": 0, "reset": self.received}.get(self.behaviour, self.size)
        if self.received != expected:
            self.done.errback(
                AssertionError(
                    f"{self.behaviour}: {self.received} of {expected} octets: {reason.value}"
                )
            )
        elif reason.check(ConnectionDone, ConnectionLost, ConnectionAborted):
            self.done.callback(None)
        else:
            self.done.errback(reason)


async def runProcess() -> None:
    """
    Run a child that sends back what it gets, and one that is told by a signal to end.
    """
    content = DATA[: random.randrange(200_000)]
    out, err, status = await getProcessOutputAndValue("/bin/cat", stdinBytes=content)
    assert (out, err, status) == (content, b"", 0), (len(out), err, status)


async def useThreads() -> None:
    """
    Work in a thread, which has the reactor work meanwhile.
    """
    number = random.random()
    found = await deferToThread(blockingCallFromThread, reactor, lambda: number + 1)
    assert found == number + 1, (found, number)


class Echoed(DatagramProtocol):
    """
    Sends datagrams to itself, until one has come back: on loopback too, some may be dropped.
    """

    def __init__(self) -> None:
        self.done = Deferred[bytes]()
        self.content = DATA[: random.randrange(1, 9000)]

    def startProtocol(self) -> None:
        self._send()

    def _send(self) -> None:
        if not self.done.called:
            self.transport.write(self.content, ("127.0.0.1", self.transport.getHost().port))
            reactor.callLater(0.2, self._send)

    def datagramReceived(self, data: bytes, address: object) -> None:
        if not self.done.called:
            self.done.callback(data)


async def sendDatagram() -> None:
    """
    Send one, and see that it arrives.
    """
    protocol = Echoed()
    port = reactor.listenUDP(0, protocol, interface="127.0.0.1", maxPacketSize=10_000)
    received = await protocol.done
    await port.stopListening()
    assert received == protocol.content, (len(received), len(protocol.content))


WORKS = {"process": runProcess, "thread": useThreads, "datagram": sendDatagram}


def memory() -> int:
    """
    The process's resident size in KiB, without what the allocator just keeps.
    """
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def descriptors() -> int:
    """
    How many descriptors the process has.
    """
    return len(os.listdir("/proc/self/fd"))


async def soak(reactor: netkit.reactor.UvloopReactor, seconds: float, clients: int) -> None:
    """
    Run the load, then look at what is left.

    @raise SystemExit: with what was.
    """
    troubles: list[str] = []
    globalLogPublisher.addObserver(
        lambda event: (
            troubles.append(event["log_failure"].getTraceback())
            if event.get("log_failure")
            else None
        )
    )
    count = Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        factory = EchoFactory(maxConnections=0)
        ports = [
            await serverFromString(reactor, description).listen(factory)
            for description in ("tcp:0:interface=127.0.0.1", f"unix:{folder}/echo")
        ]
        endpoints = [
            clientFromString(reactor, f"tcp:127.0.0.1:{ports[0].getHost().port}"),
            clientFromString(reactor, f"unix:{folder}/echo"),
        ]

        # What the loop and Twisted open once, with the first connection, is there then.
        first = Client("talk")
        await connectProtocol(endpoints[0], first)
        await first.done
        # So too the threads of the pool.
        reactor.suggestThreadPoolSize(5)
        await gatherResults([deferToThread(time.sleep, 0.1) for _ in range(5)])
        for work in WORKS.values():
            await work()
        await later(reactor, 0.3)
        before = descriptors(), threading.active_count()

        async def client(end: float) -> None:
            while reactor.seconds() < end:
                behaviour = random.choice(["talk", "half-close", "reset", "stall", "leave"])
                count[behaviour] += 1
                protocol = Client(behaviour)
                try:
                    await connectProtocol(random.choice(endpoints), protocol)
                    await protocol.done
                except Exception as trouble:
                    troubles.append(repr(trouble))

        async def other(end: float) -> None:
            while reactor.seconds() < end:
                name, work = random.choice(list(WORKS.items()))
                count[name] += 1
                try:
                    await work()
                except Exception as trouble:
                    troubles.append(f"{name}: {trouble!r}")
                await later(reactor, 0.01)

        sizes = []
        # By the end of the first half, every buffer and cache has had its largest size.
        for _ in range(2):
            end = reactor.seconds() + seconds / 2
            runs = [client(end) for _ in range(clients)]
            runs += [other(end) for _ in range(max(clients // 10, 1))]
            await gatherResults([Deferred.fromCoroutine(each) for each in runs])
            await later(reactor, 0.5)
            sizes.append(memory())
        left = descriptors() - before[0]
        if (threads := threading.active_count()) != before[1]:
            troubles.append(f"{threads} threads, {before[1]} before")
        if process.reapProcessHandlers:
            troubles.append(f"children that were not waited for: {process.reapProcessHandlers}")
        for port in ports:
            await port.stopListening()
        print(f"{dict(count)}; KiB at half-time and at the end: {sizes}; {left} descriptors left")
        # What the allocator cannot give back goes up and down by this much.
        if sizes[1] > sizes[0] * 1.1 + 16 * 1024:
            troubles.append(f"the process grew from {sizes[0]} KiB to {sizes[1]} KiB")
        if left or factory.connections or (reading := reactor.getReaders()):
            troubles.append(f"{left} descriptors, {factory.connections}, {reading}")
    if troubles:
        print(*troubles[:10], sep="\n")
        raise SystemExit(1)


def later(reactor: netkit.reactor.UvloopReactor, seconds: float) -> Deferred[None]:
    """
    Wait.
    """
    done = Deferred[None]()
    reactor.callLater(seconds, done.callback, None)
    return done


def main(
    reactor: netkit.reactor.UvloopReactor, seconds: str = "300", clients: str = "50"
) -> object:
    """
    The command.
    """
    return Deferred.fromCoroutine(soak(reactor, float(seconds), int(clients)))


if __name__ == "__main__":
    react(main, sys.argv[1:])
