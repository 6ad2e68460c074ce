"""
Two connected protocols on a reactor.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, connectProtocol, serverFromString
from twisted.internet.interfaces import IFileDescriptorReceiver, IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from netkit.reactor import UvloopReactor


class Peer(Protocol):
    """
    Writes down what happens to it.

    @ivar pieces: what arrived, as it was delivered.
    @ivar events: which callbacks were called.
    @ivar lost: fires with the reason when the connection is lost.
    """

    transport: Any

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.events: list[str] = []
        self.lost = Deferred[BaseException | None]()
        self._awaited: tuple[int, Deferred[None]] | None = None

    @property
    def received(self) -> bytes:
        return b"".join(self.pieces)

    def connectionMade(self) -> None:
        self.events.append("made")

    def dataReceived(self, data: bytes) -> None:
        self.pieces.append(data)
        if self._awaited is not None and len(self.received) >= self._awaited[0]:
            (_, done), self._awaited = self._awaited, None
            done.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.events.append("lost")
        self.lost.callback(reason.value)

    async def receive(self, length: int) -> bytes:
        """
        Wait for so many octets.
        """
        if len(self.received) < length:
            self._awaited = (length, Deferred())
            await self._awaited[1]
        return self.received


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Peer):
    """
    A peer that is told of each half.
    """

    def readConnectionLost(self) -> None:
        self.events.append("read lost")

    def writeConnectionLost(self) -> None:
        self.events.append("write lost")


@implementer(IFileDescriptorReceiver)
class Receiver(Peer):
    """
    A peer that takes descriptors.
    """

    def __init__(self) -> None:
        super().__init__()
        self.descriptor = Deferred[int]()

    def fileDescriptorReceived(self, descriptor: int) -> None:
        self.descriptor.callback(descriptor)


@asynccontextmanager
async def connected(
    reactor: UvloopReactor,
    kind: str,
    client: Peer | None = None,
    server: Peer | None = None,
) -> AsyncIterator[tuple[Any, Any]]:
    """
    A connection of the given kind (C{tcp} or C{unix}): its client's and its server's protocol. It
    is closed at the end, if it is not by then.
    """
    client, server = client or Peer(), server or Peer()
    accepted = Deferred[None]()
    inMade: Callable[[], None] = server.connectionMade

    def made() -> None:
        inMade()
        accepted.callback(None)

    server.connectionMade = made  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        where = "tcp:0:interface=127.0.0.1" if kind == "tcp" else f"unix:{folder}/s"
        port = await serverFromString(reactor, where).listen(Factory.forProtocol(lambda: server))
        where = f"tcp:127.0.0.1:{port.getHost().port}" if kind == "tcp" else f"unix:{folder}/s"
        await connectProtocol(clientFromString(reactor, where), client)
        await accepted
        await port.stopListening()
        try:
            yield client, server
        finally:
            for peer in (client, server):
                if not peer.lost.called:
                    peer.transport.abortConnection()
                    await peer.lost


def later(reactor: UvloopReactor, seconds: float = 0) -> Deferred[None]:
    """
    Wait; by default, for the next turn.
    """
    done = Deferred[None]()
    reactor.callLater(seconds, done.callback, None)
    return done
