"""
How long a client waits for a connection to open.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from .errors import HandshakeFailed

T = TypeVar("T")


class OpeningDeadline:
    """
    Limits what it takes to open a connection, from the first octet that is sent: a proxy's answer,
    TLS, the opening handshake, and whatever it is redirected to. How long it takes to connect is
    for the endpoint to limit.
    """

    def __init__(self, seconds: float, clock: IReactorTime) -> None:
        """
        @param seconds: how many seconds it may take; 0 for no limit.
        @param clock: what tells the time.
        """
        self._seconds = seconds
        self._clock = clock
        self._timer: IDelayedCall | None = None
        self._opening: Deferred[Any] | None = None
        self._expired = False

    def start(self) -> None:
        """
        Octets are being sent. Only the first call counts.
        """
        if self._seconds and self._timer is None:
            self._timer = self._clock.callLater(self._seconds, self._expire)

    async def limit(self, opening: Coroutine[Deferred[Any], Any, T]) -> T:
        """
        Do what opens the connection.

        @param opening: that.
        @return: what it returns.
        @raise HandshakeFailed: it took too long, and was cancelled.
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
            if self._timer is not None and self._timer.active():
                self._timer.cancel()

    def _expire(self) -> None:
        self._expired = True
        assert self._opening is not None
        self._opening.cancel()
