"""
The date that responses tell.
"""

from __future__ import annotations

from email.utils import formatdate

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class DateLine:
    """
    The field line that says the current date (RFC 9110 section 6.6.1), made once a second.
    """

    def __init__(self, clock: IReactorTime) -> None:
        """
        @param clock: what tells the time.
        """
        self._clock = clock
        self._line: bytes | None = None
        self._expires: IDelayedCall | None = None

    def get(self) -> bytes:
        """
        Get it: the same object, as long as it is true.
        """
        if self._line is None:
            now = self._clock.seconds()
            self._line = b"date: %b\r\n" % formatdate(now, usegmt=True).encode()
            self._expires = self._clock.callLater(1 - now % 1, self._expire)
        return self._line

    def stop(self) -> None:
        """
        Wait for nothing more: nobody asks for it.
        """
        if self._expires is not None:
            self._expires.cancel()
            self._expire()

    def _expire(self) -> None:
        self._line = self._expires = None
