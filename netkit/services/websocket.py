"""
The twistd plugin C{netkit-websocket}.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.python.usage import UsageError

from ..inspector.services import AnswerChange, fieldsJSON, octetsJSON
from ..operation.figures import Conversations, Pings
from ..operation.supervisor import supervisor
from ..websocket import (
    Acceptance,
    Conversation,
    NotConnected,
    Rejection,
    WebSocketFactory,
    WebSocketOptions,
    WebSocketProtocol,
    WebSocketRequest,
    WebSocketTransport,
)
from ..websocket.arguments import checkOrigins, checkPath, checkSubprotocols
from ..websocket.protocol import Decision
from ..wire.errors import LocalProtocolError
from .listening import PluginService, each, listeningService, makeAccessLog
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
            ("deflate-level", "deflateLevel", "Compression, 1 (fastest) to 9 (smallest)."),
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
    Sends each message back, or another answer where there is one.
    """

    _transport: WebSocketTransport

    def __init__(self, application: EchoApplication) -> None:
        """
        @param application: what says what to answer.
        """
        self._application = application

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self._transport = transport

    def textMessageReceived(self, message: str) -> None:
        if self._application.changed:
            self._application.answer(self._transport, message)
        else:
            self._transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        if self._application.changed:
            self._application.answer(self._transport, bytes(data))
        else:
            self._transport.sendBytesMessage(data)


class EchoApplication:
    """
    Makes an L{EchoMessages} for each connection. What is answered can be changed.

    @ivar changed: whether something else than what came is answered, or later.
    """

    def __init__(self, clock: IReactorTime | None = None) -> None:
        """
        @param clock: what tells the time; the global reactor by default.
        """
        if clock is None:
            from twisted.internet import reactor

            clock = IReactorTime(reactor)
        self.changed = False
        self._clock = clock
        self._status = 101
        self._fields: tuple[tuple[bytes, bytes], ...] = ()
        self._content: bytes | None = None
        self._delay = 0.0

    def acceptConnection(self, request: WebSocketRequest) -> Decision:
        """
        Decide about a request for a WebSocket.
        """
        if self._status != 101:
            return Rejection(status=self._status, headers=self._fields, body=self._content or b"")
        return Acceptance(headers=self._fields) if self._fields else None

    def buildProtocol(self, request: WebSocketRequest) -> EchoMessages:
        """
        Make what receives a connection's messages.
        """
        return EchoMessages(self)

    def answer(self, transport: WebSocketTransport, message: str | bytes) -> None:
        """
        Answer a message.
        """
        answer: str | bytes = message
        if self._content is not None:
            try:
                answer = self._content.decode()
            except UnicodeDecodeError:
                answer = self._content
        if self._delay:
            self._clock.callLater(self._delay, _send, transport, answer)
        else:
            _send(transport, answer)

    def answerJSON(self) -> dict[str, Any]:
        """
        What is answered, for an inspector.
        """
        return {
            "status": self._status,
            "fields": fieldsJSON(self._fields),
            "content": None if self._content is None else octetsJSON(self._content),
            "delay": self._delay,
        }

    def changeAnswer(self, change: AnswerChange) -> None:
        """
        Answer something else from now on.

        @raise ValueError: that cannot be answered; nothing changes.
        """
        status = self._status if change.status is None else change.status
        fields = self._fields if change.fields is None else tuple(change.fields)
        if status != 101 and not 400 <= status <= 599:
            raise ValueError(f"the status is 101, or 400 to 599 to refuse, not {status}")
        try:
            if status == 101:
                Acceptance(headers=fields)
            else:
                Rejection(status=status, headers=fields)
        except LocalProtocolError as error:
            raise ValueError(str(error)) from error
        self._status, self._fields = status, fields
        if change.content is not None or change.echo:
            self._content = change.content
        if change.delay is not None:
            self._delay = change.delay
        self.changed = self._content is not None or self._delay > 0

    def resetAnswer(self) -> None:
        """
        Answer as at the start.
        """
        self.changeAnswer(AnswerChange(101, (), None, True, 0.0))


def _send(transport: WebSocketTransport, message: str | bytes) -> None:
    try:
        if isinstance(message, str):
            transport.sendTextMessage(message)
        else:
            transport.sendBytesMessage(message)
    except NotConnected:
        # It was closed meanwhile.
        pass


def makeService(options: Options) -> PluginService:
    """
    Make the WebSocket service.
    """
    from twisted.internet import reactor

    path = options["path"]
    behavior = options.webSocketOptions()
    application = EchoApplication()
    accessLog = makeAccessLog(options)
    told: list[Callable[[Conversation], None]] = []
    if options["metrics"] is not None:
        conversations = Conversations()
        supervisor(reactor).addFigures(lambda: conversations.figures(options.service))
        told.append(conversations.count)
        pings = Pings()
        supervisor(reactor).addFigures(lambda: pings.figures(options.service))
        behavior = replace(behavior, pingAnswered=pings.count)
    if accessLog is not None:
        told.append(accessLog.log)
    return listeningService(
        options,
        WebSocketFactory(
            application,
            path=None if path is None else os.fsencode(path),
            subprotocols=options["subprotocol"],
            origins=options["origin"] or None,
            options=behavior,
            conversationDone=each(told),
            **options.limits(),
        ),
        answer=application,
        accessLog=accessLog,
        counted=accessLog is not None or options["metrics"] is not None,
    )
