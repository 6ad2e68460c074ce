"""
How the connections of a TLS server and of a TLS client are made, and with which certificates.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IReactorTime

from .certificates import CertificateFiles, Certificates, Credentials
from .connection import StandardConnection, TLSConnection, prepareContext


class ServerContexts:
    """
    Makes the connections of a server: each shows the certificate for the host that the client
    names (SNI, RFC 6066 section 3), as its files have it now.
    """

    def __init__(
        self,
        certificates: Certificates,
        clock: IReactorTime,
        *,
        protocols: Sequence[bytes] = (),
        clientAuthorities: Path | None = None,
        dhParameters: Path | None = None,
    ) -> None:
        """
        @param certificates: what to show.
        @param clock: what tells the time.
        @param protocols: the application protocols that are spoken (ALPN), the preferred one
            first. A client that offers others alone is refused; one that offers none is not.
        @param clientAuthorities: a file of those who vouch for clients, each of which has to show
            a certificate then; by default none is asked to.
        @param dhParameters: a file of parameters for the Diffie-Hellman key exchange of TLS 1.2.
        @raise OSError: a file cannot be read.
        @raise ValueError: there is something else in it.
        """
        self._certificates = certificates
        self._clock = clock
        self._protocols = tuple(protocols)
        self._clientAuthorities = clientAuthorities
        self._dhParameters = dhParameters
        self._keyLog: str | None = None
        self._build()

    def logSecrets(self, path: str) -> None:
        """
        Have OpenSSL append the secrets of all connections to a file, as NSS does.

        @param path: the file.
        @raise OSError: it cannot be written to.
        """
        self._keyLog = path
        self._build()

    def connection(self, transport: object) -> TLSConnection:
        """
        Make a connection.
        """
        self._certificates.refresh(self._clock.seconds())
        if self._certificates.current is not self._built:
            self._build()
        return StandardConnection.make(self._default, server=True, protocols=self._protocols)

    def ended(self, connection: TLSConnection) -> None:
        """
        What a client may resume is in the ticket that it has.
        """

    def _build(self) -> None:
        self._built = self._certificates.current
        contexts = [(each.names, self._context(each)) for each in self._built]
        self._default = contexts[0][1]
        self._named: dict[str, ssl.SSLContext] = {}
        for names, context in contexts:
            for name in names:
                self._named.setdefault(name, context)
        self._default.sni_callback = self._clientNamed

    def _context(self, credentials: Credentials) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        prepareContext(context)
        # OpenSSL sends two, and each takes a twentieth of the whole handshake. The second is of
        # use only to who resumes twice at a time: who resumes once gets the next one then.
        context.num_tickets = 1
        credentials.use(context)
        if self._protocols:
            context.set_alpn_protocols([name.decode("latin-1") for name in self._protocols])
        if self._clientAuthorities is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            loadAuthorities(context, [self._clientAuthorities])
        if self._dhParameters is not None:
            context.load_dh_params(str(self._dhParameters))
        if self._keyLog is not None:
            context.keylog_filename = self._keyLog
        return context

    def _clientNamed(
        self, connection: Any, name: str | None, context: ssl.SSLContext
    ) -> int | None:
        alert: int | None = connection.named(name)
        if name is not None and alert is None:
            host = name.lower()
            wildcard = "*." + host.partition(".")[2]
            chosen = self._named.get(host) or self._named.get(wildcard)
            if chosen is not None and chosen is not context:
                connection.context = chosen
        return alert


class ClientContext:
    """
    Makes the connections of a client with one server, and resumes the last session with it.
    """

    def __init__(
        self,
        serverName: str | None,
        *,
        verify: bool = True,
        authorities: Sequence[Path] | None = None,
        identity: CertificateFiles | None = None,
    ) -> None:
        """
        @param serverName: the host whose certificate the server is to show; L{None} for any that
            is vouched for.
        @param verify: whether the server is to show a certificate that somebody vouches for.
        @param authorities: files of those who do; the system's by default.
        @param identity: our own certificate, for a server that asks for one.
        @raise OSError: a file cannot be read.
        @raise ValueError: there is something else in it.
        """
        self._serverName = serverName
        self._session: ssl.SSLSession | None = None
        context = self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        prepareContext(context)
        context.check_hostname = verify and serverName is not None
        if not verify:
            context.verify_mode = ssl.CERT_NONE
        elif authorities is None:
            context.load_default_certs()
        else:
            # Whoever is named is believed, be it an authority or a server.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            loadAuthorities(context, authorities)
        if identity is not None:
            [credentials] = identity.load()
            credentials.use(context)

    def offer(self, protocols: Sequence[bytes]) -> None:
        """
        Offer application protocols (ALPN), the preferred one first.
        """
        self._context.set_alpn_protocols([name.decode("latin-1") for name in protocols])

    def connection(self, transport: object) -> TLSConnection:
        """
        Make a connection.
        """
        return StandardConnection.make(
            self._context, serverName=self._serverName, session=self._session
        )

    def ended(self, connection: Any) -> None:
        """
        Keep what the next connection may resume.
        """
        self._session = connection.session


def loadAuthorities(context: ssl.SSLContext, paths: Sequence[Path]) -> None:
    """
    Have a context believe those whose certificates are in files.

    @raise OSError: a file cannot be read.
    @raise ValueError: there is no certificate in one of them.
    """
    for path in paths:
        pem = path.read_bytes()
        try:
            context.load_verify_locations(cadata=pem.decode("ascii", "replace"))
        except (ssl.SSLError, ValueError) as error:
            raise ValueError(
                f"{str(path)!r}: no certificate is in it, in PEM: -----BEGIN CERTIFICATE-----"
            ) from error
