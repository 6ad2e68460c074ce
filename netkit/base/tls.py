"""
TLS, of netkit's or of Twisted's: what was agreed on, and what goes wrong with it, in words.
"""

from __future__ import annotations

import ssl
from typing import Any, NamedTuple

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.interfaces import ISSLTransport

from . import twistedprivate

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

# Of X509_verify_cert(3): that the certificate is for another name, or for another address.
_ANOTHER_SERVERS = frozenset((62, 64))


def handshakeDone(transport: object) -> bool:
    """
    Whether a connection's TLS handshake was done, or it never had one to do.

    @param transport: the transport, which may be wrapped as often as one likes.
    """
    # Of every connection this is asked, and to ask for an interface takes longer.
    done = getattr(transport, "handshakeDone", None)
    return twistedprivate.handshakeDone(transport) if done is None else bool(done)


def errorText(error: BaseException | None) -> str:
    """
    Say what a connection, or an attempt at one, failed with.

    @param error: any error, as a C{Failure} has it. Those of TLS have no C{str} for people.
    """
    if isinstance(error, SSL.Error | ssl.SSLError):
        return tlsErrorText(error)
    if isinstance(error, VerificationError):
        return f"the certificate is another server's: {error}"
    return str(error)


def tlsErrorText(error: SSL.Error | ssl.SSLError) -> str:
    """
    Say why TLS failed.

    @param error: what OpenSSL says.
    """
    reasons = _reasons(error)
    text = ", ".join(reasons) or "the TLS connection failed"
    return f"{text}: the peer does not speak TLS" if _NO_TLS.intersection(reasons) else text


def _reasons(error: SSL.Error | ssl.SSLError) -> list[str]:
    if isinstance(error, SSL.Error):
        # A list of (library, function, reason), empty where OpenSSL gave none.
        return [entry[-1] for entry in error.args[0]] if error.args else []
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _ANOTHER_SERVERS:
            return [f"the certificate is another server's: {error.verify_message}"]
        return [f"certificate verify failed: {error.verify_message}"]
    # In OpenSSL's words, which Python has as the name of a constant.
    name: str | None = getattr(error, "reason", None)
    reason = name.replace("_", " ").lower() if name else error.strerror
    return [reason] if reason else []


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
    if not ISSLTransport.providedBy(transport):
        return None
    secure: Any = transport
    handle = secure.getHandle()
    return TLSAgreement(
        handle.get_protocol_version_name(),
        handle.get_alpn_proto_negotiated(),
        handle.get_servername() or b"",
    )
