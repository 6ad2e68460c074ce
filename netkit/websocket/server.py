"""
A server's side of a connection: the opening handshake, and its end when the service stops.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..base.addresses import addressText
from ..server import ServerProtocol
from ..wire.errors import RemoteProtocolError
from ..wire.http.connection import RequestReceiver
from ..wire.http.head import RequestHead
from ..wire.websocket.codes import CloseCode
from ..wire.websocket.handshake import Offer, read_request, refuse, wants_upgrade
from .acceptor import Accepted, Acceptor, Refused
from .connection import WebSocketConnection
from .keepalive import Keepalive
from .protocol import Decision, Rejection
from .request import WebSocketRequest

_log = Logger()

_TEXT = ((b"Content-Type", b"text/plain; charset=utf-8"),)


class WebSocketServerConnection(WebSocketConnection, ServerProtocol):
    """
    A connection to a server.
    """

    _client = False
    # What parses the request; then what arrived behind it, while the decision is awaited.
    _receiver: RequestReceiver | None = None
    _received = b""
    # The decision about the request, while it is awaited.
    _deciding: Deferred[Decision | Refused] | None = None
    # Where this turned out to be plain HTTP: what speaks it.
    _plain: IProtocol | None = None

    def __init__(
        self,
        acceptor: Acceptor,
        keepalive: Keepalive,
        clock: IReactorTime,
        httpFactory: IProtocolFactory | None = None,
    ) -> None:
        """
        @param acceptor: decides about the request.
        @param keepalive: looks after the connection, once it is open.
        @param clock: what tells the time.
        @param httpFactory: makes the protocol for requests that ask for no WebSocket.
        """
        super().__init__(acceptor.options, clock)
        self._acceptor = acceptor
        self._keepalive = keepalive
        self._httpFactory = httpFactory

    def connectionMade(self) -> None:
        super().connectionMade()
        self._receiver = RequestReceiver(self.options.headLimits())
        self._startTimer(self.options.openTimeout)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._plain is not None:
            self._plain.connectionLost(reason)
        self._keepalive.discard(self)
        WebSocketConnection.connectionLost(self, reason)
        ServerProtocol.connectionLost(self, reason)
        if self._deciding is not None:
            self._deciding.cancel()

    def serviceStopping(self) -> None:
        self.loseConnection(CloseCode.GOING_AWAY, "the service stops")

    def timedOut(self) -> None:
        if self._plain is not None:
            # It has a time-out of its own, if it wants one.
            return
        if self._wire is None:
            super().timedOut()
        else:
            self.loseConnection(CloseCode.GOING_AWAY, "idle for too long")

    # The opening handshake

    def _handshakeReceived(self, data: bytes) -> None:
        if self._plain is not None:
            self._plain.dataReceived(data)
            return
        if self.lingering:
            return
        if self._receiver is None:
            self._received += data
            if len(self._received) > self.options.maxHandshakeSize:
                self._refuse(Rejection(status=413), "it sent too much before the handshake")
            return
        self._receiver.receive(data)
        try:
            head = self._receiver.next_event()
            if head is None:
                return
            assert isinstance(head, RequestHead)
            self._received, self._receiver = self._receiver.detach(), None
            if self._httpFactory is not None and not wants_upgrade(head.fields):
                self._handOver(self._httpFactory, head.raw)
                return
            offer = read_request(head)
        except RemoteProtocolError as error:
            rejection = Rejection(status=error.code, headers=_TEXT, body=f"{error}\n".encode())
            self._refuse(rejection, str(error))
            return
        self._decide(head, offer)

    def _handOver(self, httpFactory: IProtocolFactory, head: bytes) -> None:
        """
        This is plain HTTP: let the protocol of another factory have the connection.
        """
        self._stopTimer()
        rest, self._received = self._received, b""
        plain = httpFactory.buildProtocol(self.transport.getPeer())
        if plain is None:
            self.transport.loseConnection()
            return
        self._plain = plain
        plain.makeConnection(self.transport)
        plain.dataReceived(head + rest)

    def readConnectionLost(self) -> None:
        if self._plain is None:
            super().readConnectionLost()
        elif IHalfCloseableProtocol.providedBy(self._plain):
            IHalfCloseableProtocol(self._plain).readConnectionLost()
        else:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        if IHalfCloseableProtocol.providedBy(self._plain):
            IHalfCloseableProtocol(self._plain).writeConnectionLost()

    def _decide(self, head: RequestHead, offer: Offer) -> None:
        """
        The request is well-formed: see whether it is welcome.
        """
        request = WebSocketRequest(head, offer, self.transport)
        self._deciding = deciding = self._acceptor.decide(request)
        deciding.addCallback(self._decided, request, offer)
        deciding.addErrback(self._undecided)

    def _decided(
        self, decision: Decision | Refused, request: WebSocketRequest, offer: Offer
    ) -> None:
        self._deciding = None
        if self._halt or self.lingering:
            return
        answer = self._acceptor.answer(decision, request, offer)
        if isinstance(answer, Refused):
            self._refuse(*answer)
        else:
            self.begin(answer)

    def begin(self, accepted: Accepted) -> None:
        """
        Send the response that accepts the request, and go over to messages.

        @param accepted: what was made of the request.
        """
        accepted.application.negotiationStarted(self)
        rest, self._received, self._receiver = self._received, b"", None
        self._keepalive.add(self)
        self._open(accepted.application, accepted.agreement, accepted.response, rest)

    def _undecided(self, reason: Failure) -> None:
        self._deciding = None
        if self._halt or self.lingering:
            return
        _log.failure("A request for a WebSocket could not be answered: 500", failure=reason)
        self._refuse(Rejection(status=500), "the server failed")

    def _refuse(self, rejection: Rejection, reason: str) -> None:
        _log.info(
            "{peer} refused with {status}: {reason}",
            peer=addressText(self.transport.getPeer()),
            status=rejection.status,
            reason=reason,
        )
        self._stopTimer()
        self._received = b""
        self._receiver = None
        self.transport.write(refuse(rejection.status, rejection.headers, rejection.body))
        self.lingeringClose()
        if self._deciding is not None:
            self._deciding.cancel()

    def _linger(self) -> None:
        self.lingeringClose()
