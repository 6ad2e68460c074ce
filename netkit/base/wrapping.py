"""
Factories that wrap another one, for which nothing is to change but what is done in between.
"""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.interfaces import (
    IAddress,
    ILoggingContext,
    IProtocolFactory,
    IProtocolNegotiationFactory,
)
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from zope.interface import directlyProvides

P = TypeVar("P", bound=ProtocolWrapper)


class TransparentFactory(WrappingFactory[P]):
    """
    Wraps each protocol of another factory, and goes by that one's name and protocols (ALPN).

    A subclass has C{protocol}, which is made with the factory and the protocol to wrap.
    """

    noisy = False

    def __init__(self, wrappedFactory: IProtocolFactory) -> None:
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
