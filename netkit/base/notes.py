"""
What protocols have to say about their connections, to whoever records those.
"""

from __future__ import annotations

from zope.interface import Interface


class INoted(Interface):
    """
    A transport whose connection is recorded.
    """

    def note(text: str) -> None:
        """
        Record what there is to say about the connection at this point.

        @param text: one line for a person to read, such as why the peer is refused.
        """


def note(transport: object, text: str) -> None:
    """
    Say something about a connection, where it is recorded.

    @param transport: the connection's transport.
    @param text: one line for a person to read, such as why the peer is refused.
    """
    if INoted.providedBy(transport):
        transport.note(text)
