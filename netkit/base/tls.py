"""
What goes wrong with TLS, in words.
"""

from __future__ import annotations

from OpenSSL import SSL
from service_identity import VerificationError

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
