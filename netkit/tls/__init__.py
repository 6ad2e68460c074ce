"""
TLS over any stream transport, whose halves end one by one, as those of TCP do: on Python's own
C{ssl}, or on a context of pyOpenSSL's for whoever has one.

    - L{TLSServerEndpoint} and L{TLSClientEndpoint} put it on another endpoint, L{TLSFactory} under
      another factory.
    - L{Certificates} are what a server shows, read again when their files change.
"""

from .certificates import CertificateFiles, CertificateFolder, Certificates
from .contexts import ClientContext, ServerContexts
from .endpoint import TLSClientEndpoint, TLSServerEndpoint
from .errors import HandshakeTimeoutError, TruncatedError
from .openssl import OpenSSLConnections, OpenSSLServerEndpoint, wrapClientTLS
from .protocol import HANDSHAKE_TIMEOUT, TLSFactory, TLSProtocol

__all__ = [
    "HANDSHAKE_TIMEOUT",
    "CertificateFiles",
    "CertificateFolder",
    "Certificates",
    "ClientContext",
    "HandshakeTimeoutError",
    "OpenSSLConnections",
    "OpenSSLServerEndpoint",
    "ServerContexts",
    "TLSClientEndpoint",
    "TLSFactory",
    "TLSProtocol",
    "TLSServerEndpoint",
    "TruncatedError",
    "wrapClientTLS",
]
