"""
What is logged again and again, as one client after the other may have it, summed up.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

from twisted.logger import ILogObserver, LogEvent, formatEvent
from zope.interface import implementer

#: So many messages of a kind are logged in L{SECONDS}; of more, how many there were.
MOST = 20

# Of so many kinds at a time; what is of others is logged.
_KINDS = 1000

#: For how many seconds messages are counted together.
SECONDS = 10.0

#: What marks an event that was summed up where it came from.
RELAYED = "netkit_relayed"


@implementer(ILogObserver)
class Summed:
    """
    Passes on what is logged. Where messages of a kind, which differ in their values alone, are
    many, the later ones are counted, and the last one is told with their number.
    """

    def __init__(self, observer: ILogObserver, reactor: Any) -> None:
        """
        @param observer: is told of what is logged.
        @param reactor: waits for the end of the time that is counted.
        """
        self._observer = observer
        self._reactor = reactor
        # Any thread may log.
        self._lock = Lock()
        # By kind: how many there were, and the last of those that were not passed on.
        self._counts: dict[object, tuple[int, LogEvent | None]] = {}
        self._counting = False
        reactor.addSystemEventTrigger("after", "shutdown", self._tell)

    def __call__(self, event: LogEvent) -> None:
        """
        Observe something.
        """
        kind = _kind(event)
        if kind is not None and not event.get(RELAYED):
            with self._lock:
                count = self._counts.get(kind, (0,))[0] + 1
                if count > 1 or len(self._counts) < _KINDS:
                    self._counts[kind] = count, event if count > MOST else None
                begins, self._counting = not self._counting, True
            if begins:
                self._reactor.callFromThread(self._reactor.callLater, SECONDS, self._tell)
            if count > MOST:
                return
        self._observer(event)

    def _tell(self) -> None:
        with self._lock:
            counts, self._counts = self._counts, {}
            self._counting = False
        for count, event in counts.values():
            if event is not None:
                self._observer(_summary(event, count - MOST))


def _kind(event: LogEvent) -> object:
    format = event.get("log_format")
    # What was logged in Twisted's old way has its text alone.
    text = event.get("log_text") if format == "{log_text}" else None
    return None if format is None else (event.get("log_namespace"), format, text)


def _summary(event: LogEvent, count: int) -> LogEvent:
    return {
        **event,
        "log_format": "{count} more of these, of which this is the last: {text}",
        "count": count,
        "text": formatEvent(event),
    }
