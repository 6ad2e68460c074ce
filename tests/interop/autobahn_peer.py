"""
An echo server, or a client that has everything echoed, on Autobahn|Python: C{server} or
C{client URL [CERTIFICATE]}, the one to trust.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
    connectWS,
)
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateOfferAccept,
    PerMessageDeflateResponse,
    PerMessageDeflateResponseAccept,
)
from twisted.internet import reactor as globalReactor
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates

MESSAGES: list[tuple[bytes, bool]] = [
    (b"", False),
    ("zwölf € 🚀".encode(), False),
    (b"x" * 70_000, False),
    (bytes(range(256)) * 4096, True),
]


class Echo(WebSocketServerProtocol):  # type: ignore[misc] # it has no annotations
    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if payload.startswith(b"close "):
            self.sendClose(int(payload[6:]), "as asked")
        else:
            self.sendMessage(payload, isBinary)


class Client(WebSocketClientProtocol):  # type: ignore[misc] # it has no annotations
    def onOpen(self) -> None:
        self.left = list(MESSAGES)
        self.sendMessage(*self.left[0])

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        assert (payload, isBinary) == self.left.pop(0)
        if self.left:
            self.sendMessage(*self.left[0])
        else:
            self.sendClose(4711, "enough")

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        extensions = [extension.EXTENSION_NAME for extension in self.websocket_extensions_in_use]
        print(wasClean, code, len(self.left), *extensions)
        print(reason, file=sys.stderr)
        globalReactor.stop()


def offer(response: Any) -> Any:
    if isinstance(response, PerMessageDeflateResponse):
        return PerMessageDeflateResponseAccept(response)
    return None


def accept(offers: Any) -> Any:
    for one in offers:
        if isinstance(one, PerMessageDeflateOffer):
            return PerMessageDeflateOfferAccept(one)
    return None


def main() -> None:
    reactor: Any = globalReactor
    if sys.argv[1] == "client":
        factory = WebSocketClientFactory(sys.argv[2])
        factory.protocol = Client
        factory.setProtocolOptions(
            perMessageCompressionOffers=[PerMessageDeflateOffer()],
            perMessageCompressionAccept=offer,
            # A busy machine takes longer than the second that it allows.
            closeHandshakeTimeout=60,
            serverConnectionDropTimeout=60,
        )
        trusted = [Certificate.loadPEM(Path(path).read_bytes()) for path in sys.argv[3:]]
        trustRoot = trustRootFromCertificates(trusted)
        connectWS(factory, optionsForClientTLS(factory.host, trustRoot))
    else:
        factory = WebSocketServerFactory()
        factory.protocol = Echo
        factory.setProtocolOptions(perMessageCompressionAccept=accept)
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        print(f"listens on {port.getHost().port}", flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
