"""
The time-out of a client's opening handshake.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from ..base.deadlines import Deadline
from .errors import HandshakeFailed

T = TypeVar("T")


class OpeningDeadline:
    """
    One time-out from the first octet that a client sends until the connection is open: for the
    proxy's response, TLS, the opening handshake and redirections together. Connecting itself has
    the time-out of its endpoint.
    """

    def __init__(self, seconds: float, clock: IReactorTime) -> None:
        """
        @param seconds: how many seconds it may take; 0 for no limit.
        @param clock: what tells the time.
        """
        self._seconds = seconds
        self._deadline = Deadline(clock, self._expire)
        self._opening: Deferred[Any] | None = None
        self._expired = False

    def start(self) -> None:
        """
        The first octets are sent: start the time-out. Further calls do nothing.
        """
        if self._seconds and not self._deadline.pending:
            self._deadline.start(self._seconds)

    async def limit(self, opening: Coroutine[Deferred[Any], Any, T]) -> T:
        """
        Await the opening of a connection, and cancel it after the time-out.

        @param opening: opens the connection.
        @return: its result.
        @raise HandshakeFailed: it timed out.
        """
        self._opening = deferred = Deferred.fromCoroutine(opening)
        try:
            return await deferred
        except Exception as error:
            if not self._expired:
                raise
            raise HandshakeFailed(
                f"no answer to the handshake in {self._seconds} seconds"
            ) from error
        finally:
            self._deadline.stop()

    def _expire(self) -> None:
        self._expired = True
        assert self._opening is not None
        self._opening.cancel()
