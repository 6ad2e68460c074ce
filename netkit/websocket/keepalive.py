"""
Pings that see whether peers are still there.
"""

from __future__ import annotations

from abc import abstractmethod

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from ..base.addresses import addressText
from ..wire.errors import WebSocketProtocolError
from ..wire.websocket.codes import CloseCode
from .halts import BY_APPLICATION
from .options import WebSocketOptions
from .sending import SendingConnection

_log = Logger()

# A ping is late by at most this part of the interval.
_PRECISION = 8


class PingingConnection(SendingConnection):
    """
    A connection that pings its peer when it is told the time.
    """

    latency: float | None = None
    _failure: WebSocketProtocolError | None = None
    _pingSent: float | None = None
    _nextPing = 0.0
    _pings = 0

    @abstractmethod
    def abortConnection(self) -> None:
        """
        Cut the connection.
        """

    def _startPinging(self) -> None:
        self._nextPing = self.clock.seconds() + self.options.pingInterval

    def keepAlive(self, now: float) -> None:
        """
        Ping, if it is time, or give the peer up if it did not answer the last ping in time.

        @param now: what the clock shows.
        """
        options = self.options
        wire = self._wire
        if self._halt & ~BY_APPLICATION or wire is None or wire.close_received is not None:
            return
        if self._pingSent is not None:
            # A pong that we do not read is nothing to blame the peer for.
            late = 0 < options.pingTimeout <= now - self._pingSent
            if late and not self._halt & BY_APPLICATION:
                _log.info(
                    "{peer} did not answer a ping for {seconds} seconds: aborted",
                    peer=addressText(self.transport.getPeer()),
                    seconds=options.pingTimeout,
                )
                self._failure = WebSocketProtocolError(
                    "a ping was not answered", CloseCode.INTERNAL_ERROR
                )
                self.abortConnection()
        elif now >= self._nextPing:
            self._pings += 1
            self._pingSent = now
            self._write(wire.send_ping(self._pingPayload()))

    def _pingPayload(self) -> bytes:
        return b"netkit %d" % self._pings

    def _isAnswer(self, payload: bytes) -> bool:
        """
        Whether a pong answers the last ping of L{keepAlive}.
        """
        if self._pingSent is None or payload != self._pingPayload():
            return False
        now = self.clock.seconds()
        self.latency = now - self._pingSent
        self._pingSent = None
        self._nextPing = now + self.options.pingInterval
        return True


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
        self._connections: set[PingingConnection] = set()
        self._sweep = LoopingCall(self._visit)
        self._sweep.clock = clock

    def add(self, connection: PingingConnection) -> None:
        """
        Look after a connection that is open.
        """
        if self._period:
            self._connections.add(connection)
            if not self._sweep.running:
                self._sweep.start(self._period, now=False)

    def discard(self, connection: PingingConnection) -> None:
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
