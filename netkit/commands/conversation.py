"""
The connection of C{netkit ws}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ..base.backpressure import Backpressure
from ..base.deadlines import Deadline
from ..base.tls import errorText
from ..websocket import WebSocketClosed, WebSocketProtocol, WebSocketTransport
from .display import displayFor
from .running import CommandFailed, tell
from .standardio import StandardOutput

# How many octets may wait to be printed before no more are read.
_UNPRINTED = 2**16

# The close codes of an end in good order.
_GOOD = (1000, 1001, 1005)

# How many seconds the peer has to answer a Close frame: when our input has ended, and when a
# signal ends it all.
_CLOSE_TIMEOUT = 5.0
_LEAVE_TIMEOUT = 1.0


class Conversation(WebSocketProtocol):
    """
    Prints what is received.

    @ivar backpressure: whether the peer takes what is sent.
    @ivar ended: fires when it is closed in good order, and all is printed; or fails.
    @ivar received: whether something came since this was last set to false.
    """

    transport: WebSocketTransport
    received = True
    _open = False

    def __init__(self, reactor: Any, verbose: bool) -> None:
        """
        @param reactor: what prints and tells the time.
        @param verbose: whether to tell of what is no message.
        """
        self.backpressure = Backpressure()
        self.ended: Deferred[None] = Deferred()
        self._reactor = reactor
        self._output = StandardOutput(reactor)
        self._display = displayFor()
        self._verbose = verbose
        self._unprinted = b""
        self._printing: Deferred[None] | None = None
        # Runs from our Close frame to the peer's.
        self._closing = Deadline(reactor, self._unanswered)
        # Why it ends, where that is known before the connection is lost.
        self._reason: Failure | None = None
        # How the connection ended, while not all is printed.
        self._result: tuple[Failure | None] | None = None

    def buildProtocol(self, url: str) -> Conversation:
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
        Nothing more is sent: print what still comes until the peer closes, which it has to soon.
        """
        self.transport.detachProducer()
        self.transport.loseWriteConnection()
        self._closing.start(_CLOSE_TIMEOUT)

    async def leave(self) -> None:
        """
        Close in good order, but soon, whatever may still come and whoever does not read.
        """
        self.ended = Deferred()
        self.transport.detachProducer()
        self.transport.loseConnection(1001, "the user left")
        deadline = Deadline(self._reactor, lambda: self.fail(Failure(CommandFailed())))
        deadline.start(_LEAVE_TIMEOUT)
        try:
            await self.ended
        finally:
            deadline.stop()

    def sent(self) -> None:
        """
        What was read from standard input is sent.
        """
        self._print(self._display.sent())

    # From the transport, as its application

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self.transport = transport

    def negotiationFinished(self) -> None:
        self._open = True
        self.transport.attachProducer(self.backpressure)
        self._print(self._display.begin())
        subprotocol = self.transport.subprotocol
        self._tell(f"connected{f', speaking {subprotocol}' if subprotocol else ''}")

    def textPieceReceived(self, text: str, finished: bool) -> None:
        self.received = True
        self._print(self._display.received(text, finished))

    def bytesPieceReceived(self, data: bytes, finished: bool) -> None:
        self.received = True
        self._print(self._display.received(data.hex(), finished))

    def pingReceived(self, payload: bytes) -> None:
        self._tell(f"ping {payload.hex()}")

    def pongReceived(self, payload: bytes) -> None:
        self._tell(f"pong {payload.hex()}")

    def connectionLost(self, reason: Failure) -> None:
        if not self._open:
            # Connecting fails, with more to say about it.
            return
        self._closing.stop()
        message = errorText(reason.value)
        self._tell(message)
        failure = self._reason
        if failure is None and not (
            isinstance(reason.value, WebSocketClosed) and reason.value.code in _GOOD
        ):
            failure = Failure(CommandFailed(message))
        self._result = (failure,)
        self._print(self._display.end())

    def _unanswered(self) -> None:
        if self._printing is not None:
            # Nothing is read while what was read waits: that is not the peer's fault.
            self._closing.start(_CLOSE_TIMEOUT)
            return
        self._reason = Failure(
            CommandFailed(f"the peer did not answer our Close frame in {_CLOSE_TIMEOUT:g} seconds")
        )
        self.transport.abortConnection()

    def _print(self, data: bytes) -> None:
        self._unprinted += data
        if self._printing is None:
            self._printUnprinted()
        elif len(self._unprinted) > _UNPRINTED:
            self.transport.pauseProducing()

    def _printUnprinted(self) -> None:
        data, self._unprinted = self._unprinted, b""
        if data:
            self._printing = Deferred.fromCoroutine(self._output.write(data))
            self._printing.addCallbacks(self._printed, self._notPrinted)
        elif self._result is not None:
            self._end(*self._result)
        else:
            self.transport.resumeProducing()

    def _printed(self, result: None) -> None:
        self._printing = None
        self._printUnprinted()

    def _notPrinted(self, reason: Failure) -> None:
        self._printing = None
        self.fail(reason)

    def _end(self, failure: Failure | None) -> None:
        if self.ended.called:
            return
        if failure is None:
            self.ended.callback(None)
        else:
            self.ended.errback(failure)

    def _tell(self, what: str) -> None:
        if not self._verbose:
            return
        shown = self._display.told(what)
        if shown is None:
            tell(what)
        else:
            self._print(shown)
