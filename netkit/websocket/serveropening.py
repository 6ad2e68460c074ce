"""
The server's opening handshake (RFC 6455 section 4.2), and plain HTTP requests before it.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory, IReactorTime, ITCPTransport
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..base.budget import BudgetExceededError, Share
from ..base.deadlines import Deadlines
from ..base.failures import releaseFrames
from ..base.notes import tell
from ..wire.errors import HTTPProtocolError
from ..wire.http.connection import RequestReceiver
from ..wire.http.head import RequestHead
from ..wire.websocket.handshake import Offer, read_request, refuse, wants_upgrade
from .acceptor import Accepted, Acceptor, Refused
from .plain import PlainHTTP
from .protocol import Decision, Rejection
from .request import WebSocketRequest

_log = Logger()

_TEXT = ((b"Content-Type", b"text/plain; charset=utf-8"),)


class ServerOpening:
    """
    The server's side of a connection until it is open. Parses the requests, passes those without
    C{Upgrade: websocket} to a plain HTTP protocol, if there is one, and answers the first
    handshake once the responses to all requests before it are written.

    When the plain protocol's responses cannot be followed any more (it switched protocols, or does
    not speak HTTP), the connection is the plain protocol's for good.
    """

    __slots__ = (
        "_acceptor",
        "_behind",
        "_clock",
        "_deadlines",
        "_deciding",
        "_head",
        "_httpFactory",
        "_opened",
        "_over",
        "_plain",
        "_receiver",
        "_refused",
        "_share",
        "_stopping",
        "_transport",
    )

    def __init__(
        self,
        transport: ITCPTransport,
        acceptor: Acceptor,
        httpFactory: IProtocolFactory | None,
        share: Share,
        clock: IReactorTime,
        deadlines: Deadlines,
        *,
        opened: Callable[[Accepted, bytes], None],
        refused: Callable[[Rejection], None],
    ) -> None:
        """
        @param transport: the connection.
        @param acceptor: decides whether a handshake is accepted.
        @param httpFactory: makes the plain HTTP protocol; where it is C{None}, requests without an
            upgrade are refused with 426.
        @param share: counts what is buffered.
        @param clock: what tells the time.
        @param deadlines: says when an opening handshake has taken too long.
        @param opened: called when a handshake is accepted, with what it was accepted with and the
            octets that arrived behind it. The response is still to be written.
        @param refused: called when a refusal is written, with it: closes the connection so that
            the client still receives it.
        """
        self._transport = transport
        self._acceptor = acceptor
        self._httpFactory = httpFactory
        self._share = share
        self._clock = clock
        self._opened = opened
        self._refused = refused
        self._receiver = RequestReceiver(acceptor.limits)
        self._plain: PlainHTTP | None = None
        # The request for a WebSocket, once it arrived, and what arrived behind it.
        self._head: RequestHead | None = None
        self._behind = b""
        self._deciding: Deferred[Decision | Refused] | None = None
        self._stopping = self._over = False
        self._deadlines = deadlines
        deadlines.start(self._expire)

    @property
    def head(self) -> RequestHead | None:
        """
        The head of the handshake, once it arrived.
        """
        return self._head

    @property
    def plain(self) -> bool:
        """
        Whether there was a plain HTTP request, and no handshake yet.
        """
        return self._plain is not None

    def dataReceived(self, data: bytes) -> None:
        """
        Octets arrived.
        """
        if self._over:
            return
        if self._head is not None:
            self._behind += data
            if len(self._behind) > self._acceptor.options.maxHandshakeSize:
                self._tooMuch(413, "it sent too much before the handshake")
        elif self._plain is not None and not self._plain.followed:
            self._plain.dataReceived(self._receiver.detach() + data)
        else:
            self._receiver.receive(data)
            self._readRequests()
        kept = self._receiver.buffered + len(self._behind)
        if kept != self._share.kept and not self._over:
            try:
                self._share.keep(kept)
            except BudgetExceededError as error:
                self._tooMuch(503, str(error))

    def readConnectionLost(self) -> None:
        """
        The client closed its half. It still gets the responses to its plain requests.
        """
        if self._plain is None:
            self._transport.loseConnection()
        else:
            self.end()
            self._plain.readConnectionLost()

    def writeConnectionLost(self) -> None:
        """
        Our half is closed.
        """
        if self._plain is not None:
            self._plain.writeConnectionLost()

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is lost.
        """
        self.end()
        if self._plain is not None:
            self._plain.connectionLost(reason)

    def serviceStopping(self) -> None:
        """
        The service stops: close the connection, once the responses to plain requests are written.
        """
        self._stopping = True
        plain = self._plain
        if plain is None or plain.idle:
            self._transport.loseConnection()
        elif plain.stoppable or not plain.followed:
            plain.serviceStopping()

    def end(self) -> None:
        """
        End the opening handshake: stop the time-out, cancel a pending decision, and ignore what
        still arrives.
        """
        if self._over:
            return
        self._over = True
        self._behind = b""
        if self._share.kept:
            self._share.keep(0)
        self._deadlines.stop(self._expire)
        deciding, self._deciding = self._deciding, None
        if deciding is not None:
            deciding.cancel()

    # The requests

    def _readRequests(self) -> None:
        receiver = self._receiver
        plain = self._plain
        pieces = []
        try:
            while (event := receiver.next_event()) is not None:
                if isinstance(event, RequestHead):
                    if self._httpFactory is None or wants_upgrade(event.fields):
                        self._head, self._behind = event, receiver.detach()
                        break
                    if plain is None:
                        plain = self._makePlain(self._httpFactory)
                    self._deadlines.stop(self._expire)
                    plain.requestReceived(event)
                pieces.append(event.raw)
        except HTTPProtocolError as error:
            if self._httpFactory is None:
                self._refuseFaulty(error)
                return
            # The plain protocol refuses it in its own way.
            if plain is None:
                plain = self._makePlain(self._httpFactory)
            plain.followed = False
        if plain is not None and pieces:
            plain.dataReceived(b"".join(pieces))
        if self._head is not None or (plain is not None and not plain.followed):
            self._proceed()
        elif receiver.buffered and receiver.remaining == 0 and not self._over:
            self._deadlines.start(self._expire)

    def _makePlain(self, httpFactory: IProtocolFactory) -> PlainHTTP:
        self._plain = plain = PlainHTTP(httpFactory, self._transport, self._plainProgressed)
        return plain

    def _plainProgressed(self) -> None:
        if self._head is not None or self._stopping:
            # Not from within the plain protocol's write.
            self._clock.callLater(0, self._proceed)

    def _proceed(self) -> None:
        """
        Go on after what may have waited for responses to plain requests.
        """
        plain = self._plain
        if self._over or self._deciding is not None:
            return
        if plain is not None and not plain.followed:
            self._deadlines.stop(self._expire)
            head, self._head = self._head, None
            rest = self._receiver.detach() if head is None else head.raw + self._behind
            self._behind = b""
            if rest:
                plain.dataReceived(rest)
            if self._stopping:
                plain.serviceStopping()
        elif plain is not None and plain.closing:
            # No other request is answered on this connection.
            self.end()
        elif plain is not None and not plain.idle:
            # However long it takes, the client did its part.
            self._deadlines.stop(self._expire)
        elif self._stopping:
            self._transport.loseConnection()
        elif self._head is not None:
            self._begin(self._head)

    # The handshake

    def _begin(self, head: RequestHead) -> None:
        """
        Check a handshake, and have the acceptor decide about it.
        """
        self._deadlines.start(self._expire)
        plain, self._plain = self._plain, None
        if plain is not None:
            plain.leave()
        try:
            offer = read_request(head)
        except HTTPProtocolError as error:
            self._refuseFaulty(error)
            return
        request = WebSocketRequest(head, offer, self._transport)
        decision = self._acceptor.decide(request)
        # Of an abstract class, which takes long to say no.
        if decision is not None and isinstance(decision, Deferred):
            self._deciding = decision
            decision.addCallback(self._decided, request, offer)
            decision.addErrback(self._undecided)
            return
        try:
            self._decided(decision, request, offer)
        except BaseException:
            self._undecided(Failure())

    def _decided(
        self, decision: Decision | Refused, request: WebSocketRequest, offer: Offer
    ) -> None:
        self._deciding = None
        if self._over:
            return
        answer = self._acceptor.answer(decision, request, offer)
        if isinstance(answer, Refused):
            self._refuse(*answer)
        else:
            behind = self._behind
            self.end()
            self._opened(answer, behind)

    def _undecided(self, reason: Failure) -> None:
        self._deciding = None
        if not self._over:
            _log.failure("A request for a WebSocket could not be answered: 500", failure=reason)
            self._refuse(Rejection(status=500), "the server failed")
        releaseFrames(reason)

    def _refuseFaulty(self, error: HTTPProtocolError) -> None:
        self._refuse(_inWords(error.status, str(error)), str(error))

    def _refuse(self, rejection: Rejection, reason: str) -> None:
        tell(
            _log.info,
            self._transport,
            "refused with {status}: {reason}",
            status=rejection.status,
            reason=reason,
        )
        self.end()
        self._transport.write(refuse(rejection.status, rejection.headers, rejection.body))
        self._refused(rejection)

    def _tooMuch(self, status: int, reason: str) -> None:
        if self._plain is None:
            self._refuse(_inWords(status, reason), reason)
        else:
            # The response to a plain request is still being written.
            tell(_log.info, self._transport, "aborted: {reason}", reason=reason)
            self.end()
            self._transport.abortConnection()

    # The time

    def _expire(self) -> None:
        tell(_log.info, self._transport, "took too long for the opening handshake: aborted")
        self._transport.abortConnection()


def _inWords(status: int, reason: str) -> Rejection:
    return Rejection(status=status, headers=_TEXT, body=f"{reason}\n".encode())
