"""
Autobahn|Python on asyncio and uvloop, with its native extensions (NVX).

    python autobahn_websocket.py [--deflate] [--broadcast] PORT
"""

from __future__ import annotations

import asyncio
import os
import sys

os.environ["AUTOBAHN_USE_NVX"] = "1"

import txaio
import uvloop

txaio.use_asyncio()
from autobahn.asyncio.websocket import (  # noqa: E402
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from autobahn.websocket.compress import (  # noqa: E402
    PerMessageDeflateOffer,
    PerMessageDeflateOfferAccept,
)


class Echo(WebSocketServerProtocol):
    """
    Sends each message back.
    """

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.sendMessage(payload, isBinary)


class Broadcast(WebSocketServerProtocol):
    """
    Sends each message to everybody.
    """

    everybody: set[WebSocketServerProtocol] = set()

    def onOpen(self) -> None:
        self.everybody.add(self)

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        self.everybody.discard(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        prepared = self.factory.prepareMessage(payload, isBinary)
        for connection in self.everybody:
            connection.sendPreparedMessage(prepared)


def accept(offers: list[object]) -> object:
    """
    Agree to compression.
    """
    for offer in offers:
        if isinstance(offer, PerMessageDeflateOffer):
            return PerMessageDeflateOfferAccept(offer)
    return None


async def main() -> None:
    """
    Listen.
    """
    *flags, port = sys.argv[1:]
    factory = WebSocketServerFactory()
    factory.protocol = Broadcast if "--broadcast" in flags else Echo
    factory.setProtocolOptions(openHandshakeTimeout=0, tcpNoDelay=True)
    if "--deflate" in flags:
        factory.setProtocolOptions(perMessageCompressionAccept=accept)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, "127.0.0.1", int(port), backlog=4096)
    await server.serve_forever()


uvloop.run(main())
