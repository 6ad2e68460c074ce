"""
Pings that see whether peers are still there.
"""

from __future__ import annotations

from typing import Final, Protocol

from twisted.internet.interfaces import IReactorTime

from ..base.deadlines import Ticker
from ..base.progress import Progress
from .flow import PAUSED_BY_APPLICATION
from .options import WebSocketOptions
from .sending import Sender

# A ping is late by at most this part of the interval.
_PRECISION = 8

_PAYLOAD = b"netkit "

# Who is still to learn that something arrived.
_PINGER = 1
_SERVER = 2

#: What C{heard} is set to when anything arrives.
HEARD: Final = _PINGER | _SERVER


class Pinger:
    """
    Knows when to ping one peer, and whether it is there.

    It is there if something arrives, a pong or anything else: one cannot come within a message. It
    is there as well if it takes some of what it is sent: the ping comes behind that.

    @ivar heard: to be set to L{HEARD} when anything arrives.
    """

    __slots__ = (
        "_alive",
        "_answered",
        "_count",
        "_options",
        "_progress",
        "_sender",
        "_sent",
        "heard",
    )

    def __init__(self, options: WebSocketOptions, sender: Sender) -> None:
        """
        @param options: how often to ping, and how long to wait.
        @param sender: what writes to the connection.
        """
        self._options = options
        self._sender = sender
        self.heard = 0
        # When the peer was last known to be there, and when it answered a ping.
        self._alive = self._answered = 0.0
        # The pings so far, and when the last one was sent, until that is answered.
        self._count = 0
        self._sent: float | None = None
        # What the system last told of a connection from which nothing was heard.
        self._progress: Progress | None = None

    def start(self, now: float) -> None:
        """
        The connection is open.

        @param now: what the clock shows.
        """
        self._alive = self._answered = now

    def isAlive(self, now: float, answers: bool) -> bool:
        """
        Whether the peer is there, as far as is known. To be asked once in a while.

        @param now: what the clock shows.
        @param answers: whether it would answer a ping.
        """
        paused = self._sender.flow.paused
        if (
            self.heard & _PINGER
            # What we do not read, or do not ask for, is nothing to blame the peer for.
            or paused & PAUSED_BY_APPLICATION
            or not (answers or paused)
        ):
            self.heard &= ~_PINGER
            self._sender.drained = False
            self._progress = None
            self._alive = now
        elif self._moved():
            self._alive = now
        options = self._options
        return not 0 < options.pingTimeout <= now - self._alive - options.pingInterval

    def wasHeard(self) -> bool:
        """
        Whether anything arrived since the last time that this was asked.
        """
        heard = bool(self.heard & _SERVER)
        self.heard &= ~_SERVER
        return heard

    def isDue(self, now: float) -> bool:
        """
        Whether to ping now. Not while as much waits to be sent as there may: what becomes of that
        tells as much.

        @param now: what the clock shows.
        """
        if self._sender.flow.paused:
            return False
        interval, timeout = self._options.pingInterval, self._options.pingTimeout
        if self._sent is None:
            return now - self._answered >= interval
        # A peer that is busy with something else need not answer every ping (RFC 6455 section
        # 5.5.3); one that is not there gets no more of them.
        return now - self._sent >= max(interval, timeout) and self._alive > self._sent

    def ping(self, now: float) -> bytes:
        """
        Give the payload of the next ping.

        @param now: what the clock shows.
        """
        self._count += 1
        self._sent = now
        # That its system takes the ping itself tells nothing.
        self._progress = None
        return b"%b%d" % (_PAYLOAD, self._count)

    def pong(self, payload: bytes, now: float) -> float | None:
        """
        Take a pong.

        @param payload: what it carries.
        @param now: what the clock shows.
        @return: how long the peer took to answer; L{None} where that is no answer to a ping of
            ours.
        """
        sent = self._sent
        if sent is None or payload != b"%b%d" % (_PAYLOAD, self._count):
            return None
        self._sent = None
        self._answered = now
        return now - sent

    def _moved(self) -> bool:
        """
        Whether anything has moved, in either direction, since the last time this was asked.
        """
        drained, self._sender.drained = self._sender.drained, False
        before, self._progress = self._progress, self._sender.progress()
        if drained or before is None or self._progress is None:
            return drained
        return self._progress.shows(before)


class Pinged(Protocol):
    """
    A connection that is looked after.
    """

    def keepAlive(self, now: float) -> None:
        """
        Ping, if it is time, or give the peer up if it is not there.

        @param now: what the clock shows.
        """


class Keepalive:
    """
    Looks after a number of connections: one timer for all of them.
    """

    def __init__(self, options: WebSocketOptions, clock: IReactorTime) -> None:
        """
        @param options: how the connections behave.
        @param clock: what tells the time.
        """
        times = [time for time in (options.pingInterval, options.pingTimeout) if time]
        self._period = min(times) / _PRECISION if options.pingInterval else 0.0
        self._clock = clock
        self._connections: set[Pinged] = set()
        self._ticker = Ticker(clock, self._checkAll)

    def add(self, connection: Pinged) -> None:
        """
        Look after a connection that is open.
        """
        if self._period:
            self._connections.add(connection)
            self._ticker.start(self._period)

    def discard(self, connection: Pinged) -> None:
        """
        Look after a connection no more.
        """
        self._connections.discard(connection)
        if not self._connections:
            self._ticker.stop()

    def _checkAll(self) -> None:
        now = self._clock.seconds()
        for connection in list(self._connections):
            connection.keepAlive(now)
