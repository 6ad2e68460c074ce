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
from zope.interface import implementer, providedBy
from zope.interface.declarations import Provides

from ..base.deadlines import LINGER, Deadline, Deadlines
from ..base.halfclose import IHalfCloseableTLS
from .connection import TLS_ERRORS, TLSConnection
from .errors import HandshakeTimeoutError, TruncatedError
from .records import Records

#: For how many seconds a peer may take to agree on TLS, where nothing else is said.
HANDSHAKE_TIMEOUT = 30.0

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
    A connection that speaks TLS: its handshake and how it ends. What is said in between is passed
    on by L{Records}, to which the octets go at once.

    @ivar disconnecting: whether the connection is to close, as C{loseConnection} asked for.
    """

    # Faster than the instance's dictionary, and smaller.
    __slots__ = (
        "_catchingUp",
        "_connection",
        "_halfClosed",
        "_halfClosing",
        "_lingering",
        "_peerClosed",
        "_producer",
        "_producerPaused",
        "_reason",
        "_records",
        "disconnecting",
    )

    factory: TLSFactory
    # What each provides, the other one asks for.
    transport: Any

    def __init__(self, factory: TLSFactory, wrappedProtocol: IProtocol) -> None:
        """
        @param factory: what made this.
        @param wrappedProtocol: what speaks under TLS.
        """
        records = self._records = Records(wrappedProtocol)
        super().__init__(factory, wrappedProtocol)
        # Found at once, in place of what is inherited. A subclass that has its own keeps it.
        if type(self).write is TLSProtocol.write:
            vars(self)["write"] = records.write
        self.disconnecting = False
        self._producer: tuple[Any, bool] | None = None
        self._producerPaused = False
        self._catchingUp: Any = None
        # Which of close_notify came and went.
        self._peerClosed = False
        self._halfClosing = False
        self._halfClosed = False
        self._reason: Failure | None = None
        # Once we wait for the peer to close.
        self._lingering: Deadline | None = None

    @property
    def handshakeDone(self) -> bool:
        """
        Whether both sides have agreed on TLS.
        """
        return self._records.agreed

    @property
    def wrappedProtocol(self) -> Any:
        """
        What speaks under TLS. Another one may take its place.
        """
        return self._records.protocol

    @wrappedProtocol.setter
    def wrappedProtocol(self, protocol: IProtocol | None) -> None:
        self._records.protocol = protocol

    def makeConnection(self, transport: ITransport) -> None:
        # As directlyProvides does, but for what it looks for in lists of lists.
        self.__provides__ = Provides(type(self), providedBy(transport))
        self.transport = transport
        self.connected = 1
        connection = self._connection = self.factory.connections.connection(self)
        self._records.begin(transport, connection, self)
        self.factory.registerProtocol(self)
        self.factory.handshakes.start(self._late)
        self.wrappedProtocol.makeConnection(self)
        if self._records.open and not connection.server_side:
            self._handshake()

    # What the transport tells.

    def dataReceived(self, data: bytes) -> None:
        if self._reason is not None:
            return
        received = self._records.dataReceived
        if self.handshakeDone:
            received(data)
            return
        self._connection.greet(data)
        if self._handshake() and self._reason is None:
            if type(self).dataReceived is TLSProtocol.dataReceived:
                vars(self)["dataReceived"] = received
            received(b"")

    def readConnectionLost(self) -> None:
        """
        The peer has closed its half of the transport, which is all that it can do behind its
        close_notify.
        """
        if self._lingering is not None:
            self.transport.loseConnection()
        elif not self._peerClosed and self._records.ending is None:
            self.failed(self._truncated())

    def writeConnectionLost(self) -> None:
        """
        Our half of the transport is closed, which nobody here asks for before all is over.
        """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._lingering is not None:
            self._lingering.end()
        if not self.handshakeDone:
            self.factory.handshakes.stop(self._late)
        self._stopCatchingUp()
        self._records.lost()
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

    # What the other protocol asks of its transport.

    def write(self, data: bytes) -> None:
        self._records.write(data)

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
        if not self.handshakeDone and not self._records.unsent and self._producer is None:
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
        self._records.drop()
        self.disconnecting = True
        self.transport.abortConnection()

    def failVerification(self, reason: Failure) -> None:
        """
        End the connection, since the peer is not who it should be: for the contexts of pyOpenSSL's
        that verify it themselves.
        """
        self._reason = reason
        self.abortConnection()

    def pauseProducing(self) -> None:
        self._records.paused = True
        # The handshake is not the other protocol's to pause.
        if self.handshakeDone and not self._records.dropping:
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self._records.paused = False
        if not self.handshakeDone or self._records.dropping:
            return
        self.transport.resumeProducing()
        if (self._records.ending or self._records.unread) and self._catchingUp is None:
            self._catchingUp = self.factory.clock.callLater(0, self._catchUp)

    def stopProducing(self) -> None:
        self.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self._producer is not None:
            raise RuntimeError(
                f"Cannot register producer {producer}, because producer {self._producer[0]} was "
                "never unregistered."
            )
        if not self._records.open and self._records.dropping:
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
            self._records.send()
            return False
        except TLS_ERRORS as error:
            refusal = self._connection.refusal
            reason = ssl.SSLError(ssl.SSL_ERROR_SSL, refusal) if refusal else error
            self.failed(Failure(reason))
            return False
        if self._records.dropping:
            # Whoever verifies the peer has refused it.
            return False
        self._records.send()
        self.factory.handshakes.stop(self._late)
        self._records.agreed = True
        self._records.flush()
        if self._records.paused:
            self.transport.pauseProducing()
        if self._producer is not None:
            producer, streaming = self._producer
            self.transport.registerProducer(producer, streaming)
            if self._producerPaused:
                self._producerPaused = False
                producer.resumeProducing()
        if IHandshakeListener.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.handshakeCompleted()
        self._records.queueing = False
        self._records.flush()
        self._closeIfAsked()
        return True

    def _late(self) -> None:
        """
        The time for the handshake is over.
        """
        self._reason = Failure(HandshakeTimeoutError(f"{self.factory.handshakeTimeout:g} seconds"))
        self.abortConnection()

    def writesHeld(self) -> None:
        """
        What is written waits until both sides have agreed on TLS.
        """
        if self._producer is not None and self._producer[1] and not self._producerPaused:
            self._producerPaused = True
            self._producer[0].pauseProducing()

    # Receiving.

    def _catchUp(self) -> None:
        """
        Go on behind what was paused.
        """
        self._catchingUp = None
        if self._records.ending is not None:
            if not self._records.paused:
                self._records.end()
        else:
            self._records.dataReceived(b"")

    def _stopCatchingUp(self) -> None:
        if self._catchingUp is not None:
            self._catchingUp.cancel()
            self._catchingUp = None

    def peerEnded(self) -> None:
        """
        The peer's close_notify has come.
        """
        if self._peerClosed:
            return
        self._peerClosed = True
        if self._halfClosed:
            self.disconnecting = True
            self.transport.loseConnection()
        if self._records.dropping:
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

    def failed(self, reason: Failure, alerted: bool = False) -> None:
        """
        End the connection, behind the alert that says why if there is one.

        @param alerted: whether it was sent.
        """
        if self._reason is not None:
            return
        self._reason = reason
        alerted = self._records.send() or alerted
        self._records.drop()
        self.disconnecting = True
        # What still arrives is not looked at.
        vars(self).pop("dataReceived", None)
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

    # Closing.

    def _closeIfAsked(self) -> None:
        if self._producer is not None or self._records.dropping:
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
        if self._producer is None and not self._records.dropping:
            self.wrappedProtocol.writeConnectionLost()

    def _close(self) -> None:
        if not self._halfClosed:
            self._closeNotify()
        self._records.dropping = True
        self._stopCatchingUp()
        if self._peerClosed or self._records.ending is not None:
            self.transport.loseConnection()
        else:
            self._linger()

    def _linger(self) -> None:
        """
        Leave the peer a moment to close its side: what it is just sending would reset a connection
        that is closed, and what we said last be lost with it.
        """
        self.factory.handshakes.stop(self._late)
        if self._lingering is None:
            self._lingering = Deadline(self.factory.clock, self.transport.loseConnection)
        self._lingering.start(LINGER)
        if self._records.paused and self.handshakeDone:
            self.transport.resumeProducing()

    def _closeNotify(self) -> None:
        self._records.flush()
        self._records.open = False
        self._halfClosed = True
        self._connection.close_notify()
        self._records.send()


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
        self.handshakes = Deadlines(clock, handshakeTimeout)

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
        return self.protocol(self, protocol)
