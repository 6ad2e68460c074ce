"""
The twistd plugin C{netkit-websocket}.
"""

from __future__ import annotations

from twisted.python.usage import UsageError

from ..interfaces import IPrinter
from ..websocket import (
    WebSocketFactory,
    WebSocketOptions,
    WebSocketProtocol,
    WebSocketRequest,
    WebSocketTransport,
)
from ..wire.websocket.handshake import is_subprotocol
from .listening import ListeningService, listeningService
from .options import ServiceOptions, wholeNumber


class Options(ServiceOptions):
    """
    The command line of C{netkit-websocket}.
    """

    service = "websocket"
    defaultEndpoint = "tcp:3203:interface=127.0.0.1"
    # Where one message ends and the next begins is a part of what arrived.
    defaultFormat = "json"

    optParameters = [
        ["path", "p", None, "The only path to serve; any by default."],
        [
            "max-message-size",
            None,
            2**20,
            "How many bytes a message may have; 0 for no limit.",
            wholeNumber("max-message-size"),
        ],
    ]
    optFlags = [["no-deflate", None, "Agree to no compression."]]

    def __init__(self) -> None:
        super().__init__()
        self["subprotocol"] = []

    def opt_subprotocol(self, name: str) -> None:
        """
        A subprotocol to agree to. May be given several times.
        """
        self["subprotocol"].append(name)

    def postOptions(self) -> None:
        super().postOptions()
        path = self["path"]
        if path is not None and not (path.startswith("/") and path.isascii() and "?" not in path):
            raise UsageError(f"--path is a path such as /chat, without a query, not {path!r}")
        for name in self["subprotocol"]:
            if not is_subprotocol(name):
                raise UsageError(f"--subprotocol is a token such as chat.v1, not {name!r}")


class EchoMessages(WebSocketProtocol):
    """
    Sends each message back, and shows it.
    """

    _transport: WebSocketTransport

    def __init__(self, printer: IPrinter | None) -> None:
        """
        @param printer: what shows each message; nothing if L{None}.
        """
        self._printer = printer

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self._transport = transport

    def textMessageReceived(self, message: str) -> None:
        self._transport.sendTextMessage(message)
        if self._printer is not None:
            self._printer.received(self._transport.getPeer(), message.encode())

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        self._transport.sendBytesMessage(data)
        if self._printer is not None:
            self._printer.received(self._transport.getPeer(), data)


class EchoApplication:
    """
    Makes an L{EchoMessages} for each connection.
    """

    def __init__(self, printer: IPrinter | None) -> None:
        """
        @param printer: as in L{EchoMessages}.
        """
        self._printer = printer

    def buildProtocol(self, request: WebSocketRequest) -> EchoMessages:
        """
        Make what receives a connection's messages.
        """
        return EchoMessages(self._printer)


def makeService(options: Options) -> ListeningService:
    """
    Make the WebSocket service.
    """
    path = options["path"]

    def makeFactory(printer: IPrinter | None) -> WebSocketFactory:
        return WebSocketFactory(
            EchoApplication(printer),
            path=None if path is None else path.encode(),
            subprotocols=options["subprotocol"],
            options=WebSocketOptions(
                maxMessageSize=options["max-message-size"], deflate=not options["no-deflate"]
            ),
            **options.limits(),
        )

    return listeningService(options, makeFactory)
