"""
One HTTP connection on a transport.
"""

from __future__ import annotations

from inspect import iscoroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..base.arguments import callableName
from ..base.boundaries import IMessageBoundaries
from ..base.budget import BudgetExceededError, Share
from ..base.coroutines import Runner, explain
from ..base.deadlines import Deadline
from ..base.failures import releaseFrames
from ..base.notes import note, tell
from ..base.sockopts import disableDelay
from ..base.switching import SwitchedProtocol
from ..base.timeslice import TIME_SLICE
from ..server import ServerProtocol
from ..wire.errors import HTTPProtocolError, LocalProtocolError
from ..wire.http import Content, EndOfMessage, RequestHead
from ..wire.http.framing import has_content
from ..wire.http.response import ResponseMessage
from ..wire.http.server import Closing, Reading, ServerConnection, Writing
from .content import NO_CONTENT, RequestContent
from .date import DateLine
from .exchange import Answered, Observer, answeredOf
from .filecontent import FileContent
from .flow import WriteFlow
from .refusals import HTTPError, Refusal, plainRefusal
from .request import Request
from .response import Headers, Response, Upgrade
from .sending import sendContent
from .settings import HandlerResult, HTTPSettings

_log = Logger()

_RESULTS = (Response, Upgrade)

# A member of an Enum is looked up more slowly than a name.
_HEAD = Reading.HEAD

# Of who is told of exchanges.
_FAILED = "What is told of exchanges failed"

# A handler that keeps the reactor this many seconds to itself is told of.
_BLOCKED = 1.0

# While nobody wants what arrives, reading goes on until this many octets wait: only so is it
# noticed that the client leaves.
_READ_AHEAD = 65536


