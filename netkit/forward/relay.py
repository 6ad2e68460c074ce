"""
Connections that are passed on to another server, octet by octet, in both directions.

Whatever one side does, the other side is told: a half that is closed, a connection that is closed
or reset, a peer that does not read. A client whose upstream cannot be had is reset, or told so in
HTTP, where that is what it speaks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import (
    ConnectionDone,
    TCPTimedOutError,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IProtocolNegotiationFactory,
    IPushProducer,
    IReactorTime,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from ..base.addresses import addressText
from ..base.arguments import checkCallable, checkSeconds
from ..base.budget import BudgetExceededError
from ..base.deadlines import Deadline
from ..base.halfclose import endWriting
from ..base.notes import note, tell
from ..base.piping import Pipe
from ..base.sockopts import PeerState, peerState
from ..base.tls import errorText, handshakeDone, tlsAgreement
from ..base.twistedprivate import releaseConnector
from ..base.unread import UnreadWatch
from ..server import ServerFactory, ServerProtocol
from .hostrewriting import HostRewriter, checkHost
from .unreachable import Unreachable

_log = Logger()

#: What makes the endpoint to connect to for a client, of the client's transport.
EndpointFor = Callable[[ITCPTransport], IStreamClientEndpoint]

# Is called with what arrives.
_Take = Callable[[bytes], None]


@implementer(IPushProducer)
class _End:
    """
    One end of a relayed connection: what its peer does is done to the other end.

    What the peer sends is written to the other transport with nothing of ours in between, but for
    the first piece since somebody asked whether any came.

    @ivar transport: the connection to the peer.
    """

    __slots__ = (
        "_came",
        "_ended",
        "_finished",
        "_lead",
        "_other",
        "_pipe",
        "_unread",
        "transport",
    )

    _pipe: Pipe

    def __init__(
        self, transport: ITCPTransport, clock: IReactorTime, lead: Callable[[_Take], None]
    ) -> None:
        """
        @param transport: the connection to the peer.
        @param clock: what tells the time.
        @param lead: has what the peer sends go to what this is called with, from then on.
        """
        self.transport = transport
        self._lead = lead
        self._came = False
        self._unread = UnreadWatch(clock, self._look)
        self._other: _End | None = None
        # Whether the peer sends nothing more, and whether we do not.
        self._ended = self._finished = False

    def join(self, other: _End) -> None:
        """
        Pass on to another end, and it to this one.
        """
        for source, sink in ((self, other), (other, self)):
            source._other = sink
            source._pipe = Pipe(source, IConsumer(sink.transport))
            source._lead(source._first)

    # What the pipe asks of the end that it is from.

    def pauseProducing(self) -> None:
        """
        Read no more from the peer, for the other one does not take it; but look from time to time
        whether there is still a connection.
        """
        IPushProducer(self.transport).pauseProducing()
        self._unread.start()

    def resumeProducing(self) -> None:
        """
        Read again.
        """
        self._unread.stop()
        IPushProducer(self.transport).resumeProducing()

    def stopProducing(self) -> None:
        """
        The other end is gone, which it tells itself.
        """

    def _look(self, read: bool) -> bool:
        if peerState(self.transport) is not PeerState.BROKEN:
            return True
        note(self.transport, "the connection was broken while nobody read from it")
        self.transport.abortConnection()
        return False

    # What the peer does.

    @property
    def joined(self) -> bool:
        """
        Whether there still is another end.
        """
        return self._other is not None

    def moved(self) -> bool:
        """
        Tell whether either peer has sent anything since this was asked last.
        """
        other = self._other
        back = other is not None and other._moved()
        return self._moved() or back

    def _moved(self) -> bool:
        came, self._came = self._came, False
        if came:
            self._lead(self._first)
        return came

    def _first(self, data: bytes) -> None:
        self._came = True
        self._lead(self._pipe.take)
        self._pipe.take(data)

    def _stop(self) -> None:
        self._pipe.stop()
        self._lead(self._pipe.take)

    def readConnectionLost(self) -> None:
        """
        The peer has closed its half.
        """
        self._ended = True
        self._stop()
        self._unread.stop()
        if self._other is not None:
            endWriting(self._other.transport)
        self._closeIfOver()

    def writeConnectionLost(self) -> None:
        """
        Our half is closed.
        """
        self._finished = True
        self._closeIfOver()

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is lost.
        """
        other, self._other = self._other, None
        self._stop()
        self._unread.end()
        if other is None:
            return
        other._other = None
        if reason.check(ConnectionDone):
            # What was passed on is still to arrive. There is nobody to pass anything back to.
            other._stop()
            other.transport.loseConnection()
        else:
            other.transport.abortConnection()

    def _closeIfOver(self) -> None:
        if self._ended and self._finished:
            self.transport.loseConnection()


