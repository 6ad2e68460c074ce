"""
Connections that nobody reads from.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from .deadlines import Deadline

# In seconds: for how long nobody has to have read before the peer is looked for.
PERIOD = 2.0


class UnreadWatch:
    """
    Looks for the peer of a connection from time to time, while data waits and nobody reads it: the
    reactor tells nothing of a peer that is not read from.

    @ivar read: whether somebody has read since the last look; set by who reads.
    """

    def __init__(self, clock: IReactorTime, look: Callable[[bool], bool]) -> None:
        """
        @param clock: what tells the time.
        @param look: called from time to time, with whether somebody has read meanwhile; tells
            whether to go on.
        """
        self._look = look
        self._deadline = Deadline(clock, self._check)
        self.read = False

    def start(self) -> None:
        """
        Begin to watch, unless that was done.
        """
        if not self._deadline.pending:
            self.read = False
            self._deadline.start(PERIOD)

    def stop(self) -> None:
        """
        Watch no longer.
        """
        self._deadline.stop()

    def end(self) -> None:
        """
        Watch never again, and let go of what was to be called.
        """
        self._deadline.end()
        self._look = _nobody

    def _check(self) -> None:
        if self._look(self.read):
            self.start()


def _nobody(read: bool) -> bool:
    """
    What looks in place of what was let go of.
    """
    return False