@implementer(IMessageBoundaries)
class HTTPProtocol(ServerProtocol):
    """
    Answers the requests of one connection by a handler. Whose turn it is, and what becomes of the
    connection, is decided by its L{ServerConnection}: this class feeds that, calls the handler,
    writes, and keeps the time.
    """

    def __init__(self, settings: HTTPSettings, date: DateLine) -> None:
        """
        @param settings: how it is to behave.
        @param date: tells the date.
        """
        # Set here, not in the class: CPython's inline cache misses attributes that both have.
        self.lingering = False
        self._settings = settings
        self._date = date
        self._server = ServerConnection(
            settings.limits,
            refused_methods=settings.refusedMethods,
            allow_half_open=settings.allowHalfOpen,
        )
        # The request that is being answered; what its answer, or the rest of it, comes from; and
        # whether that is somebody else, or only waits for the client to take what is there.
        self._request: Request | None = None
        self._result: Deferred[Any] | Runner | None = None
        self._awaiting = False
        self._processing = False
        self._first = True
        self._undelayed = False
        # When this connection goes on, if it is the others' turn.
        self._next: IDelayedCall | None = None
        self._readingPaused = False
        # The time for what is awaited from the client, if it was ever; and how long that is.
        self._deadline: Deadline | None = None
        self._seconds = 0.0
        # What has arrived and is kept, while something is.
        self._unread: Share | None = None
        self._switched: SwitchedProtocol | None = None
        # Who is told what this does, if somebody is; and what was streamed of the content.
        self._observer: Observer | None = None
        self._answered: Answered | None = None
        self._streamedOctets = 0

    @property
    def betweenMessages(self) -> bool:
        """
        Whether what is received next begins a request, and nothing is written before that.
        """
        server = self._server
        return (
            server.writing is Writing.IDLE
            and server.reading is _HEAD
            and not (server.receiver.buffered or self._flow.pending)
        )

    def connectionMade(self) -> None:
        super().connectionMade()
        self._reading = IPushProducer(self.transport)
        if self._settings.observe is not None:
            try:
                observer = self._settings.observe(self.transport)
                self._answered = answeredOf(observer)
                self._observer = observer
            except Exception:
                _log.failure(_FAILED)
        self._flow = WriteFlow(self.transport, self._drained)

    # What the transport tells

    def dataReceived(self, data: bytes) -> None:
        self.idleTicks = 0
        if self._observer is not None:
            self._observer.received(data)
        if self._switched is not None:
            self._switched.dataReceived(data)
        elif not self.lingering:
            self._server.receive(data)
            self._processBuffered()

    def readConnectionLost(self) -> None:
        if self._switched is not None:
            self._switched.readConnectionLost()
        elif self.lingering:
            self.transport.loseConnection()
        else:
            self._server.receive_end()
            self._processBuffered()
            self._endIfAbandoned()

    def writeConnectionLost(self) -> None:
        if self._switched is not None:
            self._switched.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._endDeadline()
        if self._next is not None:
            self._next.cancel()
        self._server.lost()
        self._keepUnread(0)
        if self._switched is not None:
            self._switched.connectionLost(reason)
        elif self._request is not None:
            tell(
                _log.info,
                self.transport,
                "was lost while {request} was answered: {reason}",
                request=self._request,
                reason=reason.getErrorMessage(),
            )
            self._exchangeDone(499, self._streamedOctets)
            self._cancel()

    def _drained(self) -> None:
        self.idleTicks = 0
        self._processBuffered()

    # What the factory tells

    def timedOut(self) -> None:
        if self._switched is not None:
            # How long its silence may be is for the other protocol to say.
            self.idleTicks = 0
        elif self._request is None or self._flow.paused:
            super().timedOut()
        elif self._server.wants_input:
            self._endDeadline()
            self._seconds = self.factory.idleTimeout
            self._expire()
        else:
            # The handler takes its time; the client does nothing wrong.
            self.idleTicks = 0

    def serviceRetiring(self) -> None:
        if self._switched is None:
            self._server.retire()

    def serviceStopping(self) -> None:
        if self._switched is not None:
            self._switched.serviceStopping()
        else:
            self._server.stop()
            self._updateFlowAndTimers()

    def lingeringClose(self) -> None:
        self._resumeReading()
        super().lingeringClose()

    # Requests

    def _processBuffered(self) -> None:
        """
        Take what has arrived for as long as it is somebody's turn who wants it.
        """
        if self._processing or self._next is not None:
            return
        self._processing = True
        server, flow = self._server, self._flow
        count, end = 0, 0.0
        try:
            # Who takes no responses gets no more of them.
            while not (flow.paused and server.writing is Writing.IDLE):
                event = server.next_event()
                if event is None:
                    break
                if isinstance(event, RequestHead):
                    self._headReceived(event)
                elif isinstance(event, HTTPProtocolError):
                    self._refuse(event)
                else:
                    self._contentReceived(event)
                # Few events, as they mostly are, take less time than is worth a look at the clock.
                count += 1
                if not count & 7:
                    now = self.factory.clock.seconds()
                    if not end:
                        end = now + TIME_SLICE
                    elif now > end:
                        self._next = self.factory.clock.callLater(0, self._goOn)
                        break
        finally:
            if flow.pending:
                flow.flush()
            self._processing = False
        # Between requests, with nothing left over, all is as it should be.
        if (
            server.reading is not _HEAD
            or server.receiver.buffered
            or self._unread is not None
            or self._readingPaused
        ):
            self._updateFlowAndTimers()

    def _goOn(self) -> None:
        """
        Go on with what has arrived, after the other connections had their turn.
        """
        self._next = None
        self._processBuffered()

    def _headReceived(self, head: RequestHead) -> None:
        if self._deadline is not None:
            self._endDeadline()
        content = NO_CONTENT
        if head.framing.has_content:
            content = RequestContent(self.factory.budget, self._contentWanted, self._takeContent)
        self._request = request = Request(head, content, self.transport)
        if self._first:
            self._first = False
            self._handleTimed(request)
        else:
            self._handle(request)

    def _handleTimed(self, request: Request) -> None:
        """
        Have the first request of a connection handled, and tell of a handler that blocks. To look
        at the clock for each would cost more than what else is done for a short answer.
        """
        clock = self.factory.clock
        began = clock.seconds()
        self._handle(request)
        seconds = clock.seconds() - began
        if seconds >= _BLOCKED:
            _log.warn(
                "{handler} blocked all connections for {seconds:.1f} s, answering {request}: "
                "await what takes long, or have twisted.internet.threads.deferToThread call it",
                handler=callableName(self._settings.handler),
                seconds=seconds,
                request=request,
            )

    def _contentWanted(self, wanted: bool) -> None:
        octets = self._server.want_content(wanted)
        if octets:
            self._writeOctets(octets)
        if wanted and not self._processing:
            self._processBuffered()

    def _takeContent(self) -> bytes | None:
        content = self._server.take_content()
        if content is not None:
            self._endDeadline()
            if not self._processing:
                self._updateFlowAndTimers()
        return content

    def _contentReceived(self, event: Content | EndOfMessage) -> None:
        request = self._request
        if isinstance(event, EndOfMessage):
            self._endDeadline()
            if request is not None:
                request.content.ended(event.trailers)
        # Some octets are the framing of chunks alone.
        elif event.data and request is not None:
            request.content.received(event.data)

    def _handle(self, request: Request) -> None:
        try:
            result = self._settings.handler(request)
        except Exception:
            self._handlerFailed(Failure(), request)
            return
        if isinstance(result, _RESULTS):
            self._respond(result, request)
            return
        self._awaiting = True
        if isinstance(result, Deferred):
            self._result = result
            result.addCallbacks(
                self._handled, self._handlerFailed, callbackArgs=(request,), errbackArgs=(request,)
            )
        elif iscoroutine(result):
            self._result = runner = Runner(result, self._handled, self._handlerFailed, request)
            runner.start()
        else:
            self._handled(result, request)
        self._goesOn(request)

    def _handled(self, result: object, request: Request) -> None:
        try:
            if not isinstance(result, _RESULTS):
                raise _noResult(result)
            self._respond(result, request)
        except Exception:
            self._handlerFailed(Failure(), request)

    def _handlerFailed(self, failure: Failure, request: Request) -> None:
        error = failure.value
        if request is not self._request:
            # The client is gone, and the handler was told so.
            if not failure.check(CancelledError, ConnectionLost):
                self._logFailure(failure, request)
        elif isinstance(error, HTTPProtocolError):
            self._logRefusal(error)
            self._writeRefusal(error.status, str(error))
        elif isinstance(error, HTTPError):
            self._writeRefusal(error.status, error.reason, error.headers)
        else:
            self._logFailure(failure, request)
            self._writeRefusal(500, "the server failed to answer this request")
        releaseFrames(failure)

    # Responses

    def _respond(self, result: HandlerResult, request: Request) -> None:
        if request is not self._request:
            return
        if isinstance(result, Upgrade):
            self._upgrade(result, request)
        elif result.streamed and has_content(request.method, result.status):
            self._stream(result, request)
        else:
            self._write(result.message)

    def _write(self, response: ResponseMessage) -> None:
        """
        Write a response to a request, or to what was none.
        """
        server = self._server
        octets = server.respond(response, self._date.get())
        self._flow.write(octets, more=server.receiver.buffered > 0)
        answered = self._answered
        if answered is not None:
            if octets is response.kept:
                # In answer to a request, and with all of the content: as nearly always.
                head, count = self._request.head, response.get_octets  # type: ignore[union-attr]
                try:
                    answered(head, head.line, head.fields.raw, response.status, count, octets)
                except Exception:
                    _log.failure(_FAILED)
            else:
                self._tellSent(octets)
                request = self._request
                method = b"GET" if request is None else request.method
                self._exchangeDone(response.status, response.content_octets(method))
        self._endExchange()

    def _writeOctets(self, octets: bytes) -> None:
        self._flow.write(octets)
        self._tellSent(octets)

    def _tellSent(self, octets: bytes) -> None:
        if self._observer is not None:
            self._observer.sent(octets)

    def _writeRefusal(self, status: int, reason: str, headers: Headers = ()) -> None:
        refusal = Refusal(status, reason, self._request)
        try:
            response = self._settings.refusal(refusal)
            if not isinstance(response, Response) or response.message.content is None:
                raise TypeError(
                    f"refusal returned {response!r}: a Response whose content is bytes is wanted"
                )
            message = _withFields(response, headers)
        except Exception:
            _log.failure("A refusal with {status} could not be answered as wanted", status=status)
            message = plainRefusal(refusal).message
        self._write(message)

    def _stream(self, response: Response, request: Request) -> None:
        """
        Write a response whose content comes little by little. Meanwhile the content of the
        request can still be read.
        """
        if not self._undelayed:
            # Its end is not to wait until the client has acknowledged its beginning.
            self._undelayed = True
            disableDelay(self.transport)
        server, flow = self._server, self._flow
        message = response.message
        trailers = response.trailers if request.takesTrailers else None
        length = None if trailers else message.length
        self._writeOctets(server.start_response(message, length, self._date.get()))

        def encode(piece: bytes) -> bytes:
            self._streamedOctets += len(piece)
            octets = server.send_content(piece)
            self._tellSent(octets)
            return octets

        def sent(octets: int) -> None:
            self.idleTicks = 0
            if self._observer is not None:
                self._observer.sentFile(octets)
            self._streamedOctets += octets
            server.content_sent(octets)

        content = response.content
        verbatim = isinstance(content, FileContent) and server.takes_verbatim(content.range.left)

        async def send() -> int:
            await sendContent(content, encode, flow, sent if verbatim else None)
            self._writeOctets(server.end_response(trailers() if trailers else ()))
            return response.status

        self._awaiting = not isinstance(response.content, bytes)
        self._result = runner = Runner(send(), self._streamed, self._streamFailed, request)
        runner.start()
        self._goesOn(request)

    def _goesOn(self, request: Request) -> None:
        """
        A request may be under way still, as its answer is awaited, or comes little by little.
        """
        if request is self._request:
            if self._observer is not None:
                self._observer.begun()
            self._endIfAbandoned()

    def _streamed(self, status: int, request: Request) -> None:
        if request is self._request:
            self._exchangeDone(status, self._streamedOctets)
            self._streamedOctets = 0
            self._endExchange()

    def _streamFailed(self, failure: Failure, request: Request) -> None:
        """
        The content was cut short: abort, since that is the only signal left.
        """
        if isinstance(failure.value, HTTPProtocolError):
            tell(
                _log.warn,
                self.transport,
                "refused while it was answered: {reason}",
                reason=str(failure.value),
            )
        elif request is self._request or not failure.check(CancelledError, ConnectionLost):
            self._logFailure(failure, request)
        releaseFrames(failure)
        if request is self._request:
            self._exchangeDone(499 if failure.check(ConnectionLost) else 500, self._streamedOctets)
            self._server.abandon()
            self._endExchange()

    def _upgrade(self, upgrade: Upgrade, request: Request) -> None:
        """
        Have another protocol go on with the connection.
        """
        try:
            rest = self._server.switch(answered=upgrade.head is not None)
        except LocalProtocolError:
            self._handlerFailed(Failure(), request)
            return
        if upgrade.head is not None:
            self._exchangeDone(101, 0)
        self._forgetExchange()
        self._endDeadline()
        self._keepUnread(0)
        self._flow.end()
        self._resumeReading()
        if upgrade.head is not None:
            self._tellSent(upgrade.head)
            self.transport.write(upgrade.head)
        # The other protocol is not HTTP's to tell of.
        self._observer = self._answered = None
        self._switched = SwitchedProtocol(upgrade.protocol, self.transport)
        if rest:
            self._switched.dataReceived(rest)
        if self._server.ended:
            self._switched.readConnectionLost()

    def _endExchange(self) -> None:
        """
        The request under way is answered.
        """
        self._forgetExchange()
        if self._deadline is not None and self._server.reading is not Reading.DISCARDED:
            self._endDeadline()
        if not self._processing:
            self._processBuffered()

    def _forgetExchange(self) -> None:
        request, self._request = self._request, None
        self._result = None
        self._awaiting = False
        if request is not None and request.content is not NO_CONTENT:
            request.content.close(_over)

    def _exchangeDone(self, status: int, octets: int) -> None:
        observer, request = self._observer, self._request
        if observer is None:
            return
        try:
            observer.done(None if request is None else request.head, status, octets)
        except Exception:
            _log.failure(_FAILED)

    # Whom it goes wrong with

    def _refuse(self, error: HTTPProtocolError) -> None:
        """
        What arrives cannot be understood, or is too much, or took too long.
        """
        if self._request is not None:
            # The handler's read fails of it, and the handler, as it likes, with it.
            if not self._request.content.failed(error):
                self._logRefusal(error)
        elif self._server.writing is Writing.RESPONSE:
            self._logRefusal(error)
            self._writeRefusal(error.status, str(error))

    def _overBudget(self, exceeded: BudgetExceededError) -> None:
        error = HTTPProtocolError(str(exceeded), 503)
        self._server.fail(error)
        self._refuse(error)

    def _cancel(self) -> None:
        """
        Give up the request under way, and what its handler awaits.
        """
        result = self._result
        self._forgetExchange()
        if result is not None:
            result.cancel()

    def _endIfAbandoned(self) -> None:
        """
        See that nothing is awaited for a client that has gone away.
        """
        if not (self._awaiting and self._server.abandoned):
            return
        tell(
            _log.info,
            self.transport,
            "closed the connection while {request} was answered",
            request=self._request,
        )
        self._exchangeDone(499, self._streamedOctets)
        self._server.abandon()
        self._cancel()
        self._updateFlowAndTimers()

    def _logRefusal(self, error: HTTPProtocolError) -> None:
        tell(
            _log.warn,
            self.transport,
            "refused with {status}: {reason}",
            status=error.status,
            reason=str(error),
        )

    def _logFailure(self, failure: Failure, request: Request) -> None:
        explain(failure)
        _log.failure("The handler failed to answer {request}", failure, request=request)
        note(self.transport, f"the handler failed to answer {request}")

    # Flow and time

    def _updateFlowAndTimers(self) -> None:
        """
        Pause or resume reading, arm the deadline of what is awaited, close where that is decided.
        """
        server = self._server
        if self._switched is not None:
            return
        if server.closing is not None:
            self._close(server.closing)
            return
        buffered = server.receiver.buffered
        if buffered or self._unread is not None:
            try:
                self._keepUnread(buffered)
            except BudgetExceededError as exceeded:
                self._keepUnread(0)
                self._overBudget(exceeded)
                self._updateFlowAndTimers()
                return
        # Who takes no responses is asked for no requests.
        wanted = (
            server.wants_input
            and self._next is None
            and not (self._flow.paused and server.writing is Writing.IDLE)
        )
        waits = buffered and not wanted and server.writing is Writing.IDLE
        if waits and self._observer is not None:
            # What arrives from here on is not of the request that waits.
            self._observer.begun()
        if wanted or buffered < _READ_AHEAD:
            if self._readingPaused:
                self._resumeReading()
        elif not (self._readingPaused or server.ended):
            self._readingPaused = True
            self._reading.pauseProducing()
        if wanted and not (self._deadline is not None and self._deadline.pending):
            if server.reading is not Reading.HEAD:
                self._startDeadline(self._settings.contentTimeout)
            elif buffered:
                self._startDeadline(self._settings.headTimeout)

    def _keepUnread(self, size: int) -> None:
        share = self._unread
        if share is None:
            if not size:
                return
            share = self.factory.budget.share()
        share.keep(size)
        self._unread = share if size else None

    def _resumeReading(self) -> None:
        if self._readingPaused:
            self._readingPaused = False
            self._reading.resumeProducing()

    def _startDeadline(self, seconds: float) -> None:
        if self._deadline is None:
            self._deadline = Deadline(self.factory.clock, self._expire)
        self._seconds = seconds
        self._deadline.start(seconds)

    def _endDeadline(self) -> None:
        if self._deadline is not None:
            self._deadline.stop()

    def _expire(self) -> None:
        error = self._server.time_out(self._seconds)
        if error is not None:
            self._refuse(error)
        self._updateFlowAndTimers()

    def _close(self, how: Closing) -> None:
        self._endDeadline()
        self._keepUnread(0)
        self._flow.end()
        if how is Closing.ABORT:
            self.transport.abortConnection()
        elif how is Closing.FLUSH:
            self.transport.loseConnection()
        elif not self.lingering:
            self.lingeringClose()


def _withFields(response: Response, headers: Headers) -> ResponseMessage:
    """
    Have more fields in a response, which may be given to others as well.
    """
    if headers == ():
        return response.message
    return Response(response.status, response.content, [*response.headers, *headers]).message


def _over() -> Exception:
    return ConnectionLost("the request is over, its content is gone")


def _noResult(result: object) -> TypeError:
    return TypeError(
        f"the handler returned {result!r}: a Response or an Upgrade, a Deferred of one, or a "
        "coroutine that returns one is wanted"
    )
