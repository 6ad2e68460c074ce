"""
C{netkit ws}: lines of standard input are messages, and messages are lines of standard output.
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import Any
from urllib.request import getproxies, proxy_bypass

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from ..base import endpoints
from ..base.tls import errorText
from ..websocket import (
    ConnectionRejected,
    HandshakeFailed,
    NotConnected,
    WebSocketClientEndpoint,
    WebSocketOptions,
)
from ..websocket.url import WebSocketURL
from ..wire.errors import LocalProtocolError
from ..wire.websocket.handshake import HANDSHAKE_FIELDS
from .arguments import seconds
from .connecting import clientEndpoint
from .conversation import Conversation
from .running import CommandFailed, tell
from .standardio import readInput
from .tls import addTrustArguments, trustFromArguments


def addArguments(parser: ArgumentParser) -> None:
    """
    Say what the verb takes.
    """
    parser.add_argument("url", metavar="URL", help="such as ws://localhost:3203/chat or wss://...")
    parser.add_argument(
        *("-b", "--binary"),
        action="store_true",
        help="lines are binary messages in hexadecimal, as binary messages are printed",
    )
    parser.add_argument(
        *("-s", "--subprotocol"),
        action="append",
        default=[],
        metavar="NAME",
        help="a subprotocol to offer; may be given several times",
    )
    parser.add_argument(
        *("-H", "--header"),
        action="append",
        default=[],
        type=_field,
        metavar="'NAME: VALUE'",
        help="a header field for the request; may be given several times",
    )
    parser.add_argument(
        "--over",
        metavar="ENDPOINT",
        help="a client endpoint to connect with, in place of the URL's own: unix:/run/chat.sock",
    )
    parser.add_argument(
        "--proxy",
        metavar="URL",
        help="an HTTP proxy to connect through, '' for none (default: as HTTP_PROXY, HTTPS_PROXY, "
        "ALL_PROXY and NO_PROXY say)",
    )
    addTrustArguments(parser)
    parser.add_argument(
        "--wait",
        type=seconds,
        default=0.5,
        metavar="SECONDS",
        help="after the end of standard input, for how long nothing has to come before the "
        "connection is closed (default: 0.5)",
    )
    parser.add_argument(
        *("-v", "--verbose"),
        action="store_true",
        help="tell on standard error of pings, pongs, the handshake and the close code",
    )


async def run(reactor: Any, arguments: Namespace) -> None:
    """
    Do it.

    @param reactor: what connects.
    @param arguments: the parsed arguments.
    @raise CommandFailed: when there is no connection, or it does not end in good order.
    """
    for name, _ in arguments.header:
        if name.lower() in HANDSHAKE_FIELDS:
            tell(f"the header field {name.decode()} is left out: it is a part of the handshake")
    conversation = Conversation(reactor, arguments.verbose)
    await _connect(reactor, arguments, conversation)
    sending = Deferred.fromCoroutine(_send(reactor, conversation, arguments))
    sending.addErrback(lambda reason: reason.trap(CancelledError))
    sending.addErrback(conversation.fail)
    try:
        await conversation.ended
    except CancelledError:
        # A signal.
        sending.cancel()
        await conversation.leave()
        raise
    finally:
        sending.cancel()


async def _connect(reactor: Any, arguments: Namespace, conversation: Conversation) -> None:
    try:
        proxy = _proxy(arguments)
        await _endpoint(reactor, arguments, proxy).connect(conversation)
    except (ValueError, LocalProtocolError) as error:
        raise CommandFailed(str(error), status=2) from error
    except (ConnectionRejected, HandshakeFailed) as error:
        raise CommandFailed(str(error)) from error
    except (ConnectionClosed, ConnectError, DNSLookupError, SSL.Error, VerificationError) as error:
        through = f" through {WebSocketURL.parse(proxy).authority}" if proxy else ""
        raise CommandFailed(f"{arguments.url}{through}: {errorText(error)}") from error


def _endpoint(reactor: Any, arguments: Namespace, proxy: str | None) -> WebSocketClientEndpoint:
    # Pieces of a message are printed as they come: its size does not matter.
    options = WebSocketOptions(maxMessageSize=0, maxFragments=0)
    if arguments.over is None:
        return WebSocketClientEndpoint.new(
            reactor,
            arguments.url,
            trustFromArguments(arguments),
            proxy=proxy,
            options=options,
            subprotocols=arguments.subprotocol,
            headers=arguments.header,
        )
    over = clientEndpoint(reactor, arguments.over, arguments)
    return WebSocketClientEndpoint.over(
        endpoints.clientEndpoint(reactor, over) if isinstance(over, str) else over,
        arguments.url,
        options=options,
        subprotocols=arguments.subprotocol,
        headers=arguments.header,
        clock=IReactorTime(reactor),
    )


def _proxy(arguments: Namespace) -> str | None:
    """
    The URL of the proxy to connect through: the one that is given, or the environment's.
    """
    if arguments.proxy is not None or arguments.over is not None:
        return arguments.proxy or None
    to = WebSocketURL.parse(arguments.url)
    proxies = getproxies()
    proxy = proxies.get("https" if to.secure else "http") or proxies.get("all")
    if proxy is None or proxy_bypass(f"{to.host}:{to.port}"):
        return None
    # As others do, take localhost:3128 for what it means.
    return proxy if "://" in proxy else f"http://{proxy}"


async def _send(reactor: Any, conversation: Conversation, arguments: Namespace) -> None:
    lines = _Lines(conversation, arguments.binary)
    try:
        await readInput(reactor, lines.take)
        lines.end()
    except OSError as error:
        raise CommandFailed(f"standard input: {error.strerror}") from error
    except NotConnected:
        # The conversation says how it ended.
        return
    while conversation.received:
        conversation.received = False
        await deferLater(reactor, arguments.wait)
    conversation.finish()


class _Lines:
    """
    Makes messages of what is read.
    """

    def __init__(self, conversation: Conversation, binary: bool) -> None:
        self._conversation = conversation
        self._binary = binary
        self._rest = b""
        self._number = 0

    def take(self, data: bytes) -> Deferred[None]:
        """
        Send the lines that are whole.

        @return: fires when there is room for more.
        """
        first, *others = data.split(b"\n")
        if others:
            self._line(self._rest + first)
            *whole, self._rest = others
            for line in whole:
                self._line(line)
            self._conversation.sent()
        else:
            self._rest += first
        return self._conversation.backpressure.ready()

    def end(self) -> None:
        """
        Send the last line, which may have no end.
        """
        if self._rest:
            self._line(self._rest)

    def _line(self, line: bytes) -> None:
        self._number += 1
        line = line.removesuffix(b"\r")
        try:
            if self._binary:
                self._conversation.transport.sendBytesMessage(bytes.fromhex(line.decode("ascii")))
            else:
                self._conversation.transport.sendTextMessage(line.decode())
        except ValueError as error:
            form = "hexadecimal" if self._binary else "UTF-8; --binary takes hexadecimal"
            raise CommandFailed(
                f"line {self._number} of standard input is not {form}: {error}", status=2
            ) from error


def _field(text: str) -> tuple[bytes, bytes]:
    name, colon, value = text.partition(":")
    if not colon or not name:
        raise ArgumentTypeError(f"{text!r} is not a header field such as 'Origin: https://x'")
    return name.encode(), value.strip().encode()
