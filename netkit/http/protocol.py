"""
One HTTP connection: its requests are answered one after another.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..base.addresses import addressText
from ..base.failures import releaseFrames
from ..base.switching import SwitchedProtocol
from ..wire.errors import HTTPProtocolError, LocalProtocolError
from ..wire.http import RequestHead
from ..wire.http.fields import show
from ..wire.http.response import ContentEncoder
from .receiving import ReceivingProtocol
from .request import Request
from .response import Response, Upgrade, errorResponse
from .sending import sendContent

_log = Logger()

_ANSWERS = (Response, Upgrade)


class HTTPProtocol(ReceivingProtocol):
    """
    Answers the requests of one connection by the factory's handler.
    """

    def __init__(self) -> None:
        super().__init__()
        # What the connection was handed over to.
        self._upgraded: SwitchedProtocol | None = None

    def dataReceived(self, data: bytes) -> None:
        self.idleTicks = 0
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
            self._endIfGone()

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
        self._receiver.detach()
        self._unread.keep(0)
        if self._request is None:
            return
        _log.info(
            "{peer} was lost while {request} was answered: {reason}",
            peer=addressText(self.transport.getPeer()),
            request=self._request,
            reason=reason.getErrorMessage(),
        )
        self._cancel()

    def _cancel(self) -> None:
        """
        The client is gone: give up the request under way, and what its handler awaits.
        """
        answer = self._answer
        self._forgetRequest()
        if answer is not None:
            answer.cancel()

    def _endIfGone(self) -> None:
        """
        After the end of what the client sends nothing is awaited for it: that it has gone away is
        seen by nothing else.
        """
        if not self._awaiting or not self._ended or self.factory.allowHalfOpen:
            return
        _log.info(
            "{peer} closed the connection while {request} was answered",
            peer=addressText(self.transport.getPeer()),
            request=self._request,
        )
        started = self._started
        self._closing = True
        self._cancel()
        if started:
            # Less than all of an answer: only so is that told in every framing.
            self.transport.abortConnection()
        else:
            self._close(lingering=False)

    def timedOut(self) -> None:
        if self._upgraded is not None:
            # How long its silence may be is for the other protocol to say.
            self.idleTicks = 0
        elif self._request is None or self._flow.congested:
            super().timedOut()
        elif self._waiting is not None or self._discarding:
            self._endDeadline()
            self._expire(self.factory.idleTimeout)
        else:
            # The handler takes its time; the client does nothing wrong.
            self.idleTicks = 0

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

    def _requestReceived(self, request: Request) -> None:
        factory = self.factory
        method = request.head.method
        if method in factory.refusedMethods:
            raise HTTPProtocolError(f"the method {show(method)} is not implemented here", 501)
        try:
            answer = factory.handler(request)
        except Exception:
            self._handlerFailed(Failure(), request)
            return
        if isinstance(answer, _ANSWERS):
            self._respond(answer, request)
            return
        try:
            deferred: Deferred[Any] = ensureDeferred(answer)
        except TypeError:
            self._handlerFailed(Failure(_noAnswer(answer)), request)
            return
        self._answer = deferred
        self._awaiting = True
        deferred.addCallback(self._answered, request)
        deferred.addErrback(self._handlerFailed, request)
        self._endIfGone()

    def _answered(self, answer: Response | Upgrade, request: Request) -> None:
        if not isinstance(answer, _ANSWERS):
            raise _noAnswer(answer)
        self._respond(answer, request)

    def _respond(self, answer: Response | Upgrade, request: Request) -> None:
        if request is not self._request:
            return
        self._awaiting = False
        if isinstance(answer, Upgrade):
            self._upgrade(answer, request)
        elif answer.streamed and answer.hasContent(request.head):
            self._send(answer, request)
        else:
            if not request.complete:
                self._takeBuffered(request)
            self._write(answer, request.head)
            self._sent(request)

    def _write(self, response: Response, head: RequestHead | None) -> None:
        """
        Write a response to a request, or to what was none.
        """
        method = self._receiver.method if head is None else head.method
        if response.closes or not (head is None or head.framing.keep_alive):
            self._closing = True
        octets = response.encoded(method, head, self.factory.dateLine(), not self._closing)
        self._flow.write(octets, more=self._receiver.buffered > 0)

    def _send(self, response: Response, request: Request) -> None:
        """
        Write a response whose content comes little by little. Meanwhile the content of the
        request can still be read.
        """
        head = request.head
        trailers = response.trailers if request.takesTrailers else None
        encoder = ContentEncoder(head.minor, None if trailers else response.length)
        if response.closes or not (head.framing.keep_alive and encoder.keeps_connection):
            self._closing = True
        flow = self._flow
        flow.write(
            response.encodedHead(head, self.factory.dateLine(), not self._closing, encoder.line)
        )

        async def send() -> None:
            await sendContent(response.content, encoder, flow)
            flow.write(encoder.finish(trailers() if trailers else ()))

        self._answer = sending = Deferred.fromCoroutine(send())
        # What is all there waits for the client alone.
        self._awaiting = self._started = not isinstance(response.content, bytes)
        sending.addCallback(self._sendingEnded, request)
        sending.addErrback(self._sendingFailed, request)
        self._endIfGone()

    def _sendingEnded(self, result: None, request: Request) -> None:
        if request is not self._request:
            return
        if not request.complete:
            self._takeBuffered(request)
        self._sent(request)

    def _sent(self, request: Request) -> None:
        if request.complete or self._closing:
            self._forgetRequest()
            if self._closing:
                self._close(lingering=not request.complete or bool(self._receiver.buffered))
        else:
            self._discarding = True
        if not self._advancing:
            self._advance()

    def _upgrade(self, upgrade: Upgrade, request: Request) -> None:
        """
        Hand the connection over.
        """
        if upgrade.head is None:
            possible = not request.touched
        else:
            if not request.complete:
                self._takeBuffered(request)
            possible = request.complete and request.head.framing.upgrade
        if not possible:
            error = LocalProtocolError(f"{request} cannot be answered by an upgrade")
            self._handlerFailed(Failure(error), request)
            return
        self._forgetRequest()
        self._closing = True
        self._flow.end()
        self._resume()
        rest = self._receiver.detach()
        self._unread.keep(0)
        if upgrade.head is None:
            rest = request.rawHead + rest
        else:
            self.transport.write(upgrade.head)
        self._upgraded = SwitchedProtocol(upgrade.protocol, self.transport)
        if rest:
            self._upgraded.dataReceived(rest)
        if self._ended:
            self._upgraded.readConnectionLost()

    def _refuse(self, error: HTTPProtocolError) -> None:
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
        self._forgetRequest()
        self._close(lingering=True)

    def _logRefusal(self, error: HTTPProtocolError) -> None:
        _log.warn(
            "{peer} refused with {status}: {reason}",
            peer=addressText(self.transport.getPeer()),
            status=error.status,
            reason=str(error),
        )

    def _answerError(self, error: HTTPProtocolError) -> None:
        self._logRefusal(error)
        head = None if self._request is None else self._request.head
        self._write(errorResponse(error.status, str(error)), head)

    def _handlerFailed(self, failure: Failure, request: Request) -> None:
        if request is not self._request:
            # The client is gone, and the handler was told so.
            if not failure.check(CancelledError, ConnectionLost):
                self._logFailure(failure, request)
            releaseFrames(failure)
            return
        releaseFrames(failure)
        if isinstance(failure.value, HTTPProtocolError):
            self._takeBuffered(request)
            self._answerError(failure.value)
            self._sent(request)
            return
        self._logFailure(failure, request)
        self._respond(errorResponse(500, "the server failed to answer this request"), request)

    def _sendingFailed(self, failure: Failure, request: Request) -> None:
        """
        That the content is not whole can only be told by the connection's end.
        """
        if isinstance(failure.value, HTTPProtocolError):
            _log.warn(
                "{peer} refused while it was answered: {reason}",
                peer=addressText(self.transport.getPeer()),
                reason=str(failure.value),
            )
        elif request is self._request or not failure.check(CancelledError, ConnectionLost):
            self._logFailure(failure, request)
        releaseFrames(failure)
        if request is self._request:
            self._forgetRequest()
            self._closing = True
            self.transport.abortConnection()

    def _logFailure(self, failure: Failure, request: Request) -> None:
        _log.failure("The handler failed to answer {request}", failure, request=request)


def _noAnswer(answer: object) -> TypeError:
    return TypeError(
        f"the handler returned {answer!r}: a Response or an Upgrade, a Deferred of one, or a "
        "coroutine that returns one is wanted"
    )
