"""
The requests of one HTTP connection, as they arrive and as far as somebody wants them.

The receiver keeps what has arrived, and is asked for the next event only when somebody wants it:
for a head when the request before is answered and the client takes its answers, for content when
the handler reads it. While more waits there than a little that nobody wants, the client is not
read from; with less it is, since the end of what it sends is behind that.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IPushProducer

from ..base.budget import BudgetExceededError
from ..server import ServerProtocol
from ..wire.errors import HTTPProtocolError
from ..wire.http import Content, EndOfMessage, RequestHead, RequestReceiver
from ..wire.http.response import CONTINUE
from .flow import WriteFlow
from .request import Request

if TYPE_CHECKING:
    from .factory import HTTPFactory

# After an answer that did not wait for the content, this many octets of it are read and dropped
# to keep the connection; for more, closing it is cheaper.
_MAX_DISCARDED = 65536

# While nobody wants what arrives, reading goes on until this many octets wait: only so is it
# noticed that the client leaves.
_READ_AHEAD = 65536


class ReceivingProtocol(ServerProtocol):
    """
    Receives the requests of one connection, one after another. What is done about them is for
    L{HTTPProtocol <netkit.http.protocol.HTTPProtocol>} to say.
    """

    factory: HTTPFactory

    def __init__(self) -> None:
        # Not as defaults in the class: CPython's fast access is for attributes it does not have.
        # The request that is being answered, and what the handler returned for it.
        self._request: Request | None = None
        self._answer: Deferred[Any] | None = None
        # Somebody else's part of the answer is awaited: the handler's, or a piece of the content,
        # which has started then.
        self._awaiting = self._started = False
        # Who waits for a piece of its content.
        self._waiting: Deferred[bytes] | None = None
        # What the printer will show of it.
        self._octets: bytearray | None = None
        # The client waits for 100 (Continue).
        self._expected = False
        # The rest of its content is read and dropped: the answer is written.
        self._discarding = False
        # The client closed its half.
        self._ended = False
        # No request will follow.
        self._closing = False
        self.lingering = False
        self._advancing = False
        self._paused = False
        self._deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:
        super().connectionMade()
        self._receiver = RequestReceiver(self.factory.limits)
        # What is kept of that which arrived and nobody wanted yet, and of the contents.
        self._unread = self.factory.budget.share()
        self._contents = self.factory.budget.share()
        self._reading = IPushProducer(self.transport)
        self._flow = WriteFlow(self.transport, self._relieved)

    @abstractmethod
    def _requestReceived(self, request: Request) -> None:
        """
        The head of a request has arrived.
        """

    @abstractmethod
    def _refuse(self, error: HTTPProtocolError) -> None:
        """
        What arrived cannot be understood, or was too much, or took too long.
        """

    @abstractmethod
    def _logRefusal(self, error: HTTPProtocolError) -> None:
        """
        Say in the log what the client is refused for.
        """

    @abstractmethod
    def _sent(self, request: Request) -> None:
        """
        The answer is written: what is left of the request is dropped.
        """

    def nextContent(self, request: Request) -> Deferred[bytes]:
        """
        Wait for a piece of a request's content, empty at its end.

        @param request: the request, which has to be the one that is being answered.
        """
        waiting = Deferred[bytes](self._stoppedWaiting)
        if request is not self._request or self._discarding:
            waiting.errback(ConnectionLost("the request is over, its content is gone"))
            return waiting
        self._waiting = waiting
        if self._expected and not self._receiver.buffered:
            self._flow.write(CONTINUE)
        self._expected = False
        self._advance()
        return waiting

    def keepContent(self, length: int) -> None:
        """
        Say that so much more of the request under way is kept until that is over.

        @param length: how many octets.
        @raise HTTPProtocolError: 503: all connections together would keep too much.
        """
        try:
            self._contents.keep(self._contents.kept + length)
        except BudgetExceededError as error:
            self._octets = None
            raise self._overBudget(error) from error

    def _stoppedWaiting(self, waiting: Deferred[bytes]) -> None:
        self._waiting = None

    def _relieved(self) -> None:
        self.idleTicks = 0
        self._advance()

    def _advance(self) -> None:
        """
        Take what has arrived for as long as somebody wants it.
        """
        if self._advancing:
            return
        self._advancing = True
        starved = False
        try:
            while not starved:
                if self._request is None:
                    if self._closing or self._flow.congested:
                        break
                    if not self._receiver.buffered:
                        starved = True
                        break
                elif self._waiting is None and not self._discarding:
                    break
                event = self._receiver.next_event()
                if event is None:
                    starved = True
                elif isinstance(event, RequestHead):
                    self._headReceived(event)
                elif isinstance(event, Content):
                    self._contentReceived(event)
                else:
                    self._messageEnded(event)
        except HTTPProtocolError as error:
            self._refuse(error)
            # The handler may read on, in vain.
            starved = self._waiting is not None
        finally:
            if self._flow.held:
                self._flow.flush()
            self._advancing = False
        if self._receiver.buffered != self._unread.kept:
            self._keepUnread()
        self._settle(starved)

    def _keepUnread(self) -> None:
        """
        Count what nobody wanted yet; where it is too much for all connections together, drop it.
        """
        try:
            self._unread.keep(self._receiver.buffered)
        except BudgetExceededError as exceeded:
            error = self._overBudget(exceeded)
            self._unread.keep(0)
            if self._request is None or self._waiting is not None or self._discarding:
                self._refuse(error)
            else:
                # The handler gets to know of it when it reads, the client by the connection's end
                # behind the answer.
                self._closing = True
                self._logRefusal(error)

    def _overBudget(self, exceeded: BudgetExceededError) -> HTTPProtocolError:
        """
        Take nothing more from this client.

        @return: what to refuse it with.
        """
        error = HTTPProtocolError(str(exceeded), 503)
        self._receiver.refuse(error)
        return error

    def _headReceived(self, head: RequestHead) -> None:
        if self._deadline is not None:
            self._endDeadline()
        self._request = request = Request(head, self)
        printer = self.factory.printer
        if not request.complete:
            self._expected = head.framing.expects_continue
            if printer is not None:
                self._octets = bytearray(head.raw)
                self.keepContent(len(self._octets))
        elif printer is not None:
            printer.received(self.transport.getPeer(), head.raw)
        self._requestReceived(request)

    def _contentReceived(self, event: Content) -> None:
        assert self._request is not None
        self._request.touched = True
        if self._octets is not None:
            self.keepContent(len(event.raw))
            self._octets += event.raw
        # Some octets are chunk framing alone.
        if event.data and self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(event.data)

    def _messageEnded(self, event: EndOfMessage) -> None:
        self._endDeadline()
        request = self._request
        assert request is not None
        request.touched = request.complete = True
        request.trailers = event.trailers
        if self._octets is not None and self.factory.printer is not None:
            self._octets += event.raw
            self.factory.printer.received(self.transport.getPeer(), self._octets)
            self._octets = None
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(b"")
        elif self._discarding:
            self._sent(request)

    def _takeBuffered(self, request: Request) -> None:
        """
        The request is answered before its content was read. Drop what has arrived of that, and
        see whether the rest is worth waiting for (RFC 9112 section 9.3).
        """
        try:
            while not request.complete:
                event = self._receiver.next_event()
                if isinstance(event, Content):
                    self._contentReceived(event)
                elif isinstance(event, EndOfMessage):
                    self._messageEnded(event)
                else:
                    break
        except HTTPProtocolError:
            self._closing = True
        remaining = self._receiver.remaining
        # A client that waits for 100 (Continue) may or may not send the content now.
        if self._expected or remaining is None or remaining > _MAX_DISCARDED:
            self._closing = True

    def _forgetRequest(self) -> None:
        """
        The request under way is over.
        """
        self._request = self._answer = self._octets = None
        self._expected = self._discarding = self._awaiting = self._started = False
        if self._contents.kept:
            self._contents.keep(0)
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.errback(ConnectionLost("the request is over"))

    def _settle(self, starved: bool) -> None:
        """
        Nothing more can be done now: see to what makes it go on.

        @param starved: whether more was wanted than has arrived.
        """
        if self._request is None:
            if self._closing:
                return
            if self._flow.congested:
                starved = False
            elif self._ended:
                self._close(lingering=False)
                return
        if starved or self._receiver.buffered < _READ_AHEAD:
            if self._paused:
                self._resume()
        elif not (self._paused or self._ended):
            self._paused = True
            self._reading.pauseProducing()
        if not starved or self._deadline is not None:
            return
        if self._request is not None:
            self._startDeadline(self.factory.contentTimeout)
        elif self._receiver.buffered:
            self._startDeadline(self.factory.headTimeout)

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._reading.resumeProducing()

    def _startDeadline(self, seconds: float) -> None:
        self._deadline = self.factory.clock.callLater(seconds, self._expire, seconds)

    def _endDeadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self, seconds: float) -> None:
        self._deadline = None
        if self._request is None:
            self._refuse(
                HTTPProtocolError(f"the head did not arrive within {seconds:g} seconds", 408)
            )
        elif self._waiting is not None:
            self._refuse(
                HTTPProtocolError(f"the content did not arrive within {seconds:g} seconds", 408)
            )
        elif self._discarding:
            self.transport.abortConnection()

    def _close(self, lingering: bool) -> None:
        """
        Close after what is written.

        @param lingering: whether the client may still be sending.
        """
        self._closing = True
        self._endDeadline()
        self._flow.end()
        if lingering and not self._ended:
            self.lingeringClose()
        else:
            self.transport.loseConnection()
