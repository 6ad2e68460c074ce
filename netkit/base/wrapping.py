"""
Factories and protocols that wrap others, for which nothing is to change but what is done in
between.
"""

from __future__ import annotations

from typing import Any, TypeVar

from twisted.internet.interfaces import (
    IAddress,
    IFileDescriptorReceiver,
    IHalfCloseableProtocol,
    IHandshakeListener,
    ILoggingContext,
    IProtocol,
    IProtocolNegotiationFactory,
    ITransport,
)
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy
from zope.interface.interface import InterfaceClass

from .factories import AnyFactory

# What a protocol may provide, beside IProtocol, to be told more by its transport.
_LISTENERS = (IHalfCloseableProtocol, IFileDescriptorReceiver, IHandshakeListener)


class Passage:
    """
    What the octets of a wrapped connection go through, both ways. CPython looks up anew whatever
    is asked of what has C{__getattr__}, as a L{ProtocolWrapper} does: this has not.

    A subclass does something with the octets, by extending both methods.

    @ivar protocol: takes what arrives, while the connection lives.
    @ivar transport: takes what is written, once there is a connection.
    """

    __slots__ = ("protocol", "transport")

    protocol: Any
    transport: Any

    def __init__(self, protocol: IProtocol) -> None:
        """
        @param protocol: the protocol that is wrapped.
        """
        self.protocol = protocol

    def dataReceived(self, data: bytes) -> None:
        """
        Take what arrived.
        """
        self.protocol.dataReceived(data)

    def write(self, data: bytes) -> None:
        """
        Take what is written.
        """
        self.transport.write(data)


class TransparentProtocol(ProtocolWrapper):
    """
    Between a transport and a protocol, each of which it is to the other: it provides what they do,
    and passes on what they tell.

    A subclass does something in between, by extending these methods.
    """

    # What each provides, the other one asks for.
    transport: Any
    wrappedProtocol: Any
    _passage: Passage | None = None

    def __init__(
        self,
        factory: WrappingFactory[Any],
        wrappedProtocol: IProtocol,
        *,
        listens: InterfaceClass | None = None,
    ) -> None:
        """
        @param factory: what made this.
        @param wrappedProtocol: the protocol.
        @param listens: what this is told of even where the protocol is not.
        """
        super().__init__(factory, wrappedProtocol)
        self._listens = [
            each for each in _LISTENERS if each is listens or each.providedBy(wrappedProtocol)
        ]
        directlyProvides(self, *self._listens)

    def lead(self, passage: Passage) -> None:
        """
        For subclasses: have the octets go through something else than this.

        @param passage: what they go through.
        """
        self._passage = passage
        # Found at once, in place of what is inherited.
        vars(self).update(dataReceived=passage.dataReceived, write=passage.write)

    def makeConnection(self, transport: ITransport) -> None:
        self.connect(transport)
        self.wrappedProtocol.makeConnection(self)

    def connect(self, transport: ITransport, *provides: InterfaceClass) -> None:
        """
        For subclasses, which may have more to do before the protocol is connected: have the
        transport.

        @param provides: what this provides beside what the transport does.
        """
        directlyProvides(self, providedBy(transport), *provides, *self._listens)
        self.transport = transport
        if self._passage is not None:
            self._passage.transport = transport
        self.connected = 1
        self.factory.registerProtocol(self)

    def replace(self, protocol: IProtocol) -> None:
        """
        For subclasses: connect another protocol in the place of the one that was wrapped.
        """
        self.wrappedProtocol = protocol
        if self._passage is not None:
            self._passage.protocol = protocol
        self._listens = [each for each in _LISTENERS if each.providedBy(protocol)]
        directlyProvides(self, providedBy(self.transport), *self._listens)
        self.wrappedProtocol.makeConnection(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        if self._passage is not None:
            # It has this one, as its transport.
            del self._passage.protocol

    def readConnectionLost(self) -> None:
        """
        The peer has closed its half.
        """
        self.wrappedProtocol.readConnectionLost()

    def writeConnectionLost(self) -> None:
        """
        Our half is closed.
        """
        self.wrappedProtocol.writeConnectionLost()

    def handshakeCompleted(self) -> None:
        """
        Both sides have agreed on TLS.
        """
        self.wrappedProtocol.handshakeCompleted()

    def fileDescriptorReceived(self, descriptor: int) -> None:
        """
        A file descriptor came over a UNIX socket.
        """
        self.wrappedProtocol.fileDescriptorReceived(descriptor)


def writer(transport: ITransport) -> Any:
    """
    Tell what takes the octets that are written to a transport: itself, or what they are led
    through, which is found faster.
    """
    passage = transport._passage if isinstance(transport, TransparentProtocol) else None
    return transport if passage is None else passage


P = TypeVar("P", bound=ProtocolWrapper)


class TransparentFactory(WrappingFactory[P]):
    """
    Wraps each protocol of another factory, and goes by that one's name and protocols (ALPN).

    A subclass has C{protocol}, which is made with the factory and the protocol to wrap.
    """

    noisy = False

    def __init__(self, wrappedFactory: AnyFactory) -> None:
        """
        @param wrappedFactory: makes the protocols.
        """
        super().__init__(wrappedFactory)
        if IProtocolNegotiationFactory.providedBy(wrappedFactory):
            # What TLS clients are told that is spoken here.
            self.acceptableProtocols = wrappedFactory.acceptableProtocols
            directlyProvides(self, IProtocolNegotiationFactory)

    def logPrefix(self) -> str:
        """
        Tell the name of the factory that is wrapped.
        """
        if ILoggingContext.providedBy(self.wrappedFactory):
            return str(self.wrappedFactory.logPrefix())
        return type(self.wrappedFactory).__name__

    def buildProtocol(self, addr: IAddress | None) -> P:
        """
        Make the protocol of a new connection; L{None} where the other factory makes none.
        """
        protocol = self.wrappedFactory.buildProtocol(addr)
        if protocol is None:
            return None  # type: ignore[return-value] # as IProtocolFactory has it
        return self.protocol(self, protocol)
