"""
What plays the other side in tests.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IHalfCloseableProtocol)
class Client(Protocol):
    """
    Keeps what it receives, closes when the server half-closes, and tells when all is over.
    """

    transport: ITCPTransport

    def __init__(self) -> None:
        self.received = bytearray()
        self.lost: Deferred[Exception] = Deferred()
        self._awaited: tuple[int, Deferred[None]] | None = None

    async def receive(self, length: int) -> bytes:
        """
        Wait until so many bytes came in all.
        """
        if len(self.received) < length:
            self._awaited = (length, Deferred())
            await self._awaited[1]
        return bytes(self.received)

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        if self._awaited is not None and len(self.received) >= self._awaited[0]:
            (_, done), self._awaited = self._awaited, None
            done.callback(None)

    def readConnectionLost(self) -> None:
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """
        Our own half-close is done.
        """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        assert isinstance(reason.value, Exception)
        self.lost.callback(reason.value)


async def connect(endpoint: IStreamClientEndpoint) -> Client:
    """
    Connect a L{Client}.
    """
    client = await endpoint.connect(Factory.forProtocol(Client))
    assert isinstance(client, Client)
    return client