@implementer(IHandshakeListener)
class RelayProtocol(ServerProtocol):
    """
    A client's connection, which is passed on to one that is made for it.

    Before that is made, one piece is read of what the client sends: it tells whether the client is
    still there, and what it speaks.
    """

    factory: RelayFactory
    _end: _End | None = None
    # While it is being connected.
    _upstream: _UpstreamProtocol | None = None
    _connecting: Deferred[Any] | None = None
    _rewriter: HostRewriter | None = None
    _unreachable: Unreachable | None = None
    _early = b""
    _halfClosed = False
    _idleTicks = 0

    def connectionMade(self) -> None:
        super().connectionMade()
        self._share = self.factory.budget.share()
        self._deadline = Deadline(self.factory.clock, self._late)
        if handshakeDone(self.transport):
            self._connect()

    def handshakeCompleted(self) -> None:
        """
        The client and we agree on TLS: on what, the upstream may be told.
        """
        self._connect()

    def dataReceived(self, data: bytes) -> None:
        """
        What arrives while there is nothing to pass it on to: one who is there takes the place of
        this.
        """
        self.idleTicks = 0
        if self._unreachable is not None:
            self._unreachable.dataReceived(data)
        else:
            self._takeEarly(data)

    def readConnectionLost(self) -> None:
        self.idleTicks = 0
        if self._end is not None:
            if self._rewriter is not None:
                self._rewriter.end()
            self._end.readConnectionLost()
        elif self._unreachable is not None:
            self._unreachable.readConnectionLost()
        else:
            self._halfClosed = True

    def writeConnectionLost(self) -> None:
        if self._end is not None:
            self._end.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._deadline.end()
        self._takeBack()
        self._stopConnecting()
        if self._unreachable is not None:
            self._unreachable.stop()
        end, self._end = self._end, None
        if end is not None:
            end.connectionLost(reason)

    @property
    def idleTicks(self) -> int:
        """
        How many of the factory's idle checks there were since something last moved.
        """
        if self._end is not None and self._end.moved():
            self._idleTicks = 0
        return self._idleTicks

    @idleTicks.setter
    def idleTicks(self, ticks: int) -> None:
        self._idleTicks = ticks

    def serviceStopping(self) -> None:
        """
        What is under way, nobody here knows: it may go on while there is time.
        """

    def upstreamConnected(self, upstream: _UpstreamProtocol) -> None:
        """
        The connection to the upstream is made.

        @param upstream: its protocol.
        """
        if upstream is not self._upstream:
            # Nobody waits for it any more.
            upstream.transport.abortConnection()
            return
        if (protocol := self._disagreed(upstream.transport)) is not None:
            self._giveUp(502, f"{protocol} was agreed on with the client, and not with it")
            return
        self._upstream = self._connecting = None
        self._deadline.stop()
        self.idleTicks = 0
        note(self.transport, f"connected to {addressText(upstream.transport.getPeer())}")
        if self.factory.host is not None:
            self._rewriter = HostRewriter(self.factory.host, self._notRewritten)
            self.dataReceived = self._rewriter.receive  # type: ignore[method-assign]
        self._end = end = _End(self.transport, self.factory.clock, self._lead)
        upstream.begin(end)
        early = self._takeBack()
        if early:
            self.dataReceived(early)
        if self._halfClosed:
            self.readConnectionLost()
        elif early:
            IPushProducer(self.transport).resumeProducing()

    def upstreamFailed(self, reason: Failure) -> None:
        """
        There is no connection to the upstream, and none will come.

        @param reason: why.
        """
        if self._upstream is not None:
            timedOut = reason.check(TimeoutError, TCPTimedOutError)
            self._giveUp(504 if timedOut else 502, errorText(reason.value))

    def _lead(self, take: _Take) -> None:
        if self._rewriter is None:
            self.dataReceived = take  # type: ignore[assignment, method-assign]
        else:
            self._rewriter.passOn = take

    def _connect(self) -> None:
        factory = self.factory
        self._upstream = upstream = _UpstreamProtocol(self)
        if factory.connectTimeout:
            self._deadline.start(factory.connectTimeout)

        def start() -> Deferred[Any]:
            endpoint = factory.endpointFor(self.transport)
            return endpoint.connect(_UpstreamFactory(upstream))

        self._connecting = maybeDeferred(start).addErrback(self.upstreamFailed)

    def _disagreed(self, upstream: ITCPTransport) -> str | None:
        """
        Tell what is spoken above the client's TLS, if something else is above the upstream's.
        """
        ours, its = tlsAgreement(self.transport), tlsAgreement(upstream)
        # Who says nothing speaks HTTP/1.1, if it speaks HTTP.
        if ours is None or its is None or ours.protocol in (b"", b"http/1.1", its.protocol):
            return None
        return ours.protocol.decode(errors="backslashreplace")

    def _late(self) -> None:
        self._giveUp(504, f"no connection within {self.factory.connectTimeout:g} seconds")

    def _giveUp(self, status: int, reason: str) -> None:
        self._deadline.stop()
        self._stopConnecting()
        tell(
            _log.warn,
            self.transport,
            "cannot be connected to {upstream}: {reason}",
            upstream=self.factory.name,
            reason=reason,
        )
        self._unreachable = unreachable = Unreachable(self, status, reason)
        early = self._takeBack()
        if early:
            unreachable.dataReceived(early)
            IPushProducer(self.transport).resumeProducing()
        if self._halfClosed:
            unreachable.readConnectionLost()

    def _notRewritten(self, reason: str) -> None:
        note(self.transport, f"the Host field is left as it is from here on: {reason}")

    def _stopConnecting(self) -> None:
        upstream, self._upstream = self._upstream, None
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            connecting.cancel()
        if upstream is not None and upstream.transport is not None:
            # It has to agree on TLS yet.
            upstream.transport.abortConnection()

    def _takeEarly(self, data: bytes) -> None:
        self._early += data
        try:
            self._share.keep(len(self._early))
        except BudgetExceededError as error:
            tell(_log.warn, self.transport, "refused: {reason}", reason=str(error))
            self.transport.abortConnection()
        else:
            IPushProducer(self.transport).pauseProducing()

    def _takeBack(self) -> bytes:
        early, self._early = self._early, b""
        self._share.keep(0)
        return early


