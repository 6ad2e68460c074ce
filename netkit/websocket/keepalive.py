"""
Pings that see whether the peers are still there.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from .connection import WebSocketConnection
from .options import WebSocketOptions

# A ping is late by at most this part of the interval.
_PRECISION = 8


class Keepalive:
    """
    Has each of a number of connections ping its peer when it is time: one timer for all of them.
    """

    def __init__(self, options: WebSocketOptions, clock: IReactorTime) -> None:
        """
        @param options: how the connections behave.
        @param clock: what tells the time.
        """
        times = [time for time in (options.pingInterval, options.pingTimeout) if time]
        self._period = min(times) / _PRECISION if options.pingInterval else 0.0
        self._clock = clock
        self._connections: set[WebSocketConnection] = set()
        self._sweep = LoopingCall(self._visit)
        self._sweep.clock = clock

    def add(self, connection: WebSocketConnection) -> None:
        """
        Look after a connection that is open.
        """
        if self._period:
            self._connections.add(connection)
            if not self._sweep.running:
                self._sweep.start(self._period, now=False)

    def discard(self, connection: WebSocketConnection) -> None:
        """
        Look after a connection no more.
        """
        self._connections.discard(connection)
        if not self._connections and self._sweep.running:
            self._sweep.stop()

    def _visit(self) -> None:
        now = self._clock.seconds()
        for connection in list(self._connections):
            connection.keepAlive(now)
