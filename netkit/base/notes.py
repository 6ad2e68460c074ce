"""
What protocols have to say about their connections, to whoever records those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import formatEvent
from zope.interface import Interface

from .addresses import addressText


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


def tell(log: Callable[..., None], transport: Any, format: str, **values: object) -> None:
    """
    Log what became of a peer, and note it where the connection is recorded.

    @param log: the method of a C{Logger} for the level, such as C{_log.warn}.
    @param transport: the connection's transport.
    @param format: what there is to say, as what follows the peer's address in the log.
    @param values: those of the format's fields.
    """
    log(f"{{peer}} {format}", peer=addressText(transport.getPeer()), **values)
    if INoted.providedBy(transport):
        transport.note(formatEvent({"log_format": format, **values}))
