"""
The client endpoint strings that a verb takes, with TLS as its arguments say.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import idna
from OpenSSL.crypto import FILETYPE_PEM
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.ssl import Certificate, KeyPair, PrivateCertificate
from zope.interface import implementer

from ..base import endpoints
from ..base.twistedprivate import splitEndpoint
from .running import CommandFailed, tell
from .tls import Trust, trustFromArguments


def clientEndpoint(
    reactor: Any, description: str, arguments: Namespace
) -> str | IStreamClientEndpoint:
    """
    Make the endpoint to connect to; a string where there is nothing to say about TLS.

    @param reactor: what connects.
    @param description: the string for it.
    @param arguments: the parsed arguments, those of L{netkit.commands.tls} among them.
    @raise ValueError: it is none.
    @raise CommandFailed: it has no TLS that the arguments could be about.
    """
    kind = description.partition(":")[0]
    if kind == "tls":
        return _tlsEndpoint(reactor, description, trustFromArguments(arguments))
    if kind == "wss":
        # The others can do without, and start faster.
        from ..websocket.strings import parseClient

        (_, *parts), named = splitEndpoint(description)
        endpoint = parseClient(reactor, kind, tuple(parts), named, trustFromArguments(arguments))
        return _Described(description, endpoint)
    if kind == "ssl":
        if arguments.ca is not None:
            raise CommandFailed("--ca has no effect on ssl:, write tls: in its place", status=2)
        if not arguments.insecure and "hostname=" not in description:
            what = (
                "whose certificate it is shown"
                if "caCertsDir=" in description
                else "any certificate"
            )
            tell(f"ssl: does not check {what}, anybody may be answering; tls: does")
    elif arguments.ca is not None or arguments.insecure:
        option = "--insecure" if arguments.insecure else "--ca"
        raise CommandFailed(f"{option} is about tls: and wss:, not {description!r}", status=2)
    return description


@implementer(IStreamClientEndpoint)
class _Described:
    """
    An endpoint that goes by its string in messages.
    """

    def __init__(self, description: str, endpoint: IStreamClientEndpoint) -> None:
        self._description = description
        self._endpoint = endpoint

    def __str__(self) -> str:
        return self._description

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return self._endpoint.connect(protocolFactory)


def _tlsEndpoint(reactor: Any, description: str, trust: Trust) -> IStreamClientEndpoint:
    """
    Make the endpoint of a C{tls:} string as Twisted does, but for the certificates it trusts.
    """

    def parsed(
        host: str,
        port: str,
        timeout: str = "30",
        bindAddress: str | None = None,
        certificate: str | None = None,
        privateKey: str | None = None,
        trustRoots: str | None = None,
        endpoint: str | None = None,
    ) -> IStreamClientEndpoint:
        its = trust if trustRoots is None else trust.orIn(Path(trustRoots))
        name = host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
        return wrapClientTLS(
            its.connectionCreator(name, _identity(certificate, privateKey)),
            HostnameEndpoint(
                reactor,
                host,
                int(port),
                float(timeout),
                None if bindAddress is None else (bindAddress, 0),
            )
            if endpoint is None
            else endpoints.clientEndpoint(reactor, endpoint),
        )

    # What Twisted does not take, says why.
    endpoints.clientEndpoint(reactor, description)
    positional, named = splitEndpoint(description)
    return _Described(description, parsed(*positional[1:], **named))


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
