"""
Exceptions: why a WebSocket connection was closed, or could not be opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.internet.error import ConnectError, ConnectionDone

if TYPE_CHECKING:
    from twisted.web.client import Response


class WebSocketClosed(ConnectionDone):
    """
    The connection was closed by a Close frame (RFC 6455 section 7), as opposed to one that was
    lost. It is a C{ConnectionDone}, so that programs which do not tell the two apart need not
    change.

    @ivar code: the close code of the side that closed first; 1005 where it gave none.
    @ivar reason: the reason that it gave.
    @ivar byPeer: whether that was the peer; else we closed, perhaps for what the peer did.
    """

    def __init__(self, code: int, reason: str, byPeer: bool) -> None:
        """
        @param code: the close code.
        @param reason: the reason in words.
        @param byPeer: whether they are the peer's.
        """
        super().__init__(code, reason, byPeer)
        self.code = code
        self.reason = reason
        self.byPeer = byPeer

    def __str__(self) -> str:
        by = "the peer" if self.byPeer else "us"
        return f"closed by {by} with code {self.code}" + (f": {self.reason}" * bool(self.reason))


class HandshakeFailed(ConnectError):
    """
    The server's response to the opening handshake is not valid (RFC 6455 section 4.1), or did not
    arrive within C{openTimeout}.
    """

    def __init__(self, string: str) -> None:
        """
        @param string: what was wrong.
        """
        super().__init__(string=string)

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass
class ConnectionRejected(ConnectError):
    """
    The server answered the opening handshake with an HTTP response other than 101.

    @ivar response: that response.
    """

    response: Response

    def __str__(self) -> str:
        phrase = self.response.phrase
        words = phrase.decode("latin-1") if isinstance(phrase, bytes) else phrase
        return f"the server answers {self.response.code} {words}"
