"""
TLS on any stream transport (RFC 8446): a protocol between a transport and another protocol, each
of which takes it for the other one.

The halves of a connection end one by one, as on TCP: the peer's close_notify is the other
protocol's C{readConnectionLost}, and what it answers still goes out; C{loseWriteConnection} says
close_notify and reads on.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from OpenSSL.crypto import X509
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableProtocol,
    IHandshakeListener,
    ILoggingContext,
    INegotiated,
    IProtocol,
    IProtocolFactory,
    IPullProducer,
    IPushProducer,
    IReactorTime,
    ISystemHandle,
    ITransport,
)
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer, providedBy

from ..base.deadlines import LINGER, Deadline
from ..base.halfclose import IHalfCloseableTLS
from ..base.tls import errorText
from .connection import RECORD, TLS_ERRORS, TLSConnection
from .errors import HandshakeTimeoutError, TruncatedError

#: For how many seconds a peer may take to agree on TLS, where nothing else is said.
HANDSHAKE_TIMEOUT = 30.0

# So many octets that are written in a turn leave before its end.
_MUCH = 2**16


_TRUNCATED = Failure(TruncatedError())


class Connections(Protocol):
    """
    Makes TLS connections: L{ServerContexts <netkit.tls.contexts.ServerContexts>} and the like.
    """

    def connection(self, transport: TLSProtocol) -> TLSConnection:
        """
        Make the connection of a transport.
        """

    def ended(self, connection: TLSConnection) -> None:
        """
        A connection on which both sides had agreed on TLS has ended.
        """


@implementer(
    IHalfCloseableTLS, INegotiated, ISystemHandle, IConsumer, IPushProducer, IHalfCloseableProtocol
)
class TLSProtocol(ProtocolWrapper):
    """
    A connection that speaks TLS.

    What is written while something that arrived is handled leaves together when that is done: as
    few records as hold it, in one write.

    @ivar handshakeDone: whether both sides have agreed on TLS.
    @ivar disconnecting: whether the connection is to close, as C{loseConnection} asked for.
    """

    # Faster than the instance's dictionary, and smaller.
    __slots__ = (
        "_catchingUp",
        "_connection",
        "_deadline",
        "_dropping",
        "_ending",
        "_halfClosed",
        "_halfClosing",
        "_incoming",
        "_open",
        "_outgoing",
        "_partial",
        "_paused",
        "_peerClosed",
        "_producer",
        "_producerPaused",
        "_queue",
        "_queued",
        "_queueing",
        "_reason",
        "disconnecting",
        "handshakeDone",
    )

    factory: TLSFactory
    # What each provides, the other one asks for.
    transport: Any
    wrappedProtocol: Any

    def __init__(self, factory: TLSFactory, wrappedProtocol: IProtocol) -> None:
        """
        @param factory: what made this.
        @param wrappedProtocol: what speaks under TLS.
        """
        super().__init__(factory, wrappedProtocol)
        self.handshakeDone = False
        self.disconnecting = False
        # What was written and is not encrypted yet, and how much it is.
        self._queue: list[bytes] = []
        self._queued = 0
        # Whether writes are queued: until the handshake is done, and in a turn of dataReceived.
        self._queueing = True
        # Whether writes are taken.
        self._open = True
        self._producer: tuple[Any, bool] | None = None
        self._producerPaused = False
        # Whether the other protocol has paused what it receives.
        self._paused = False
        # Whether the incoming buffer has the rest of a record alone.
        self._partial = False
        # What is still to be told behind what is paused: that the peer has closed its half, or why
        # TLS failed.
        self._ending: Callable[[], None] | None = None
        self._catchingUp: Any = None
        # Which of close_notify came and went, and whether what arrives is dropped.
        self._peerClosed = False
        self._halfClosing = False
        self._halfClosed = False
        self._dropping = False
        self._reason: Failure | None = None
        self._deadline = Deadline(factory.clock, self._late)

    def makeConnection(self, transport: ITransport) -> None:
        directlyProvides(self, providedBy(transport))
        self.transport = transport
        self.connected = 1
        connection = self._connection = self.factory.connections.connection(self)
        self._incoming = connection.incoming
        self._outgoing = connection.outgoing
        self.factory.registerProtocol(self)
        self._deadline.start(self.factory.handshakeTimeout)
        self.wrappedProtocol.makeConnection(self)
        if self._open and not connection.server_side:
            self._handshake()

    # What the transport tells.

    def dataReceived(self, data: bytes) -> None:
        if self._reason is not None:
            return
        if self.handshakeDone:
            self._incoming.write(data)
        else:
            self._connection.greet(data)
            if not self._handshake():
                return
        if self._paused and not self._dropping:
            return
        incoming = self._incoming
        read = self._connection.read
        data = b""
        more: list[bytes] | None = None
        try:
            while pending := incoming.pending:
                # What is there of a record is no measure of what is in it.
                size = RECORD if self._partial or pending > RECORD else pending
                piece = read(size)
                self._partial = False
                if not piece:
                    self._ending = self._peerEnded
                    break
                if not data:
                    data = piece
                elif more is None:
                    more = [data, piece]
                else:
                    more.append(piece)
        except ssl.SSLWantReadError:
            self._partial = True
        except ssl.SSLZeroReturnError:
            self._ending = self._peerEnded
        except TLS_ERRORS as error:
            reason = Failure(ConnectionLost(errorText(error)))
            alerted = self._send()
            self._ending = lambda: self._fail(reason, alerted)
        if data and not self._dropping:
            self._queueing = True
            try:
                self.wrappedProtocol.dataReceived(data if more is None else b"".join(more))
            finally:
                self._queueing = False
            if self._queue:
                self._encryptQueue()
        # There may also be an answer to a key update.
        if octets := self._outgoing.read():
            self.transport.write(octets)
        if self._ending is not None and not (self._paused and not self._dropping):
            self._end()

    def readConnectionLost(self) -> None:
        """
        The peer has closed its half of the transport, which is all that it can do behind its
        close_notify.
        """
        if self._deadline.pending and self._dropping:
            self.transport.loseConnection()
        elif not self._peerClosed and self._ending is None:
            self._fail(self._truncated())

    def writeConnectionLost(self) -> None:
        """
        Our half of the transport is closed, which nobody here asks for before all is over.
        """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._deadline.stop()
        self._stopCatchingUp()
        self._open = False
        self._dropping = True
        self._queue.clear()
        if self.handshakeDone:
            self.factory.connections.ended(self._connection)
        if self._reason is not None:
            reason = self._reason
        elif not (self._peerClosed or self.disconnecting) and reason.check(ConnectionDone):
            reason = self._truncated()
        # There is nothing left to close.
        self.disconnecting = self._halfClosing = True
        producer, self._producer = self._producer, None
        if producer is not None and not self.handshakeDone:
            producer[0].stopProducing()
        super().connectionLost(reason)
        # It knows us, and we are to be gone at once.
        del self._deadline

    # What the other protocol asks of its transport.

    def write(self, data: bytes) -> None:
        if not self._open:
            return
        if type(data) is not bytes:
            data = memoryview(data).tobytes()
        self._queue.append(data)
        if not self._queueing:
            self._flush()
            return
        self._queued += len(data)
        if self._queued > _MUCH and self.handshakeDone:
            # The producer hears in between whether the peer takes it.
            self._flush()
        elif not self.handshakeDone:
            self._pauseProducer()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """
        Close when all that was written is sent, with close_notify, and then without waiting for
        the peer: but for a moment, so that what it is just sending does not reset the connection
        before it has read.
        """
        if self.disconnecting:
            return
        self.disconnecting = True
        if not self.handshakeDone and not self._queue and self._producer is None:
            self.abortConnection()
        elif self.handshakeDone and self._producer is None:
            self._close()

    def loseWriteConnection(self) -> None:
        """
        Say close_notify when all that was written is sent. What the peer sends is still received.
        """
        if self._halfClosing:
            return
        self._halfClosing = True
        if self.handshakeDone and self._producer is None and not self.disconnecting:
            self._halfClose()

    def abortConnection(self) -> None:
        self._open = False
        self._dropping = True
        self.disconnecting = True
        self._queue.clear()
        self.transport.abortConnection()

    def failVerification(self, reason: Failure) -> None:
        """
        End the connection, since the peer is not who it should be: for the contexts of pyOpenSSL's
        that verify it themselves.
        """
        self._reason = reason
        self.abortConnection()

    def pauseProducing(self) -> None:
        self._paused = True
        # The handshake is not the other protocol's to pause.
        if self.handshakeDone and not self._dropping:
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self._paused = False
        if not self.handshakeDone or self._dropping:
            return
        self.transport.resumeProducing()
        if (self._ending or self._incoming.pending) and self._catchingUp is None:
            self._catchingUp = self.factory.clock.callLater(0, self._catchUp)

    def stopProducing(self) -> None:
        self.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self._producer is not None:
            raise RuntimeError(
                f"Cannot register producer {producer}, because producer {self._producer[0]} was "
                "never unregistered."
            )
        if not self._open and self._dropping:
            producer.stopProducing()
            return
        self._producer = (producer, streaming)
        if self.handshakeDone and not self._halfClosed:
            self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        if self._producer is None:
            return
        self._producer = None
        self._producerPaused = False
        if self.handshakeDone and not self._halfClosed:
            self.transport.unregisterProducer()
            self._closeIfAsked()

    def getHandle(self) -> TLSConnection:
        """
        Give the connection of OpenSSL's: what has C{get_peer_certificate} and the like.
        """
        return self._connection

    def getPeerCertificate(self) -> X509 | None:
        """
        Give the certificate that the peer has shown, of pyOpenSSL's class as with Twisted's TLS.
        """
        return self._connection.get_peer_certificate()

    @property
    def negotiatedProtocol(self) -> bytes | None:
        """
        The application protocol that both sides have agreed on (ALPN).
        """
        return self._connection.get_alpn_proto_negotiated() or None

    # The handshake.

    def _handshake(self) -> bool:
        """
        Go on with the handshake.

        @return: whether it is done.
        """
        try:
            self._connection.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
            return False
        except TLS_ERRORS as error:
            refusal = self._connection.refusal
            reason = ssl.SSLError(ssl.SSL_ERROR_SSL, refusal) if refusal else error
            self._fail(Failure(reason))
            return False
        if self._dropping:
            # Whoever verifies the peer has refused it.
            return False
        self._send()
        self._deadline.stop()
        self.handshakeDone = True
        self._flush()
        if self._paused:
            self.transport.pauseProducing()
        if self._producer is not None:
            producer, streaming = self._producer
            self.transport.registerProducer(producer, streaming)
            if self._producerPaused:
                self._producerPaused = False
                producer.resumeProducing()
        if IHandshakeListener.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.handshakeCompleted()
        self._queueing = False
        self._flush()
        self._closeIfAsked()
        return True

    def _late(self) -> None:
        """
        The time is over: for the handshake, or for the peer to close.
        """
        if self._dropping:
            self.transport.loseConnection()
        else:
            self._reason = Failure(
                HandshakeTimeoutError(f"{self.factory.handshakeTimeout:g} seconds")
            )
            self.abortConnection()

    def _pauseProducer(self) -> None:
        if self._producer is not None and self._producer[1] and not self._producerPaused:
            self._producerPaused = True
            self._producer[0].pauseProducing()

    # Receiving.

    def _catchUp(self) -> None:
        """
        Go on behind what was paused.
        """
        self._catchingUp = None
        if self._ending is not None:
            if not self._paused:
                self._end()
        else:
            self.dataReceived(b"")

    def _stopCatchingUp(self) -> None:
        if self._catchingUp is not None:
            self._catchingUp.cancel()
            self._catchingUp = None

    def _end(self) -> None:
        ending, self._ending = self._ending, None
        if ending is not None:
            ending()

    def _peerEnded(self) -> None:
        """
        The peer's close_notify has come.
        """
        if self._peerClosed:
            return
        self._peerClosed = True
        if self._halfClosed:
            self.disconnecting = True
            self.transport.loseConnection()
        if self._dropping:
            return
        if IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.readConnectionLost()
        else:
            # It is all over for that one, whatever it still had to send.
            self.disconnecting = True
            self._dropProducer()
            self._close()

    def _truncated(self) -> Failure:
        if self.handshakeDone:
            return _TRUNCATED
        return Failure(ConnectionLost("the peer left before TLS was agreed on"))

    def _fail(self, reason: Failure, alerted: bool = False) -> None:
        """
        End the connection, behind the alert that says why if there is one.

        @param alerted: whether it was sent.
        """
        if self._reason is not None:
            return
        self._reason = reason
        alerted = self._send() or alerted
        self._open = False
        self.disconnecting = True
        self._dropping = True
        self._queue.clear()
        self._dropProducer()
        if alerted:
            self._linger()
        else:
            self.transport.loseConnection()

    def _dropProducer(self) -> None:
        """
        Want no more of the producer, for which the transport would wait.
        """
        producer, self._producer = self._producer, None
        if producer is not None:
            if self.handshakeDone and not self._halfClosed:
                self.transport.unregisterProducer()
            producer[0].stopProducing()

    # Sending.

    def _flush(self) -> None:
        """
        Encrypt what was written, and send it.
        """
        if self._queue:
            self._encryptQueue()
            self._send()

    def _encryptQueue(self) -> None:
        queue = self._queue
        data = queue[0] if len(queue) == 1 else b"".join(queue)
        queue.clear()
        self._queued = 0
        size = len(data)
        write = self._connection.write
        try:
            sent = write(data) if 0 < size <= RECORD else 0
            if sent != size:
                # It is longer, or the peer has asked for records that are smaller.
                left = memoryview(data)[sent:]
                while left:
                    left = left[write(left[:RECORD]) :]
        except TLS_ERRORS as error:
            self._fail(Failure(ConnectionLost(errorText(error))))

    def _send(self) -> bool:
        """
        Send what OpenSSL has for the peer.

        @return: whether there was something.
        """
        data = self._outgoing.read()
        if data:
            self.transport.write(data)
        return bool(data)

    # Closing.

    def _closeIfAsked(self) -> None:
        if self._producer is not None or self._dropping:
            return
        if self.disconnecting:
            self._close()
        elif self._halfClosing and not self._halfClosed:
            self._halfClose()

    def _halfClose(self) -> None:
        self._closeNotify()
        if self._peerClosed:
            self.disconnecting = True
            self.transport.loseConnection()
        elif IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
            _Sent(self.transport, self._writesSent)

    def _writesSent(self) -> None:
        if self._producer is None and not self._dropping:
            self.wrappedProtocol.writeConnectionLost()

    def _close(self) -> None:
        if not self._halfClosed:
            self._closeNotify()
        self._dropping = True
        self._stopCatchingUp()
        if self._peerClosed or self._ending is not None:
            self.transport.loseConnection()
        else:
            self._linger()

    def _linger(self) -> None:
        """
        Leave the peer a moment to close its side: what it is just sending would reset a connection
        that is closed, and what we said last be lost with it.
        """
        self._deadline.start(LINGER)
        if self._paused and self.handshakeDone:
            self.transport.resumeProducing()

    def _closeNotify(self) -> None:
        self._flush()
        self._open = False
        self._halfClosed = True
        self._connection.close_notify()
        self._send()


@implementer(IPullProducer)
class _Sent:
    """
    Tells when a transport has sent what was written to it: as a producer that is asked for more
    then, and has nothing.
    """

    def __init__(self, transport: IConsumer, sent: Callable[[], None]) -> None:
        self._transport = transport
        self._sent = sent
        self._registered = False
        transport.registerProducer(self, False)
        self._registered = True

    def resumeProducing(self) -> None:
        # The first time is when it is registered.
        if self._registered:
            self._transport.unregisterProducer()
            self._sent()

    def stopProducing(self) -> None:
        """
        The connection is lost, of which others tell.
        """


class TLSFactory(WrappingFactory[TLSProtocol]):
    """
    Makes TLS connections for the protocols that another factory makes.
    """

    protocol = TLSProtocol
    noisy = False

    def __init__(
        self,
        wrappedFactory: IProtocolFactory,
        connections: Connections,
        clock: IReactorTime,
        handshakeTimeout: float = HANDSHAKE_TIMEOUT,
    ) -> None:
        """
        @param wrappedFactory: makes the protocols.
        @param connections: makes the TLS connections under them.
        @param clock: what tells the time.
        @param handshakeTimeout: in how many seconds both sides have to agree on TLS.
        """
        super().__init__(wrappedFactory)
        self.connections = connections
        self.clock = clock
        self.handshakeTimeout = handshakeTimeout

    def logPrefix(self) -> str:
        """
        Tell the name of the other factory, and that it is under TLS.
        """
        if ILoggingContext.providedBy(self.wrappedFactory):
            return f"{self.wrappedFactory.logPrefix()} (TLS)"
        return f"{type(self.wrappedFactory).__name__} (TLS)"

    def buildProtocol(self, addr: IAddress | None) -> TLSProtocol:
        """
        Make the protocol of a new connection; L{None} where the other factory makes none.
        """
        protocol = self.wrappedFactory.buildProtocol(addr)
        if protocol is None:
            return None  # type: ignore[return-value] # as IProtocolFactory has it
        return TLSProtocol(self, protocol)
