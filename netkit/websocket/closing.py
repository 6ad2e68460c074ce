"""
How long a closing handshake may take.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from ..base.deadlines import Deadline
from .sending import Sender


class ClosingDeadline:
    """
    Calls when the peer did not close in time, and takes nothing any more of what it was sent: our
    Close frame comes behind that.
    """

    __slots__ = ("_deadline", "_expired", "_progress", "_seconds", "_sender")

    def __init__(
        self, seconds: float, clock: IReactorTime, sender: Sender, expired: Callable[[], None]
    ) -> None:
        """
        Start.

        @param seconds: how long it may take, and how long the peer may take nothing.
        @param clock: what tells the time.
        @param sender: what writes to the connection.
        @param expired: what to call.
        """
        self._seconds = seconds
        self._sender = sender
        self._expired = expired
        self._progress = sender.progress()
        self._deadline = Deadline(clock, self._passed)
        self._deadline.start(seconds)

    def stop(self) -> None:
        """
        The handshake is done, or given up.
        """
        self._deadline.stop()

    def end(self) -> None:
        """
        The connection is lost.
        """
        self._deadline.end()

    def _passed(self) -> None:
        before, self._progress = self._progress, self._sender.progress()
        if before is None or self._progress is None or not self._progress.took(before):
            self._expired()
        else:
            self._deadline.start(self._seconds)
