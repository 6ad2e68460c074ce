"""
twisted.web.websocket: a WebSocket server.
"""

from __future__ import annotations

from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from twisted.web.websocket import WebSocketProtocol, WebSocketResource, WebSocketTransport
from twisted_listen import serve


class Echo(WebSocketProtocol):
    """
    Sends each message back.
    """

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self.transport = transport

    def textMessageReceived(self, message: str) -> None:
        self.transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        self.transport.sendBytesMessage(bytes(data))


class Broadcast(WebSocketProtocol):
    """
    Sends each message to everybody.
    """

    # No set: the transports cannot be hashed.
    everybody: dict[int, WebSocketTransport] = {}

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self.everybody[id(self)] = transport

    def connectionLost(self, reason: Failure) -> None:
        del self.everybody[id(self)]

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        for transport in self.everybody.values():
            transport.sendBytesMessage(bytes(data))


class Application:
    """
    Makes the application's side of each connection.
    """

    def __init__(self, protocol: type[Echo | Broadcast]) -> None:
        self._protocol = protocol

    def buildProtocol(self, request: Request) -> Echo | Broadcast:
        """
        Make one.
        """
        return self._protocol()


class QuietSite(Site):
    """
    Logs nothing.
    """

    noisy = False

    def log(self, request: Request) -> None:
        """
        Log nothing.
        """


def makeSite(flags: set[str]) -> QuietSite:
    """
    Make the site, with the WebSocket at its root.
    """
    root = Resource()
    root.putChild(b"", WebSocketResource(Application(Broadcast if "broadcast" in flags else Echo)))
    return QuietSite(root)


serve(makeSite)
