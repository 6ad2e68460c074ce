"""
What is counted of a process, in plain integers, and how those of several processes are added.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import ILogObserver, LogEvent
from zope.interface import implementer

from ..base.deadlines import Ticker
from ..base.refused import REFUSED
from .exchanges import Lines, ObservedConnection, Observer, Tally

if TYPE_CHECKING:
    # Not every service speaks them.
    from ..websocket.conversation import Conversation

#: A figure's name, then the values of its labels.
Key = tuple[str, ...]

#: Figures: L{merge} adds those of several processes.
Figures = dict[Key, float]

#: The upper bounds of what is counted of how long something takes, in seconds.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# Clients make up others, and each would be a figure of its own.
_METHODS = tuple(b"GET HEAD POST PUT DELETE OPTIONS PATCH CONNECT TRACE".split())

# How often the event loop is looked at, in seconds.
_INTERVAL = 1.0

# What Twisted logs of who gets no descriptor.
_CLOSED = "EMFILE recovery: Closed socket from {address}"

#: The figure of which the greatest counts, not the sum.
LAG = "lag"

# What tells how things are now; all else counts what has been.
_NOW = frozenset((("open",), ("workers",), (LAG,), ("capture", "queued")))


class Requests:
    """
    Counts the HTTP requests of a service, and the octets of its connections; and logs the
    requests.

    @ivar observe: makes of the transport of a connection who is told what that does, as
        L{HTTPFactory <netkit.http.HTTPFactory>} takes it.
    """

    def __init__(self, lines: Lines | None, clock: IReactorTime) -> None:
        """
        @param lines: where requests have their lines in a log; L{None} where they have none.
        @param clock: what tells the time.
        """
        self._tally = Tally(_METHODS, BUCKETS)
        self._observer = Observer(self._tally, lines, clock.seconds)
        # Called for each: nothing is to be between.
        self.observe = partial(ObservedConnection, self._observer)

    def figures(self, service: str) -> Figures:
        """
        Tell what was counted.
        """
        received, sent = self._observer.octets()
        found: Figures = {
            ("octets", service, "received"): received,
            ("octets", service, "sent"): sent,
        }
        for (method, kind), number in self._tally.counts().items():
            found["requests", service, (method or b"other").decode(), f"{kind}xx"] = number
        buckets, seconds = self._tally.buckets(), self._tally.seconds()
        return found | _histogram("requests", service, buckets, seconds)


class Pings:
    """
    Counts how long the peers of a service's WebSockets take to answer pings.
    """

    def __init__(self) -> None:
        self._buckets = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0

    def count(self, seconds: float) -> None:
        """
        Count one that was answered.
        """
        self._buckets[bisect_left(BUCKETS, seconds)] += 1
        self._seconds += seconds

    def figures(self, service: str) -> Figures:
        """
        Tell what was counted.
        """
        return _histogram("pings", service, self._buckets, self._seconds)


def _histogram(name: str, service: str, buckets: Iterable[int], seconds: float) -> Figures:
    found: Figures = {}
    total = 0
    for bound, number in zip((*map(str, BUCKETS), "+Inf"), buckets, strict=True):
        total += number
        found["bucket", name, service, bound] = total
    found["seconds", name, service] = seconds
    return found


class Conversations:
    """
    Counts the WebSockets of a service.
    """

    def __init__(self) -> None:
        self._closed: dict[int, int] = {}
        self._refused: dict[int, int] = {}
        self._received = self._sent = 0

    def count(self, conversation: Conversation) -> None:
        """
        Count one that is over.
        """
        self._received += conversation.messagesReceived
        self._sent += conversation.messagesSent
        if conversation.code is None:
            status = conversation.status
            self._refused[status] = self._refused.get(status, 0) + 1
        else:
            code = conversation.code
            self._closed[code] = self._closed.get(code, 0) + 1

    def figures(self, service: str) -> Figures:
        """
        Tell what was counted.
        """
        found: Figures = {
            ("messages", service, "received"): self._received,
            ("messages", service, "sent"): self._sent,
        }
        for name, counts in (("closed", self._closed), ("handshakes", self._refused)):
            found |= {(name, service, str(code)): number for code, number in counts.items()}
        return found


class Lag:
    """
    Tells how late the event loop was to call what was due.
    """

    def __init__(self, clock: IReactorTime) -> None:
        """
        @param clock: the reactor.
        """
        self._clock = clock
        self._due = 0.0
        self._worst = 0.0
        self._ticker = Ticker(clock, self._tick)

    def start(self) -> None:
        """
        Begin to look.
        """
        self._due = self._clock.seconds() + _INTERVAL
        self._ticker.start(_INTERVAL)

    def figures(self) -> Figures:
        """
        Tell the longest time since that was told last.
        """
        worst, self._worst = self._worst, 0.0
        return {(LAG,): worst}

    def _tick(self) -> None:
        now = self._clock.seconds()
        self._worst = max(self._worst, now - self._due)
        self._due = now + _INTERVAL


def captureFigures(capture: Any) -> Figures:
    """
    Tell what a L{Capture <netkit.capture.capture.Capture>} counts.
    """
    names = ("events", "octets", "queued", "dropped", "unrecorded", "unshown")
    return {("capture", name): getattr(capture, name) for name in names}


def faultFigures(service: str, faults: Any) -> Figures:
    """
    Tell how often each of a service's L{Faults <netkit.faults.Faults>} struck.
    """
    return {("faults", service, armed.name): armed.struck for armed in faults}


def serviceFigures(service: str, factory: Any) -> Figures:
    """
    Tell what a L{ServerFactory <netkit.server.ServerFactory>} counts.
    """
    return {
        ("open", service): len(factory.connections),
        ("accepted", service): factory.accepted,
        ("refused", service, "limit"): factory.refused,
        ("refused", service, "tls"): factory.insecure,
    }


@implementer(ILogObserver)
class Refusals:
    """
    Counts the connections that were refused before any service knew of them: an observer of the
    log, which alone has some of them.
    """

    def __init__(self) -> None:
        self._descriptors = 0

    def __call__(self, event: LogEvent) -> None:
        """
        Observe something.
        """
        if event.get("log_format") == _CLOSED:
            self._descriptors += 1

    def figures(self) -> Figures:
        """
        Tell what was counted.
        """
        return {
            ("refused", "", "descriptors"): self._descriptors,
            ("refused", "", "proxy"): REFUSED["proxy"],
        }


def merge(several: Iterable[Figures]) -> Figures:
    """
    Add the figures of several processes.
    """
    merged: Figures = {}
    for figures in several:
        for key, value in figures.items():
            if key[0] == LAG:
                merged[key] = max(merged.get(key, 0.0), value)
            else:
                merged[key] = merged.get(key, 0) + value
    return merged


def past(figures: Mapping[Key, float]) -> Figures:
    """
    Tell what of a process's figures stays when it has ended.
    """
    return {
        key: value for key, value in figures.items() if key[:1] not in _NOW and key[:2] not in _NOW
    }


def toJSON(figures: Mapping[Key, float]) -> list[tuple[Key, float]]:
    """
    Make of figures what goes from one process to another.
    """
    return list(figures.items())


def fromJSON(found: Iterable[tuple[Iterable[str], float]]) -> Figures:
    """
    Read what L{toJSON} made.
    """
    return {tuple(key): value for key, value in found}


#: What tells figures.
Source = Callable[[], Figures]
