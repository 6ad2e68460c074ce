"""
The interfaces by which netkit's parts know each other, for those who bring a part of their own.
"""

from __future__ import annotations

from twisted.internet.interfaces import IAddress
from zope.interface import Interface


class IPrinter(Interface):
    """
    Shows what a service's clients sent.
    """

    def received(peer: IAddress, data: bytes | bytearray) -> None:
        """
        Show one piece of what arrived: the content of a connection, a request, a message.

        Never raises: what cannot be shown is logged, and the service goes on.

        @param peer: who sent it: L{IAddress <twisted.internet.interfaces.IAddress>}.
        @param data: the octets, exactly as they came; not kept after the return.
        """
