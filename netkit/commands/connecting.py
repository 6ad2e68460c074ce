"""
The client endpoint strings that a verb takes, with TLS as its arguments say.
"""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer

from ..base.tlsclient import TLSTarget
from ..base.twistedprivate import splitEndpoint
from .running import CommandFailed, tell
from .tls import trustFromArguments


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
        target = TLSTarget(reactor, description, trustFromArguments(arguments))
        return _Described(description, target.wrapped())
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
