"""
One HTTP connection.

Requests are answered one after another. The receiver keeps what has arrived, and is asked for the
next event only when somebody wants it: for a head when the request before is answered and the
client takes its answers, for content when the handler reads it. While something waits there that
nobody wants, the client is not read from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..addresses import addressText
from ..server import ServerProtocol
from ..wire.errors import LocalProtocolError, RemoteProtocolError
from ..wire.http import Content, EndOfMessage, RequestHead, RequestReceiver
from ..wire.http.response import CONTINUE, ContentEncoder
from .flow import WriteFlow
from .handover import HandedOver
from .request import Request
from .response import Response, Upgrade, errorResponse
from .sending import sendContent

if TYPE_CHECKING:
    from .factory import HTTPFactory

_log = Logger()

# After an answer that did not wait for the content, this many octets of it are read and dropped
# to keep the connection; for more, closing it is cheaper.
_MAX_DISCARDED = 65536


class HTTPProtocol(ServerProtocol):
    """
    Answers the requests of one connection by the factory's handler.
    """

    factory: HTTPFactory
    # The request that is being answered, what the handler returned for it, and who waits for a
    # piece of its content.
    _request: Request | None = None
    _answer: Deferred[Any] | None = None
    _waiting: Deferred[bytes] | None = None
    # What the printer will show of it.
    _octets: bytearray | None = None
    # The client waits for 100 (Continue).
    _expected = False
    # The rest of its content is read and dropped: the answer is written.
    _discarding = False
    # What the connection was handed over to.
    _upgraded: HandedOver | None = None
    # The client closed its half.
    _ended = False
    # No request will follow.
    _closing = False
    _advancing = False
    _paused = False
    _deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:
        super().connectionMade()
        self._receiver = RequestReceiver(self.factory.limits)
        self._reading = IPushProducer(self.transport)
        self._flow = WriteFlow(self.transport, self._relieved)

    def dataReceived(self, data: bytes) -> None:
        self.silentSweeps = 0
        if self._upgraded is not None:
            self._upgraded.dataReceived(data)
        elif not self.lingering:
            self._receiver.receive(data)
            self._advance()

    def readConnectionLost(self) -> None:
        if self._upgraded is not None:
            self._upgraded.readConnectionLost()
        elif self.lingering:
            self.transport.loseConnection()
        else:
            self._ended = True
            self._receiver.receive_end()
            self._advance()

    def writeConnectionLost(self) -> None:
        if self._upgraded is not None:
            self._upgraded.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        if self._upgraded is not None:
            self._upgraded.connectionLost(reason)
            return
        self._closing = True
        self._endDeadline()
        if self._request is None:
            return
        _log.info(
            "{peer} was lost while {request} was answered: {reason}",
            peer=addressText(self.transport.getPeer()),
            request=self._request,
            reason=reason.getErrorMessage(),
        )
        answer = self._answer
        self._forgetRequest()
        if answer is not None:
            answer.cancel()

    def timedOut(self) -> None:
        if self._upgraded is not None:
            # How long its silence may be is for the other protocol to say.
            self.silentSweeps = 0
        elif self._request is None or self._flow.congested:
            super().timedOut()
        elif self._waiting is not None or self._discarding:
            self._endDeadline()
            self._expire(self.factory.idleTimeout)
        else:
            # The handler takes its time; the client does nothing wrong.
            self.silentSweeps = 0

    def serviceStopping(self) -> None:
        if self._upgraded is not None:
            self._upgraded.serviceStopping()
            return
        self._closing = True
        if self._request is None:
            self._close(lingering=False)

    def lingeringClose(self) -> None:
        self._resume()
        super().lingeringClose()

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
            self.transport.write(CONTINUE)
        self._expected = False
        self._advance()
        return waiting

    def _stoppedWaiting(self, waiting: Deferred[bytes]) -> None:
        self._waiting = None

    def _relieved(self) -> None:
        self.silentSweeps = 0
        self._advance()

    # What arrives.

    def _advance(self) -> None:
        """
        Take what has arrived for as long as somebody wants it.
        """
        if self._advancing:
            return
        self._advancing = True
        try:
            while self._wanting():
                event = self._receiver.next_event()
                if event is None:
                    break
                if isinstance(event, RequestHead):
                    self._headReceived(event)
                elif isinstance(event, Content):
                    self._contentReceived(event)
                else:
                    self._messageEnded(event)
        except RemoteProtocolError as error:
            self._refuse(error)
        finally:
            self._advancing = False
        self._settle()

    def _wanting(self) -> bool:
        if self._request is None:
            return not (self._closing or self._flow.congested)
        return self._waiting is not None or self._discarding

    def _headReceived(self, head: RequestHead) -> None:
        self._endDeadline()
        self._request = request = Request(head, self)
        framing = head.framing
        if framing.content_length or framing.chunked:
            self._expected = framing.expects_continue
            if self.factory.printer is not None:
                self._octets = bytearray(head.raw)
        else:
            self._receiver.next_event()
            request.complete = True
            if self.factory.printer is not None:
                self.factory.printer.received(self.transport.getPeer(), head.raw)
        if head.method in self.factory.refusedMethods:
            raise RemoteProtocolError(f"the method {head.method!r} is not implemented here", 501)
        try:
            answer = self.factory.handler(request)
        except Exception:
            self._handlerFailed(Failure(), request)
            return
        if isinstance(answer, (Response, Upgrade)):
            self._respond(answer, request)
            return
        try:
            deferred: Deferred[Any] = ensureDeferred(answer)
        except TypeError:
            self._handlerFailed(Failure(), request)
            return
        self._answer = deferred
        deferred.addCallback(self._answered, request)
        deferred.addErrback(self._handlerFailed, request)

    def _contentReceived(self, event: Content) -> None:
        if self._octets is not None:
            self._octets += event.raw
        # Some octets are chunk framing alone.
        if event.data and self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(event.data)

    def _messageEnded(self, event: EndOfMessage) -> None:
        self._endDeadline()
        request = self._request
        assert request is not None
        request.complete = True
        request.trailers = event.trailers
        if self._octets is not None and self.factory.printer is not None:
            self._octets += event.raw
            self.factory.printer.received(self.transport.getPeer(), self._octets)
            self._octets = None
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(b"")
        elif self._discarding:
            self._finish()

    def _refuse(self, error: RemoteProtocolError) -> None:
        """
        What arrived cannot be understood, or was too much, or took too long: this connection is
        over after one more answer.
        """
        self._closing = True
        if self._waiting is not None:
            # The handler's read fails of it, and the handler, as it likes, with it.
            waiting, self._waiting = self._waiting, None
            waiting.errback(Failure(error))
            return
        if not self._discarding:
            self._answerError(error)
        self._close(lingering=True)

    def _answerError(self, error: RemoteProtocolError) -> None:
        _log.warn(
            "{peer} refused with {status}: {reason}",
            peer=addressText(self.transport.getPeer()),
            status=error.code,
            reason=str(error),
        )
        self._write(errorResponse(error.code, str(error)))

    def _settle(self) -> None:
        """
        Nothing more can be done now: see to what makes it go on.
        """
        waitsForHead = self._request is None
        if waitsForHead:
            if self._closing:
                return
            if self._ended and not self._flow.congested:
                self._close(lingering=False)
                return
        if not self._receiver.buffered or self._wanting():
            self._resume()
        elif not (self._paused or self._ended):
            self._paused = True
            self._reading.pauseProducing()
        if self._deadline is not None or not self._wanting():
            return
        if not waitsForHead:
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
                RemoteProtocolError(f"the head did not arrive within {seconds} seconds", 408)
            )
        elif self._waiting is not None:
            self._refuse(
                RemoteProtocolError(f"the content did not arrive within {seconds} seconds", 408)
            )
        elif self._discarding:
            self.transport.abortConnection()

    # What is answered.

    def _answered(self, answer: Response | Upgrade, request: Request) -> None:
        if not isinstance(answer, (Response, Upgrade)):
            raise TypeError(f"the handler answered {answer!r}, which is no Response")
        self._respond(answer, request)

    def _handlerFailed(self, failure: Failure, request: Request) -> None:
        if request is not self._request:
            # The client is gone, and the handler was told so.
            if not failure.check(CancelledError, ConnectionLost):
                self._logFailure(failure, request)
            return
        if isinstance(failure.value, RemoteProtocolError):
            self._takeBuffered(request)
            self._answerError(failure.value)
            self._finish()
            return
        self._logFailure(failure, request)
        self._respond(errorResponse(500, "the server failed to answer this request"), request)

    def _logFailure(self, failure: Failure, request: Request) -> None:
        _log.failure("The handler failed to answer {request}", failure, request=request)

    def _respond(self, response: Response | Upgrade, request: Request) -> None:
        if request is not self._request:
            return
        if isinstance(response, Upgrade):
            self._upgrade(response, request)
            return
        if response.streamed and response.hasContent(request.head):
            self._send(response, request)
            return
        if not request.complete:
            self._takeBuffered(request)
        self._write(response)
        self._sent(request)

    def _sent(self, request: Request) -> None:
        if request.complete or self._closing:
            self._finish()
        else:
            self._discarding = True
            self._advance()

    def _write(self, response: Response) -> None:
        """
        Write a response to the request under way, or to what was no request.
        """
        head = None if self._request is None else self._request.head
        if head is not None and not head.framing.keep_alive:
            self._closing = True
        self.transport.write(response.encoded(head, self.factory.dateLine(), not self._closing))

    def _send(self, response: Response, request: Request) -> None:
        """
        Write a response whose content comes little by little. Meanwhile the content of the
        request can still be read.
        """
        head = request.head
        trailers = response.trailers if request.takesTrailers else None
        encoder = ContentEncoder(head.minor, None if trailers else response.length)
        if not (head.framing.keep_alive and encoder.keeps_connection):
            self._closing = True
        self.transport.write(
            response.encodedHead(head, self.factory.dateLine(), not self._closing, encoder.line)
        )

        async def send() -> None:
            await sendContent(response.content, encoder, self.transport.write, self._flow)
            self.transport.write(encoder.finish(trailers() if trailers else ()))

        self._answer = sending = Deferred.fromCoroutine(send())
        sending.addCallback(self._sendingEnded, request)
        sending.addErrback(self._sendingFailed, request)

    def _sendingEnded(self, result: None, request: Request) -> None:
        if request is not self._request:
            return
        if not request.complete:
            self._takeBuffered(request)
        self._sent(request)

    def _sendingFailed(self, failure: Failure, request: Request) -> None:
        """
        That the content is not whole can only be told by the connection's end.
        """
        if isinstance(failure.value, RemoteProtocolError):
            _log.warn(
                "{peer} refused while it was answered: {reason}",
                peer=addressText(self.transport.getPeer()),
                reason=str(failure.value),
            )
        elif request is self._request or not failure.check(CancelledError, ConnectionLost):
            self._logFailure(failure, request)
        if request is self._request:
            self._forgetRequest()
            self._closing = True
            self.transport.abortConnection()

    def _upgrade(self, upgrade: Upgrade, request: Request) -> None:
        """
        Hand the connection over.
        """
        if not request.complete:
            self._takeBuffered(request)
        offered = request.head.framing.upgrade or upgrade.head is None
        if not (request.complete and offered):
            error = LocalProtocolError(f"{request} cannot be answered by an upgrade")
            self._handlerFailed(Failure(error), request)
            return
        self._forgetRequest()
        self._closing = True
        self._flow.end()
        self._resume()
        rest = self._receiver.detach()
        if upgrade.head is None:
            rest = request.rawHead + rest
        else:
            self.transport.write(upgrade.head)
        self._upgraded = HandedOver(upgrade.protocol, self.transport)
        if rest:
            self._upgraded.dataReceived(rest)
        if self._ended:
            self._upgraded.readConnectionLost()

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
        except RemoteProtocolError:
            self._closing = True
        remaining = self._receiver.remaining
        # A client that waits for 100 (Continue) may or may not send the content now.
        if self._expected or remaining is None or remaining > _MAX_DISCARDED:
            self._closing = True

    def _finish(self) -> None:
        """
        The request under way is answered, and its content is taken unless the connection closes.
        """
        request = self._request
        assert request is not None
        self._forgetRequest()
        if self._closing:
            self._close(lingering=not request.complete or bool(self._receiver.buffered))
        else:
            self._advance()

    def _forgetRequest(self) -> None:
        self._request = self._answer = self._octets = None
        self._expected = self._discarding = False
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.errback(ConnectionLost("the request is over"))

    def _close(self, lingering: bool) -> None:
        self._closing = True
        self._endDeadline()
        self._flow.end()
        if lingering and not self._ended:
            self.lingeringClose()
        else:
            self.transport.loseConnection()
