"""
The other end of a TLS connection, and the transport between: both in memory.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from netkit.tls import (
    CertificateFiles,
    Certificates,
    ServerContexts,
    TLSFactory,
    TLSProtocol,
)


class Wire(StringTransport):
    """
    A transport that tells its producer when what was written is taken from it.
    """

    def take(self) -> bytes:
        data: bytes = self.value()
        self.clear()
        if self.producer is not None and not self.streaming:
            self.producer.resumeProducing()
        return data


class Peer:
    """
    A peer by Python's own C{ssl}.

    @ivar received: what it was sent.
    @ivar ended: whether the other end's close_notify came.
    """

    def __init__(self, context: ssl.SSLContext, *, server: bool = False, name: str = "x") -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self._incoming, self._outgoing, server, None if server else name
        )
        self.received = b""
        self.ended = False

    def take(self) -> bytes:
        return self._outgoing.read()

    def feed(self, data: bytes) -> None:
        self._incoming.write(data)
        try:
            while not self.ended:
                piece = self.tls.read(2**16)
                self.received += piece
                self.ended = not piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self.tls.write(view) :]

    def closeNotify(self) -> None:
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()


@implementer(IHalfCloseableProtocol)
class Application(Protocol):
    """
    What speaks under TLS.

    @ivar events: what it was told, in order; what was received in a row is one event.
    @ivar lost: why the connection was lost.
    """

    transport: Any

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.lost: Failure | None = None

    def connectionMade(self) -> None:
        self.events.append("made")

    def handshakeCompleted(self) -> None:
        self.events.append("agreed")

    def dataReceived(self, data: bytes) -> None:
        if isinstance(self.events[-1], bytes):
            self.events[-1] += data
        else:
            self.events.append(data)

    def readConnectionLost(self) -> None:
        self.events.append("peer ended")

    def writeConnectionLost(self) -> None:
        self.events.append("all sent")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


def clientContext(**options: Any) -> ssl.SSLContext:
    """
    A client's context, which believes anybody.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name, value in options.items():
        setattr(context, name, value)
    return context


class _One(Factory[Any]):
    """
    Has one protocol.
    """

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: object) -> Protocol:
        return self._protocol


class Link:
    """
    A server of ours, and a client that is linked to it.

    @ivar application: what speaks on the server.
    @ivar protocol: TLS there.
    @ivar wire: the server's transport.
    """

    def __init__(
        self,
        pem: Path,
        application: Protocol | None = None,
        *,
        context: ssl.SSLContext | None = None,
        name: str = "x",
        split: Callable[[bytes], list[bytes]] = lambda data: [data],
        protocol: type[TLSProtocol] = TLSProtocol,
        **options: Any,
    ) -> None:
        self.clock = Clock()
        self.application: Any = Application() if application is None else application
        certificates = Certificates(CertificateFiles(pem, pem))
        factory = TLSFactory(
            _One(self.application),
            ServerContexts(certificates, self.clock, **options),
            self.clock,
        )
        factory.protocol = protocol
        self.peer = Peer(context or clientContext(), name=name)
        self.wire = Wire()
        self.protocol: TLSProtocol = factory.buildProtocol(None)
        self._split = split
        self.protocol.makeConnection(self.wire)

    def send(self) -> None:
        """
        Have what the client said arrive.
        """
        for piece in self._split(self.peer.take()):
            self.protocol.dataReceived(piece)

    def receive(self) -> None:
        """
        Have what the server said arrive.
        """
        for piece in self._split(self.wire.take()):
            self.peer.feed(piece)

    def shake(self) -> None:
        """
        Agree on TLS.
        """
        for _ in range(3):
            with suppress(ssl.SSLWantReadError):
                self.peer.tls.do_handshake()
            self.send()
            for piece in self._split(self.wire.take()):
                self.peer._incoming.write(piece)
        self.peer.feed(b"")
        assert self.protocol.handshakeDone

    def lose(self, reason: type[Exception] = ConnectionDone) -> None:
        """
        End the transport.
        """
        self.protocol.connectionLost(Failure(reason()))


__all__ = ["Application", "ConnectionLost", "Link", "Peer", "Wire", "clientContext"]
