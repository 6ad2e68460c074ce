"""
Any Twisted protocol over WebSocket: its octets are the binary messages' content, in order; where
one message ends and the next begins means nothing.

What a byte stream has and WebSocket has not is the half-close. Here C{loseWriteConnection} sends
the Close frame and goes on receiving, and a protocol that knows half-closes
(L{IHalfCloseableProtocol}) answers the peer's Close frame when it closes, not before: RFC 6455
section 5.5.1 lets it send until then. Two netkits so have half-closes in full; another peer
answers a Close frame at once, which ends the connection in both directions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IProducer,
    IProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from ..wire.websocket.codes import CloseCode
from ..wire.websocket.lifecycle import NotConnected
from .connection import WebSocketConnection
from .protocol import WebSocketProtocol, WebSocketTransport

# A message is at most this large, so that any peer takes it.
_MESSAGE = 2**16


@implementer(ITCPTransport, IConsumer, IPushProducer)
class WebSocketStream(WebSocketProtocol):
    """
    The application of a WebSocket, and the transport of a protocol.

    @ivar protocol: the protocol.
    @ivar disconnecting: whether the protocol has closed the connection.
    """

    disconnecting = False
    _producing = False
    _connected = False

    def __init__(self, protocol: IProtocol) -> None:
        """
        @param protocol: what to connect.
        """
        self.protocol = protocol

    # From the WebSocket

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        assert isinstance(transport, WebSocketConnection)
        self._socket: WebSocketConnection = transport

    def negotiationFinished(self) -> None:
        self._connected = True
        self.protocol.makeConnection(self)

    def bytesPieceReceived(self, data: bytes, finished: bool) -> None:
        if data:
            self.protocol.dataReceived(data)

    def textPieceReceived(self, text: str, finished: bool) -> None:
        self._socket.loseConnection(
            CloseCode.UNSUPPORTED_DATA, "only binary messages are taken here"
        )

    def closeReceived(self, code: int, reason: str) -> None:
        """
        The peer sends nothing more.
        """
        if code == CloseCode.NORMAL_CLOSURE and IHalfCloseableProtocol.providedBy(self.protocol):
            IHalfCloseableProtocol(self.protocol).readConnectionLost()
        else:
            self._socket.loseConnection(
                CloseCode.NORMAL_CLOSURE if code == CloseCode.NO_STATUS_RECEIVED else code
            )

    def connectionLost(self, reason: Failure) -> None:
        if self._connected:
            self._connected = False
            self.protocol.connectionLost(reason)

    # From the protocol

    def write(self, data: bytes) -> None:
        """
        Send octets, in messages of at most 64 KiB.
        """
        if self.disconnecting:
            return
        try:
            if len(data) > _MESSAGE:
                for start in range(0, len(data), _MESSAGE):
                    self._socket.sendBytesMessage(data[start : start + _MESSAGE])
            elif data:
                self._socket.sendBytesMessage(data)
        except NotConnected:
            # A protocol may write until it is told of the end, also where its transport knows.
            self.disconnecting = True

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        Send octets.
        """
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """
        Close, once all that was written is sent and no producer is registered.
        """
        self.disconnecting = True
        if not self._producing:
            self._socket.loseConnection()

    def loseWriteConnection(self) -> None:
        """
        Send nothing more, and go on receiving.
        """
        self.disconnecting = True
        self._socket.loseWriteConnection()

    def abortConnection(self) -> None:
        """
        Cut the connection.
        """
        self.disconnecting = True
        self._socket.abortConnection()

    def getPeer(self) -> Any:
        """
        The peer's address.
        """
        return self._socket.getPeer()

    def getHost(self) -> Any:
        """
        Our address.
        """
        return self._socket.getHost()

    def getTcpNoDelay(self) -> bool:
        """
        As the connection below has it.
        """
        return bool(self._socket.transport.getTcpNoDelay())

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        Set it for the connection below.
        """
        self._socket.transport.setTcpNoDelay(enabled)

    def getTcpKeepAlive(self) -> bool:
        """
        As the connection below has it.
        """
        return bool(self._socket.transport.getTcpKeepAlive())

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        Set it for the connection below.
        """
        self._socket.transport.setTcpKeepAlive(enabled)

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Let a producer write as fast as the peer takes it.
        """
        self._socket.attachProducer(producer, streaming)
        self._producing = True

    def unregisterProducer(self) -> None:
        """
        Undo L{registerProducer}.
        """
        if not self._producing:
            return
        self._producing = False
        self._socket.detachProducer()
        if self.disconnecting:
            self._socket.loseConnection()

    def pauseProducing(self) -> None:
        """
        Read no more.
        """
        self._socket.pauseProducing()

    def resumeProducing(self) -> None:
        """
        Read again.
        """
        self._socket.resumeProducing()

    def stopProducing(self) -> None:
        """
        Close.
        """
        self.loseConnection()
