"""
Twisted's endpoint strings C{tls:} of clients, with a say in what is trusted, and in what the
server is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import idna
from OpenSSL.crypto import FILETYPE_PEM
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.ssl import Certificate, KeyPair, PrivateCertificate

from ..tls import wrapClientTLS
from .endpoints import clientEndpoint
from .trust import Trust
from .twistedprivate import splitEndpoint


class TLSTarget:
    """
    What a C{tls:} string says.

    @ivar host: the name that the server's certificate is to have.
    @ivar endpoint: makes the connection that TLS is spoken on.
    """

    def __init__(self, reactor: Any, description: str, trust: Trust) -> None:
        """
        @param reactor: what connects.
        @param description: the string.
        @param trust: whose certificates to trust, where the string does not say.
        @raise ValueError: it is none.
        """
        self._reactor = reactor
        # What Twisted does not take, says why.
        clientEndpoint(reactor, description)
        positional, named = splitEndpoint(description)
        self._parse(reactor, trust, *positional[1:], **named)

    def _parse(
        self,
        reactor: Any,
        trust: Trust,
        host: str,
        port: str,
        timeout: str = "30",
        bindAddress: str | None = None,
        certificate: str | None = None,
        privateKey: str | None = None,
        trustRoots: str | None = None,
        endpoint: str | None = None,
    ) -> None:
        self._trust = trust if trustRoots is None else trust.orIn(Path(trustRoots))
        self._identity = _identity(certificate, privateKey)
        self.host = host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
        self.endpoint: IStreamClientEndpoint = (
            HostnameEndpoint(
                reactor,
                host,
                int(port),
                float(timeout),
                None if bindAddress is None else (bindAddress, 0),
            )
            if endpoint is None
            else clientEndpoint(reactor, endpoint)
        )

    def connectionCreator(
        self, host: str | None = None, protocols: Sequence[bytes] = ()
    ) -> IOpenSSLClientConnectionCreator:
        """
        Make what starts TLS.

        @param host: what the server is told (SNI), and its certificate is to have in the place of
            the string's own.
        @param protocols: what to offer to speak above TLS (ALPN), the preferred one first.
        """
        return self._trust.connectionCreator(host or self.host, self._identity, protocols)

    def wrapped(self) -> IStreamClientEndpoint:
        """
        Make the endpoint that the string describes.
        """
        return wrapClientTLS(self.connectionCreator(), self.endpoint, self._reactor)


def _identity(certificate: str | None, privateKey: str | None) -> PrivateCertificate | None:
    """
    Read our own certificate, and its key from the same file unless that has one of its own.
    """
    if certificate is None:
        return None
    shown = Path(certificate).read_bytes()
    key = shown if privateKey is None else Path(privateKey).read_bytes()
    identity: PrivateCertificate = PrivateCertificate.fromCertificateAndKeyPair(
        Certificate.loadPEM(shown), KeyPair.load(key, FILETYPE_PEM)
    )
    return identity
