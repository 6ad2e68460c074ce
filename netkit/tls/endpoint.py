"""
TLS over any other endpoint, and the endpoint strings of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IProtocolNegotiationFactory,
    IReactorTime,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from .certificates import CertificateFiles, CertificateFolder, Certificates
from .contexts import ClientContext, ServerContexts
from .protocol import HANDSHAKE_TIMEOUT, Connections, TLSFactory


@implementer(IStreamServerEndpoint)
class TLSServerEndpoint:
    """
    Listens on another endpoint, and speaks TLS there.

    @ivar certificates: what is shown.
    """

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        certificates: Certificates,
        clock: IReactorTime,
        *,
        clientAuthorities: Path | None = None,
        dhParameters: Path | None = None,
        handshakeTimeout: float = HANDSHAKE_TIMEOUT,
    ) -> None:
        """
        @param endpoint: what to listen on.
        @param certificates: what to show.
        @param clock: what tells the time.
        @param clientAuthorities: as in L{ServerContexts}.
        @param dhParameters: as in L{ServerContexts}.
        @param handshakeTimeout: as in L{TLSFactory}.
        @raise OSError: a file cannot be read.
        @raise ValueError: there is something else in it.
        """
        self.certificates = certificates
        self._endpoint = endpoint
        self._clock = clock
        self._clientAuthorities = clientAuthorities
        self._dhParameters = dhParameters
        self._handshakeTimeout = handshakeTimeout
        self._keyLog: str | None = None
        # What is wrong with them is told here, where somebody waits for it.
        self._contexts(())

    def logSecrets(self, path: str) -> None:
        """
        Have the secrets of all connections that are made from here on appended to a file.

        @param path: the file.
        """
        self._keyLog = path

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen.

        @param protocolFactory: makes the protocols; where it is an L{IProtocolNegotiationFactory
            <twisted.internet.interfaces.IProtocolNegotiationFactory>}, ALPN is spoken.
        """
        contexts = self._contexts(_protocols(protocolFactory))
        if self._keyLog is not None:
            contexts.logSecrets(self._keyLog)
        factory = TLSFactory(protocolFactory, contexts, self._clock, self._handshakeTimeout)
        return self._endpoint.listen(factory)

    def _contexts(self, protocols: Sequence[bytes]) -> ServerContexts:
        return ServerContexts(
            self.certificates,
            self._clock,
            protocols=protocols,
            clientAuthorities=self._clientAuthorities,
            dhParameters=self._dhParameters,
        )


@implementer(IStreamClientEndpoint)
class TLSClientEndpoint:
    """
    Connects by another endpoint, and speaks TLS there.
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        connections: Connections,
        clock: IReactorTime,
        handshakeTimeout: float = HANDSHAKE_TIMEOUT,
    ) -> None:
        """
        @param endpoint: what to connect with.
        @param connections: makes the TLS connections.
        @param clock: what tells the time.
        @param handshakeTimeout: as in L{TLSFactory}.
        """
        self._endpoint = endpoint
        self._connections = connections
        self._clock = clock
        self._handshakeTimeout = handshakeTimeout

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect.

        @param protocolFactory: makes the protocol; ALPN as with L{TLSServerEndpoint.listen}.
        @return: fires with that protocol, while both sides agree on TLS.
        """
        protocols = _protocols(protocolFactory)
        if protocols and isinstance(self._connections, ClientContext):
            self._connections.offer(protocols)
        factory = TLSFactory(
            protocolFactory, self._connections, self._clock, self._handshakeTimeout
        )
        return self._endpoint.connect(factory).addCallback(_wrappedProtocol)


def _wrappedProtocol(protocol: Any) -> IProtocol:
    wrapped: IProtocol = protocol.wrappedProtocol
    return wrapped


def _protocols(factory: IProtocolFactory) -> Sequence[bytes]:
    negotiating = IProtocolNegotiationFactory(factory, None)
    return () if negotiating is None else list(negotiating.acceptableProtocols())


# Endpoint strings, with the arguments that Twisted's have.

_MakeServer = Callable[[str], IStreamServerEndpoint]
_MakeClient = Callable[[str], IStreamClientEndpoint]


