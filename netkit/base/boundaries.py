"""
Protocols that tell where a message ends and the next one begins, to who follows what they say.
"""

from __future__ import annotations

from twisted.internet.interfaces import IProtocol
from zope.interface import Attribute, Interface

from .wrapping import TransparentProtocol


class IMessageBoundaries(Interface):
    """
    A protocol that knows whether it is between two messages.
    """

    betweenMessages = Attribute(
        "Whether all that was received is answered, and the answers written: what is received next"
        " begins a request, and nothing is written before that."
    )


def boundariesOf(protocol: IProtocol) -> IMessageBoundaries | None:
    """
    Find what tells of a connection whether it is between two messages, if anything does.

    @param protocol: the connection's protocol, which may wrap the one of the service.
    """
    while isinstance(protocol, TransparentProtocol):
        protocol = protocol.wrappedProtocol
    return IMessageBoundaries(protocol, None)
