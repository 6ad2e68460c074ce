"""
C{netkit ws}: lines of standard input are messages, and messages are lines of standard output.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from ..websocket import (
    ConnectionRejected,
    HandshakeFailed,
    WebSocketClientEndpoint,
    WebSocketClosed,
    WebSocketOptions,
    WebSocketProtocol,
    WebSocketTransport,
)
from ..wire.errors import LocalProtocolError
from .running import CommandFailed
from .standardio import Output, readInput

SUMMARY = "Talk to a WebSocket: each line of standard input is a message, each message is printed."

# How many octets may wait to be printed before no more are read.
_UNPRINTED = 2**16

# The close codes of an end in good order.
_GOOD = (1000, 1001, 1005)

# The exit status of a filter whose reader has gone: 128 and SIGPIPE.
_NOBODY_READS = 141


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
    parser.add_argument("--proxy", metavar="URL", help="an HTTP proxy to connect through")
    parser.add_argument(
        "--wait",
        type=_seconds,
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
    session = _Session(reactor, arguments.verbose)
    await _connect(reactor, arguments, session)
    sending = Deferred.fromCoroutine(_send(reactor, session, arguments))
    sending.addErrback(session.fail)
    try:
        await session.ended
    finally:
        sending.cancel()


async def _connect(reactor: Any, arguments: Namespace, session: _Session) -> None:
    try:
        await _endpoint(reactor, arguments).connect(session)
    except (ValueError, LocalProtocolError) as error:
        raise CommandFailed(str(error), status=2) from error
    except (ConnectionRejected, HandshakeFailed, ConnectError, DNSLookupError) as error:
        raise CommandFailed(str(error)) from error
    except ConnectionClosed as error:
        raise CommandFailed(f"the connection was lost: {error}") from error


def _endpoint(reactor: Any, arguments: Namespace) -> WebSocketClientEndpoint:
    # Pieces of a message are printed as they come: its size does not matter.
    options = WebSocketOptions(maxMessageSize=0, maxFragments=0)
    if arguments.over is not None:
        return WebSocketClientEndpoint.over(
            clientFromString(reactor, arguments.over),
            arguments.url,
            options=options,
            subprotocols=arguments.subprotocol,
            headers=arguments.header,
            clock=IReactorTime(reactor),
        )
    return WebSocketClientEndpoint.new(
        reactor,
        arguments.url,
        proxy=arguments.proxy,
        options=options,
        subprotocols=arguments.subprotocol,
        headers=arguments.header,
    )


async def _send(reactor: Any, session: _Session, arguments: Namespace) -> None:
    lines = _Lines(session, arguments.binary)
    try:
        await readInput(reactor, lines.take)
        lines.end()
    except OSError as error:
        raise CommandFailed(f"standard input: {error.strerror}") from error
    while session.received:
        session.received = False
        await deferLater(reactor, arguments.wait)
    session.finish()


class _Lines:
    """
    Makes messages of what is read.
    """

    def __init__(self, session: _Session, binary: bool) -> None:
        self._session = session
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
        else:
            self._rest += first
        return self._session.room()

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
                self._session.transport.sendBytesMessage(bytes.fromhex(line.decode("ascii")))
            else:
                self._session.transport.sendTextMessage(line.decode())
        except ValueError as error:
            form = "hexadecimal" if self._binary else "UTF-8; --binary takes hexadecimal"
            raise CommandFailed(
                f"line {self._number} of standard input is not {form}: {error}", status=2
            ) from error


@implementer(IPushProducer)
class _Session(WebSocketProtocol):
    """
    The connection: prints what is received, and says when it takes no more.

    @ivar ended: fires when it is closed in good order, or fails.
    @ivar received: whether something came since this was last set to false.
    """

    transport: WebSocketTransport
    received = True
    _open = False

    def __init__(self, reactor: Any, verbose: bool) -> None:
        self.ended: Deferred[None] = Deferred()
        self._output = Output(reactor)
        self._verbose = verbose
        self._room: Deferred[None] | None = None
        self._unprinted = b""
        self._printing: Deferred[None] | None = None
        # How the connection ended, while not all is printed.
        self._result: tuple[Failure | None] | None = None

    def buildProtocol(self, url: str) -> _Session:
        """
        There is one connection.
        """
        return self

    def fail(self, reason: Failure) -> None:
        """
        Something else than the connection ends it all.
        """
        self.transport.abortConnection()
        self._end(reason)

    def finish(self) -> None:
        """
        Nothing more is sent: print what still comes until the peer closes.
        """
        self.transport.detachProducer()
        self.transport.loseWriteConnection()

    def room(self) -> Deferred[None]:
        """
        Wait until the peer takes more.
        """
        done: Deferred[None] = Deferred(lambda _: None)
        if self._room is None:
            done.callback(None)
        else:
            self._room.chainDeferred(done)
        return done

    # From the transport, as a producer

    def pauseProducing(self) -> None:
        self._room = Deferred()

    def resumeProducing(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.callback(None)

    def stopProducing(self) -> None:
        """
        The connection is lost, of which C{connectionLost} tells.
        """

    # From the transport, as its application

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self.transport = transport

    def negotiationFinished(self) -> None:
        self._open = True
        self.transport.attachProducer(self)
        subprotocol = self.transport.subprotocol
        self._tell(f"connected{f', speaking {subprotocol}' if subprotocol else ''}")

    def textPieceReceived(self, text: str, finished: bool) -> None:
        self._print(text.encode() + b"\n" * finished)

    def bytesPieceReceived(self, data: bytes, finished: bool) -> None:
        self._print(data.hex().encode() + b"\n" * finished)

    def pingReceived(self, payload: bytes) -> None:
        self._tell(f"ping {payload.hex()}")

    def pongReceived(self, payload: bytes) -> None:
        self._tell(f"pong {payload.hex()}")

    def connectionLost(self, reason: Failure) -> None:
        if not self._open:
            # Connecting fails, with more to say about it.
            return
        self._tell(reason.getErrorMessage())
        failure = None
        if not (isinstance(reason.value, WebSocketClosed) and reason.value.code in _GOOD):
            failure = Failure(CommandFailed(reason.getErrorMessage()))
        if self._printing is None:
            self._end(failure)
        else:
            self._result = (failure,)

    def _print(self, data: bytes) -> None:
        self.received = True
        self._unprinted += data
        if self._printing is None:
            self._printUnprinted()
        elif len(self._unprinted) > _UNPRINTED:
            self.transport.pauseProducing()

    def _printUnprinted(self) -> None:
        data, self._unprinted = self._unprinted, b""
        self._printing = self._output.write(data)
        self._printing.addCallbacks(self._printed, self._notPrinted)

    def _printed(self, result: None) -> None:
        self._printing = None
        if self._unprinted:
            self._printUnprinted()
        elif self._result is not None:
            self._end(*self._result)
            return
        self.transport.resumeProducing()

    def _notPrinted(self, reason: Failure) -> None:
        self._printing = None
        error = reason.value
        if isinstance(error, BrokenPipeError):
            self.fail(Failure(CommandFailed(status=_NOBODY_READS)))
        else:
            self.fail(Failure(CommandFailed(f"standard output: {reason.getErrorMessage()}")))

    def _end(self, failure: Failure | None) -> None:
        if self.ended.called:
            return
        if failure is None:
            self.ended.callback(None)
        else:
            self.ended.errback(failure)

    def _tell(self, what: str) -> None:
        if self._verbose:
            sys.stderr.write(f"{what}\n")


def _field(text: str) -> tuple[bytes, bytes]:
    name, colon, value = text.partition(":")
    if not colon or not name:
        raise ArgumentTypeError(f"{text!r} is not a header field such as 'Origin: https://x'")
    return name.encode(), value.strip().encode()


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number of seconds, 0 or more")
    return seconds
