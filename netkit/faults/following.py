"""
What a connection speaks, followed while no fault is there, so that one that comes can strike from
the next message on.
"""

from __future__ import annotations

from ..base.boundaries import IMessageBoundaries
from .messages import Exchanges
from .stages import FaultyConnection

# So many octets, and pieces, of messages under way are kept before they are gone through.
_MOST_KEPT = 2**14
_MOST_PIECES = 64


class Following:
    """
    What goes over a connection that no fault strikes.

    Where the service tells when it is between two messages, only what came since then is kept,
    and gone through when there is need: nearly always there is none. Where it does not, everything
    is gone through as it comes.

    @ivar exchanges: what goes through it, if anything does now.
    """

    __slots__ = ("_connection", "_kept", "_pieces", "_server", "_service", "exchanges")

    def __init__(
        self, connection: FaultyConnection, service: IMessageBoundaries | None, *, server: bool
    ) -> None:
        """
        @param connection: the connection.
        @param service: what tells when it is between two messages.
        @param server: whether requests are what is received, and not what is sent.
        """
        self._connection = connection
        self._service = service
        self._server = server
        # Whether each was received, and what it was.
        self._pieces: list[tuple[bool, bytes]] = []
        self._kept = 0
        self.exchanges: Exchanges | None = None
        if service is None:
            self._goThrough()

    def received(self, data: bytes) -> None:
        """
        Take what is about to be received.
        """
        if self.exchanges is None:
            self._keep(True, data)
        else:
            self._look(self.exchanges, True, data)

    def sent(self, data: bytes) -> None:
        """
        Take what was sent.
        """
        if self._service is not None and self._service.betweenMessages:
            if self._pieces:
                self._pieces.clear()
                self._kept = 0
            if self.exchanges is not None:
                self.forget()
        elif self.exchanges is None:
            self._keep(False, data)
        else:
            self._look(self.exchanges, False, data)

    def begin(self) -> Exchanges:
        """
        Go through everything from the last boundary on, for as long as the connection lasts.

        @return: what does.
        """
        self._service = None
        return self.exchanges or self._goThrough()

    def forget(self) -> None:
        """
        Let go of what goes through it.
        """
        if self.exchanges is not None:
            self.exchanges.forget()
            self.exchanges = None

    def _goThrough(self) -> Exchanges:
        self.exchanges = exchanges = Exchanges(self._connection)
        pieces, self._pieces, self._kept = self._pieces, [], 0
        for received, data in pieces:
            self._look(exchanges, received, data)
        return exchanges

    def _keep(self, received: bool, data: bytes) -> None:
        self._pieces.append((received, data))
        self._kept += len(data)
        if self._kept > _MOST_KEPT or len(self._pieces) > _MOST_PIECES:
            self._goThrough()

    def _look(self, exchanges: Exchanges, received: bool, data: bytes) -> None:
        stage = exchanges.requests if received is self._server else exchanges.responses
        stage.look(data)
