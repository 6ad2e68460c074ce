"""
The twistd plugin C{netkit-websocket}.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.python.usage import UsageError

from ..websocket import (
    WebSocketFactory,
    WebSocketOptions,
    WebSocketProtocol,
    WebSocketRequest,
    WebSocketTransport,
)
from ..websocket.arguments import checkOrigins, checkPath, checkSubprotocols
from .listening import ListeningService, listeningService
from .options import ServiceOptions, seconds, wholeNumber

_DEFAULTS = WebSocketOptions()

# Options, the fields of WebSocketOptions that they set, and what checks their values at first.
_LIMITS: tuple[tuple[str, str, Callable[[str], Any], str], ...] = (
    *(
        (option, field, wholeNumber(option), help)
        for option, field, help in (
            ("max-message-size", "maxMessageSize", "Bytes of a message; 0 for no limit."),
            ("max-fragments", "maxFragments", "Frames of a message; 0 for no limit."),
            ("max-handshake-size", "maxHandshakeSize", "Bytes of the head of a handshake."),
            ("deflate-level", "deflateLevel", "zlib's level, 1 (fastest) to 9 (smallest)."),
            (
                "deflate-window-bits",
                "deflateWindowBits",
                "Compression windows of 2^N bytes, 8-15.",
            ),
        )
    ),
    *(
        (option, field, seconds(option), help)
        for option, field, help in (
            ("open-timeout", "openTimeout", "Seconds that a handshake may take; 0 for ever."),
            ("close-timeout", "closeTimeout", "Seconds that closing may take; 0 for ever."),
            ("ping-interval", "pingInterval", "Seconds between pings; 0 for none."),
            ("ping-timeout", "pingTimeout", "Seconds to answer a ping in; 0 for ever."),
        )
    ),
)


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
        *(
            [option, None, getattr(_DEFAULTS, field), help, check]
            for option, field, check, help in _LIMITS
        ),
    ]
    optFlags = [
        ["no-deflate", None, "Agree to no compression."],
        ["no-context-takeover", None, "Compress each message by itself: for less memory."],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["subprotocol"] = []
        self["origin"] = []

    def opt_subprotocol(self, name: str) -> None:
        """
        A subprotocol to agree to. May be given several times.
        """
        self["subprotocol"].append(name)

    def opt_origin(self, origin: str) -> None:
        """
        A web origin that browsers may connect from, such as https://example.com; any by default.
        May be given several times.
        """
        self["origin"].append(origin)

    def postOptions(self) -> None:
        super().postOptions()
        if self["path"] is not None:
            try:
                checkPath(os.fsencode(self["path"]))
            except ValueError as error:
                raise UsageError(
                    "--path is a path as in a URL, such as /chat, without a query, not "
                    f"{self['path']!r}"
                ) from error
        try:
            checkSubprotocols(self["subprotocol"])
        except ValueError as error:
            raise UsageError(f"--subprotocol: {error}") from error
        try:
            checkOrigins(self["origin"])
        except ValueError as error:
            raise UsageError(f"--origin: {error}") from error
        for option, field, _, _ in _LIMITS:
            try:
                WebSocketOptions(**{field: self[option]})
            except ValueError as error:
                raise UsageError(str(error).replace(field, f"--{option}", 1)) from error

    def webSocketOptions(self) -> WebSocketOptions:
        """
        How connections are to behave.
        """
        return WebSocketOptions(
            deflate=not self["no-deflate"],
            deflateContextTakeover=not self["no-context-takeover"],
            **{field: self[option] for option, field, _, _ in _LIMITS},
        )


class EchoMessages(WebSocketProtocol):
    """
    Sends each message back.
    """

    _transport: WebSocketTransport

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self._transport = transport

    def textMessageReceived(self, message: str) -> None:
        self._transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        self._transport.sendBytesMessage(data)


class EchoApplication:
    """
    Makes an L{EchoMessages} for each connection.
    """

    def buildProtocol(self, request: WebSocketRequest) -> EchoMessages:
        """
        Make what receives a connection's messages.
        """
        return EchoMessages()


def makeService(options: Options) -> ListeningService:
    """
    Make the WebSocket service.
    """
    path = options["path"]
    return listeningService(
        options,
        WebSocketFactory(
            EchoApplication(),
            path=None if path is None else os.fsencode(path),
            subprotocols=options["subprotocol"],
            origins=options["origin"] or None,
            options=options.webSocketOptions(),
            **options.limits(),
        ),
    )