@implementer(IHalfCloseableProtocol)
class _UpstreamProtocol(Protocol):
    """
    The connection to the upstream that is made for a client's.
    """

    transport: ITCPTransport
    _end: _End | None = None

    def __init__(self, client: RelayProtocol) -> None:
        self._client = client

    def connectionMade(self) -> None:
        wrapped = getattr(self.transport, "wrappedProtocol", None)
        if wrapped is self and not handshakeDone(self.transport):
            # Said only now: Twisted's client endpoints pass on the events of one interface alone,
            # and on TCP it has to be the other one.
            alsoProvides(self, IHandshakeListener)
        else:
            self._client.upstreamConnected(self)

    def handshakeCompleted(self) -> None:
        """
        The upstream and we agree on TLS.
        """
        self._client.upstreamConnected(self)

    def begin(self, client: _End) -> _End:
        """
        Pass on from here on, what arrives to another end and what arrives there.
        """
        self._end = end = _End(self.transport, self._client.factory.clock, self._lead)
        end.join(client)
        # Without what Twisted's endpoints put between.
        if isinstance(self.transport, Connection):
            self.transport.protocol = self
        return end

    def _lead(self, take: _Take) -> None:
        self.dataReceived = take  # type: ignore[assignment, method-assign]

    def readConnectionLost(self) -> None:
        if self._end is not None:
            self._end.readConnectionLost()

    def writeConnectionLost(self) -> None:
        if self._end is not None:
            self._end.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        releaseConnector(self.transport)
        # By which the factory that made us would be known to itself.
        del self.transport
        end, self._end = self._end, None
        if end is None:
            self._client.upstreamFailed(reason)
            return
        if end.joined and not reason.check(ConnectionDone):
            broke = f"the connection to the upstream broke: {errorText(reason.value)}"
            note(self._client.transport, broke)
        end.connectionLost(reason)


