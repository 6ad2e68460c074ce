"""
TLS with a certificate for whatever name a client asks for.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from .authority import Authority

_log = Logger()

#: For how many names certificates are kept; the one that was not asked for the longest makes room.
MOST_NAMES = 256

# A host's name (RFC 1123 section 2.1).
_LABEL = rb"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rb"(?=.{1,253}\Z)" + _LABEL + rb"(?:\." + _LABEL + rb")*", re.DOTALL)


@implementer(IOpenSSLServerConnectionCreator)
class IssuingContext:
    """
    Makes the TLS of a server's connections, each with a certificate that is issued at need: for
    the name that its client asks for (SNI); where it asks for none, or for what can be none, for
    the address that it connected to.

    @ivar context: OpenSSL's.
    """

    def __init__(self, authority: Authority) -> None:
        """
        @param authority: what issues the certificates.
        """
        self._authority = authority
        self._issued: OrderedDict[str, tuple[Any, Any]] = OrderedDict()
        self.context: SSL.Context = CertificateOptions(
            raiseMinimumTo=TLSVersion.TLSv1_2
        ).getContext()
        self.context.set_tlsext_servername_callback(self._choose)

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """
        As L{IOpenSSLServerConnectionCreator
        <twisted.internet.interfaces.IOpenSSLServerConnectionCreator>} has it.
        """
        return SSL.Connection(self.context, None)

    def _choose(self, connection: SSL.Connection) -> None:
        asked = connection.get_servername()
        try:
            if asked is None or not _NAME.fullmatch(asked):
                raise ValueError(asked)
            # Upper case and lower case are the same there.
            certificate, key = self._certificate([asked.decode("ascii").lower()])
        except ValueError:
            certificate, key = self._certificate(self._ownNames(connection))
        connection.use_certificate(certificate)
        connection.use_privatekey(key)

    def _ownNames(self, connection: SSL.Connection) -> list[str]:
        host = connection.get_app_data().transport.getHost()
        address = getattr(host, "host", None)
        return ["localhost", *([] if address is None else [address.partition("%")[0]])]

    def _certificate(self, names: list[str]) -> tuple[Any, Any]:
        key = names[-1]
        issued = self._issued.get(key)
        if issued is None:
            issued = self._issued[key] = self._authority.issue(*names)
            _log.debug("issued a certificate for {names}", names=", ".join(names))
            if len(self._issued) > MOST_NAMES:
                self._issued.popitem(last=False)
        else:
            self._issued.move_to_end(key)
        return issued
