"""
Whose certificates are trusted, and why a certificate is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509, X509StoreFlags
from service_identity import VerificationError
from service_identity.hazmat import DNS_ID, IPAddress_ID, ServiceID, verify_service_identity
from service_identity.pyopenssl import extract_patterns
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    PrivateCertificate,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

# The errors of X509_verify_cert(3) that come up, in words.
_PROBLEMS = {
    7: "is not signed by the authority that it names",
    9: "is not valid before {begin}",
    10: "expired on {end}",
    18: "is self-signed, and not among those that are trusted",
    19: "comes from an authority that is not trusted",
    20: "comes from an authority that is not trusted",
    21: "comes from an authority that is not trusted",
    23: "was revoked",
    26: "is not meant for servers",
}


def loadCertificates(path: Path) -> list[Certificate]:
    """
    Read the certificates of a file, in PEM.

    @raise OSError: it cannot be read.
    @raise ValueError: there is none in it.
    """
    loaded = x509.load_pem_x509_certificates(path.read_bytes())
    return [Certificate(X509.from_cryptography(certificate)) for certificate in loaded]


@implementer(IPolicyForHTTPS)
class Trust:
    """
    Whose certificates to trust: a policy for HTTPS, WebSocket and plain TLS.
    """

    def __init__(
        self, *, verify: bool = True, authorities: Iterable[Certificate] | None = None
    ) -> None:
        """
        @param verify: whether to verify the servers' certificates at all.
        @param authorities: the trust anchors; the system's by default.
        """
        self._verify = verify
        self._authorities = authorities

    def orIn(self, folder: Path) -> Trust:
        """
        Trust the certificates in a folder, unless it was said whose to trust.

        @param folder: its files whose names end in C{.pem} are read.
        @raise OSError: there is no such folder, or a file cannot be read.
        @raise ValueError: there is no certificate in one of them.
        """
        if not self._verify or self._authorities is not None:
            return self
        paths = [path for path in folder.iterdir() if path.suffix.lower() == ".pem"]
        return Trust(authorities=[one for path in paths for one in loadCertificates(path)])

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        """
        Make what starts TLS with a server.

        @param hostname: the name that its certificate is to have.
        """
        return self.connectionCreator(hostname.decode("ascii"))

    def connectionCreator(
        self,
        host: str,
        identity: PrivateCertificate | None = None,
        protocols: Sequence[bytes] = (),
    ) -> IOpenSSLClientConnectionCreator:
        """
        As L{creatorForNetloc}.

        @param host: the name that the server's certificate is to have, and that it is told (SNI).
        @param identity: our own certificate, for a server that asks for one.
        @param protocols: what to offer to speak above TLS (ALPN), the preferred one first.
        """
        roots = None
        if self._verify:
            authorities = self._authorities
            roots = (
                platformTrust() if authorities is None else trustRootFromCertificates(authorities)
            )
        context = CertificateOptions(
            privateKey=None if identity is None else identity.privateKey.original,
            certificate=None if identity is None else identity.original,
            trustRoot=roots,
        ).getContext()
        if protocols:
            context.set_alpn_protos(list(protocols))
        if self._verify:
            store = context.get_cert_store()
            assert store is not None
            # A certificate that is given is a trust anchor, be it an authority's or a server's.
            store.set_flags(X509StoreFlags.PARTIAL_CHAIN)
            # Of the context, since what the one of a connection raises is lost.
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verifier(host))
        return _ConnectionCreator(context, None if _isAddress(host) else host)


@implementer(IOpenSSLClientConnectionCreator)
class _ConnectionCreator:
    def __init__(self, context: SSL.Context, serverName: str | None) -> None:
        self._context = context
        self._serverName = serverName

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        if self._serverName is not None:
            connection.set_tlsext_host_name(self._serverName.encode("ascii"))
        return connection


def _isAddress(host: str) -> bool:
    return isIPAddress(host) or isIPv6Address(host)


def _verifier(host: str) -> Callable[[SSL.Connection, X509, int, int, int], bool]:
    """
    Make what OpenSSL asks about each certificate of a chain, from the authority's to the server's.
    What it raises is what the handshake fails with.
    """
    identity: ServiceID = IPAddress_ID(host) if _isAddress(host) else DNS_ID(host)

    def verify(
        connection: SSL.Connection, presented: X509, problem: int, depth: int, accepted: int
    ) -> bool:
        certificate = presented.to_cryptography()
        if not accepted:
            what = _PROBLEMS.get(problem, f"is not accepted (X509_verify_cert's error {problem})")
            raise _refused(
                what.format(
                    begin=_time(certificate.not_valid_before_utc),
                    end=_time(certificate.not_valid_after_utc),
                ),
                whose="of an authority" if depth else "of the server",
            )
        if depth == 0:
            try:
                verify_service_identity(extract_patterns(presented), [identity], [])
            except VerificationError as error:
                raise _refused(f"is for {_names(certificate)}, not for {host}") from error
        return True

    return verify


def _refused(what: str, whose: str = "of the server") -> SSL.Error:
    """
    Make an error in the form of OpenSSL's own: library, function, reason.
    """
    return SSL.Error([("certificate", "verify", f"the certificate {whose} {what}")])


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _names(certificate: x509.Certificate) -> str:
    """
    The hosts that a certificate is for.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return "no host"
    return ", ".join(str(name.value) for name in names) or "no host"