class _UpstreamFactory(Factory[_UpstreamProtocol]):
    noisy = False

    def __init__(self, protocol: _UpstreamProtocol) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress | None) -> _UpstreamProtocol:
        return self._protocol


class RelayFactory(ServerFactory):
    """
    Passes each client's connection on to one that is made for it: octet by octet, in both
    directions, within the limits of L{ServerFactory}.

    @ivar name: what the upstream is called in messages.
    @ivar host: what the Host field of HTTP/1 requests is set to; C{None} to leave it.
    @ivar connectTimeout: how many seconds the connection to the upstream may take.
    """

    protocol = RelayProtocol

    def __init__(
        self,
        upstream: IStreamClientEndpoint | EndpointFor,
        *,
        name: str = "the upstream",
        host: bytes | None = None,
        connectTimeout: float = 10.0,
        acceptableProtocols: Sequence[bytes] = (),
        maxConnections: int = 10_000,
        maxBuffered: int = 256 * 2**20,
        idleTimeout: float = 600.0,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param upstream: what to connect to: an endpoint, or what makes one for a client, of the
            client's transport.
        @param name: what the upstream is called in messages.
        @param host: what to set the Host field of HTTP/1 requests to; by default it is left as it
            is, and nobody looks whether it is HTTP.
        @param connectTimeout: how many seconds the connection to the upstream may take, a TLS
            handshake included; 0 for as long as the endpoint itself tries.
        @param acceptableProtocols: what to agree on with TLS clients that offer it (ALPN), the
            preferred one first; nothing by default.
        @param maxConnections: as in L{ServerFactory}.
        @param maxBuffered: as in L{ServerFactory}. What is passed on is not kept; what a client
            sends before there is a connection for it is.
        @param idleTimeout: as in L{ServerFactory}. What the upstream sends is traffic as well.
        @param clock: as in L{ServerFactory}.
        @raise TypeError: an argument is of another type.
        @raise ValueError: an argument is out of range.
        """
        super().__init__(
            maxConnections=maxConnections,
            maxBuffered=maxBuffered,
            idleTimeout=idleTimeout,
            clock=clock,
        )
        checkSeconds("connectTimeout", connectTimeout)
        self.name = name
        self.host = None if host is None else checkHost(host)
        self.connectTimeout = connectTimeout
        self._upstream = upstream
        if not IStreamClientEndpoint.providedBy(upstream):
            checkCallable("upstream", upstream)
        if acceptableProtocols:
            self._protocols = list(acceptableProtocols)
            alsoProvides(self, IProtocolNegotiationFactory)

    def acceptableProtocols(self) -> list[bytes]:
        """
        What to agree on with TLS clients.
        """
        return self._protocols

    def endpointFor(self, transport: ITCPTransport) -> IStreamClientEndpoint:
        """
        Tell what to connect to for a client.

        @param transport: the client's.
        """
        upstream = self._upstream
        if IStreamClientEndpoint.providedBy(upstream):
            return IStreamClientEndpoint(upstream)
        return upstream(transport)
