"""
netkit's WebSocket, through WebSocketFactory.
"""

from __future__ import annotations

from twisted.python.failure import Failure
from twisted_listen import serve

import netkit.websocket
from netkit.websocket import (
    WebSocketFactory,
    WebSocketOptions,
    WebSocketProtocol,
    WebSocketRequest,
    WebSocketTransport,
)


class Echo(WebSocketProtocol):
    """
    Sends each message back.
    """

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self.transport = transport

    def textMessageReceived(self, message: str) -> None:
        self.transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        self.transport.sendBytesMessage(data)


class Broadcast(WebSocketProtocol):
    """
    Sends each message to everybody.
    """

    everybody: set[WebSocketTransport] = set()

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self.transport = transport
        self.everybody.add(transport)

    def connectionLost(self, reason: Failure) -> None:
        self.everybody.discard(self.transport)

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        netkit.websocket.broadcast(bytes(data), self.everybody)


class Application:
    """
    Makes the application's side of each connection.
    """

    def __init__(self, protocol: type[Echo | Broadcast]) -> None:
        self._protocol = protocol

    def buildProtocol(self, request: WebSocketRequest) -> Echo | Broadcast:
        """
        Make one.
        """
        return self._protocol()


serve(
    lambda flags: WebSocketFactory(
        Application(Broadcast if "broadcast" in flags else Echo),
        options=WebSocketOptions(
            maxMessageSize=2**24,
            deflate="deflate" in flags,
            deflateLevel=1 if "fastest" in flags else 6,
        ),
    )
)
