"""
What a service tells systemd of itself (sd_notify(3)).
"""

from __future__ import annotations

import os
import socket
import time

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from ..base.deadlines import Ticker

_log = Logger()


class Notifier:
    """
    Tells systemd when the service is up, reloads and stops, and that it lives, where that wants to
    know: C{Type=notify}, C{WatchdogSec=}.

    The environment is rid of where to tell it: children are no services.
    """

    def __init__(self, clock: IReactorTime) -> None:
        """
        @param clock: when to tell that it lives.
        """
        self._address = os.environ.pop("NOTIFY_SOCKET", "")
        self._interval = _watchdogInterval()
        self._alive = Ticker(clock, lambda: self._tell("WATCHDOG=1"))

    def ready(self) -> None:
        """
        It serves; again, after it was reloading.
        """
        self._tell("READY=1")
        if self._address:
            # Twice in the time that it has: a turn of the event loop may take some of it.
            self._alive.start(self._interval / 2)

    def reloading(self) -> None:
        """
        It gets ready once more.
        """
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={now}")

    def stopping(self) -> None:
        """
        It drains. It goes on to tell that it lives.
        """
        self._tell("STOPPING=1")

    def _tell(self, text: str) -> None:
        if not self._address:
            return
        # An abstract name.
        address = f"\0{self._address[1:]}" if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
                told.setblocking(False)
                told.sendto(text.encode(), address)
        except OSError as error:
            _log.warn("systemd cannot be told {text!r}: {reason}", text=text, reason=str(error))


def _watchdogInterval() -> float:
    """
    Within how many seconds systemd wants a sign of life; 0 where it wants none.
    """
    process = os.environ.pop("WATCHDOG_PID", "")
    microseconds = os.environ.pop("WATCHDOG_USEC", "")
    if microseconds.isdigit() and process in ("", str(os.getpid())):
        return int(microseconds) / 1e6
    return 0.0
