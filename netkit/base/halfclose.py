"""
The two halves of a connection, of which each is closed by itself.
"""

from __future__ import annotations

from twisted.internet.interfaces import ISSLTransport, ITCPTransport, ITransport
from zope.interface import Interface


class IHalfCloseableTLS(ISSLTransport, Interface):
    """
    A TLS transport whose halves end one by one, each with its close_notify (RFC 8446 section 6.1).
    """


def hasHalves(transport: ITransport) -> bool:
    """
    Tell whether one half of a connection can be closed while the other goes on.

    @param transport: the connection's. Twisted's TLS has no halves, nor has any transport that is
        not a socket's.
    """
    if ISSLTransport.providedBy(transport):
        return bool(IHalfCloseableTLS.providedBy(transport))
    return bool(ITCPTransport.providedBy(transport))


def endWriting(transport: ITransport) -> None:
    """
    Close our half of a connection once all that was written is sent; a connection that has no
    halves is closed whole.

    @param transport: the connection's. No producer is registered with it.
    """
    if hasHalves(transport):
        ITCPTransport(transport).loseWriteConnection()
    else:
        transport.loseConnection()