def parseSSLServer(
    reactor: Any,
    port: str,
    privateKey: str = "server.pem",
    certKey: str | None = None,
    interface: str = "",
    backlog: str = "50",
    extraCertChain: str | None = None,
    dhParameters: str | None = None,
    clientCA: str | None = None,
) -> TLSServerEndpoint:
    """
    Make the endpoint of a server's string C{ssl:}.

    @param reactor: what listens.
    @param port: the port.
    @param privateKey: the file of the private key.
    @param certKey: the file of the certificate; that of the key by default.
    @param interface: the address to listen on.
    @param backlog: how many connections may wait to be accepted.
    @param extraCertChain: the file of those who vouch for the certificate.
    @param dhParameters: as in L{ServerContexts}.
    @param clientCA: the file of those who vouch for clients.
    @raise OSError: a file cannot be read.
    @raise ValueError: there is something else in it, or in another argument.
    """
    files = CertificateFiles(Path(certKey or privateKey), Path(privateKey), _path(extraCertChain))
    return TLSServerEndpoint(
        TCP4ServerEndpoint(reactor, int(port), int(backlog), interface),
        Certificates(files),
        reactor,
        clientAuthorities=_path(clientCA),
        dhParameters=_path(dhParameters),
    )


def parseServer(
    reactor: Any,
    makeServer: _MakeServer,
    path: str,
    port: str = "443",
    backlog: str = "50",
    interface: str = "::",
    clientCA: str | None = None,
    endpoint: str | None = None,
) -> TLSServerEndpoint:
    """
    Make the endpoint of a server's string C{tls:}.

    @param reactor: what listens.
    @param makeServer: makes the endpoint of another string.
    @param path: the folder of the certificates and keys, or a file of them.
    @param port: the port.
    @param backlog: how many connections may wait to be accepted.
    @param interface: the address to listen on.
    @param clientCA: the file of those who vouch for clients.
    @param endpoint: the string of what to listen on in place of a port.
    @raise OSError: a file cannot be read.
    @raise ValueError: there is something else in it, or in another argument.
    """
    where = Path(path)
    files = CertificateFiles(where, where) if where.is_file() else CertificateFolder(where)
    if endpoint is not None:
        lower = makeServer(endpoint)
    else:
        lower = TCP6ServerEndpoint(reactor, int(port), int(backlog), interface)
    return TLSServerEndpoint(
        lower, Certificates(files), reactor, clientAuthorities=_path(clientCA)
    )


def parseClient(
    reactor: Any,
    makeClient: _MakeClient,
    host: str,
    port: str = "",
    timeout: str = "30",
    bindAddress: str | None = None,
    certificate: str | None = None,
    privateKey: str | None = None,
    trustRoots: str | None = None,
    endpoint: str | None = None,
) -> TLSClientEndpoint:
    """
    Make the endpoint of a client's string C{tls:}.

    @param reactor: what connects.
    @param makeClient: makes the endpoint of another string.
    @param host: the name or address to connect to, whose certificate the server is to show.
    @param port: the port.
    @param timeout: for how many seconds to try.
    @param bindAddress: the address to connect from.
    @param certificate: the file of our own certificate.
    @param privateKey: the file of its key; that of the certificate by default.
    @param trustRoots: a folder of those who vouch for servers, in files called C{*.pem}; the
        system's by default.
    @param endpoint: the string of what to connect with in place of a host and a port.
    @raise OSError: a file cannot be read.
    @raise ValueError: there is something else in it, or in another argument.
    """
    if not host.isascii():
        # Not for those whose names are plain, which are most.
        import idna

        host = idna.encode(host, uts46=True).decode("ascii")
    identity = None
    if certificate is not None:
        identity = CertificateFiles(Path(certificate), Path(privateKey or certificate))
    authorities = None if trustRoots is None else _folder(Path(trustRoots))
    if endpoint is not None:
        lower = makeClient(endpoint)
    else:
        source = None if bindAddress is None else (bindAddress, 0)
        lower = HostnameEndpoint(reactor, host, int(port), float(timeout), source)
    context = ClientContext(host, authorities=authorities, identity=identity)
    return TLSClientEndpoint(lower, context, reactor)


def _folder(path: Path) -> list[Path]:
    return [each for each in path.iterdir() if each.suffix.lower() == ".pem"]


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
