"""
TLS: what goes wrong with it, in words; and what a server does about ALPN.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IListeningPort,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IProtocolNegotiationFactory,
    IStreamServerEndpoint,
    ISystemHandle,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from .twistedprivate import serverContext

# What OpenSSL says of a peer that does something else than TLS.
_NO_TLS = frozenset(
    (
        "wrong version number",
        "http request",
        "https proxy request",
        "packet length too long",
        "unexpected message",
    )
)


def errorText(error: BaseException | None) -> str:
    """
    Say what a connection, or an attempt at one, failed with.

    @param error: any error, as a C{Failure} has it. Those of TLS have no C{str} for people.
    """
    if isinstance(error, SSL.Error):
        return tlsErrorText(error)
    if isinstance(error, VerificationError):
        return f"the certificate is another server's: {error}"
    return str(error)


def tlsErrorText(error: SSL.Error) -> str:
    """
    Say why TLS failed.

    @param error: what OpenSSL says.
    """
    # A list of (library, function, reason), empty where OpenSSL gave none.
    reasons = [entry[-1] for entry in error.args[0]] if error.args else []
    text = ", ".join(reasons) or "the TLS connection failed"
    return f"{text}: the peer does not speak TLS" if _NO_TLS.intersection(reasons) else text


class TLSAgreement(NamedTuple):
    """
    What both sides of a connection agreed on.

    @ivar version: of TLS: C{TLSv1.3}, say.
    @ivar protocol: what is spoken above it (ALPN); empty where that was not agreed on.
    @ivar serverName: the name that the client asked for (SNI); empty where it did for none.
    """

    version: str
    protocol: bytes
    serverName: bytes


def tlsAgreement(transport: object) -> TLSAgreement | None:
    """
    Tell what the sides of a connection agreed on.

    @param transport: the connection's.
    @return: L{None} where it is not TLS.
    """
    handle = transport.getHandle() if ISystemHandle.providedBy(transport) else None
    if not isinstance(handle, SSL.Connection):
        return None
    return TLSAgreement(
        handle.get_protocol_version_name(),
        handle.get_alpn_proto_negotiated(),
        handle.get_servername() or b"",
    )


@implementer(IStreamServerEndpoint)
class TLSServerEndpoint:
    """
    Listens on another endpoint, and speaks TLS on its connections.

    @ivar context: what they have in common.
    """

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        creator: IOpenSSLServerConnectionCreator,
        context: SSL.Context,
    ) -> None:
        """
        @param endpoint: what to listen on.
        @param creator: makes the TLS of each connection.
        @param context: what all of them are made with.
        """
        self.context = context
        self._endpoint = endpoint
        self._creator = creator

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen.

        @param protocolFactory: makes the protocols.
        """
        return self._endpoint.listen(TLSMemoryBIOFactory(self._creator, False, protocolFactory))


def tlsContext(endpoint: IStreamServerEndpoint) -> SSL.Context | None:
    """
    Tell what a server's TLS connections are made with.

    @param endpoint: what listens.
    @return: L{None} where there is no TLS.
    """
    return endpoint.context if isinstance(endpoint, TLSServerEndpoint) else serverContext(endpoint)


def negotiateStrictly(endpoint: IStreamServerEndpoint) -> None:
    """
    Have a TLS server do about ALPN what RFC 7301 section 3.2 says. Twisted's refuses each client
    that offers a protocol, curl and browsers among them, where the factory has no list of its own.

    @param endpoint: what listens; left as it is if it has no TLS.
    """
    context = tlsContext(endpoint)
    if context is not None:
        context.set_alpn_select_callback(_selectProtocol)


def _selectProtocol(connection: SSL.Connection, offered: list[bytes]) -> Any:
    factory = IProtocolNegotiationFactory(connection.get_app_data().factory.wrappedFactory, None)
    if factory is None:
        return SSL.NO_OVERLAPPING_PROTOCOLS
    for name in factory.acceptableProtocols():
        if name in offered:
            return name
    # What is raised here is what the handshake fails with, after the alert that is for this.
    raise SSL.Error([("ALPN", "", "no application protocol that both sides take")])
