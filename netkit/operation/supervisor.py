"""
Processes that serve in the place of one: as many as there are processors, or fresh ones.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import Protocol as StreamProtocol
from twisted.internet.protocol import connectionDone
from twisted.internet.stdio import StandardIO
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..base.deadlines import Deadline, Ticker
from .child import instructions
from .figures import LAG, Figures, Source, merge, past, toJSON
from .notify import Notifier
from .numbers import Numbers
from .signals import addSignalCall, hasSignalCalls
from .sockets import Sockets
from .workers import Recorded, WorkerProcess

_log = Logger()

# A worker that does not serve after so many seconds is taken for one that will not.
_PATIENCE = 60.0

# How many seconds to wait before a worker that ended is started again: the first time, at most;
# and after how many seconds of service it is the first time again.
_BACKOFF = 0.1
_MOST_BACKOFF = 30.0
_LIVED = 1.0

# How many seconds a connection takes, at most, from being accepted to being known.
_ACCEPTED = 0.5

# How often workers are asked for their figures where they are watched, in seconds.
_LOOK = 1.0

# So many seconds after their grace, workers that do not stop are killed.
_STUCK = 5.0


class Served(Protocol):
    """
    What serves, and can be told to serve those alone who are there.

    @ivar grace: how many seconds its connections have to end when it stops.
    """

    grace: float

    def drain(self) -> Deferred[Any]:
        """
        Let the connections end, each when it likes.
        """


class Supervisor:
    """
    Has others serve what this process listens on, once that is wanted: C{start()}, or SIGHUP.

    This process listens as long as it lives, and accepts nothing any more then: whoever connects
    waits for one of the workers, none is refused. A worker that ends is started again. At SIGHUP
    there are fresh ones, with the code, the certificates and the files of now; the ones before
    serve whom they have to the end, and go on to serve all where a fresh one does not come up.

    @ivar sockets: what to listen with.
    @ivar numbers: those of connections, for all processes.
    @ivar events: the descriptor to pass on to the parent what is recorded; C{None} where it does
        not want it, and where there is none.
    @ivar metered: whether figures of the process as a whole are among its figures.
    @ivar holding: whether this process serves nobody.
    """

    def __init__(self, reactor: Any) -> None:
        """
        @param reactor: the reactor.
        """
        self.holding = False
        self._reactor = reactor
        self._count = 0
        self._current: dict[int, WorkerProcess] = {}
        self._all: set[WorkerProcess] = set()
        self._fresh: dict[int, WorkerProcess] = {}
        self._failures: dict[int, int] = {}
        self._services: list[Served] = []
        self._ending: list[Served] = []
        self._knowsOfEnd = False
        self._reopened: list[Callable[[], object]] = []
        self._sources: list[Source] = []
        # What the workers told that have ended, and how many of them nobody ended.
        self._past: Figures = {}
        self._restarts = 0
        self.metered = False
        self._removals: list[Any] = []
        self._reloadAgain = False
        self._reloading = False
        self._stopping = False
        self._notifier = Notifier(reactor)
        told = instructions()
        self.sockets = Sockets(reactor, [tuple(each) for each in told["sockets"]] if told else ())
        self._isWorker = told is not None
        self.numbers = Numbers(told["numbers"] if told else None)
        self.events: int | None = told.get("events") if told else None
        self._recorded: Callable[[], Recorded] | None = None
        self._watching = Ticker(reactor, self._look)
        # What is shared with workers, and what is done with that in one.
        self._shared: Any = None
        self._onShared: Callable[[Any], object] | None = None
        if told:
            # The one that mypy sees is that of Windows.
            connect: Any = StandardIO
            connect(_Control(self, reactor), stdin=0, stdout=told["control"], reactor=reactor)

    def supervise(self, count: int) -> None:
        """
        Have workers serve from the start.

        @param count: how many; a worker has none.
        """
        if not self._isWorker and not self.holding:
            self.holding = True
            self._count = count
            self.sockets.hold()
            self._reactor.callWhenRunning(self._startAll)

    def add(self, service: Served) -> None:
        """
        Something serves.
        """
        if service in self._services:
            return
        self._services.append(service)
        if not self._knowsOfEnd:
            self._knowsOfEnd = True
            self._reactor.addSystemEventTrigger("before", "shutdown", self._shutsDown)
        if len(self._services) == 1 and not self.holding:
            # Workers tell when they serve.
            self._reactor.callWhenRunning(self._notifier.ready)
        if not self._isWorker and not self._removals:
            self._removals = [addSignalCall(self._reactor, signal.SIGUSR1, self.reopen)]
            if not _hangsUp():
                self._removals.append(addSignalCall(self._reactor, signal.SIGHUP, self.reload))

    def remove(self, service: Served) -> Deferred[Any]:
        """
        Something stops.

        @return: fires when the workers have stopped, where it is the first one to do so.
        """
        if service in self._services:
            self._services.remove(service)
            self._ending.append(service)
        return self._stopAll(service.grace)

    def removed(self, service: Served) -> None:
        """
        Something has stopped. Until all have, however long that takes, nobody ends the process by
        a signal that is for who serves.
        """
        if service in self._ending:
            self._ending.remove(service)
        if not (self._services or self._ending):
            removals, self._removals = self._removals, []
            for removal in removals:
                removal()

    def _shutsDown(self) -> None:
        # A signal that comes again when all is done cannot end the reactor once more.
        for number in (signal.SIGTERM, signal.SIGINT):
            addSignalCall(self._reactor, number, lambda: None)

    @property
    def isWorker(self) -> bool:
        """
        Whether this process is a worker.
        """
        return self._isWorker

    @property
    def ready(self) -> bool:
        """
        Whether somebody serves whoever connects, and will.
        """
        if self._stopping or not self._services:
            return False
        return not self.holding or any(map(_serves, self._current.values()))

    def addFigures(self, source: Source) -> None:
        """
        Have something's figures among those of the process.
        """
        self._sources.append(source)

    def ownFigures(self) -> Figures:
        """
        Tell the figures of this process.
        """
        return merge(source() for source in self._sources)

    async def figures(self) -> Figures:
        """
        Tell the figures of this process and its workers: of those that do not answer in time, and
        of those that have ended, what they told last.
        """
        asked = [worker.figures() for worker in self._all if _serves(worker)]
        await DeferredList(asked, consumeErrors=True)
        found = [self.ownFigures(), self._past, *(worker.told for worker in self._all)]
        if self._count:
            serving = sum(map(_serves, self._current.values()))
            found.append({("workers",): serving, ("ended",): self._restarts})
        merged = merge(found)
        for worker in self._all:
            worker.told.pop((LAG,), None)
        return merged

    def told(self, *key: str) -> float:
        """
        Tell what workers told of a figure, all of them together, and those that have ended: a
        second ago at most, where they are watched.
        """
        return sum(worker.told.get(key, 0) for worker in self._all) + self._past.get(key, 0)

    def watch(self, recorded: Callable[[], Recorded]) -> None:
        """
        Have the workers pass on what they record, and tell their figures each second.

        @param recorded: makes what takes that of one.
        """
        self._recorded = recorded

    def share(self, what: Any) -> None:
        """
        Have the workers, and those that are started later, take something.

        @param what: something of which JSON can be made. It takes the place of what was shared
            before.
        """
        self._shared = what
        for worker in self._all:
            self._tellShared(worker)

    def onShared(self, call: Callable[[Any], object]) -> None:
        """
        Have something called with what the parent of this worker shares.
        """
        self._onShared = call

    def shared(self, what: Any) -> None:
        """
        The parent shares something.
        """
        if self._onShared is not None:
            self._onShared(what)

    def _tellShared(self, worker: WorkerProcess) -> None:
        if self._shared is not None:
            worker.tell(f"shared {json.dumps(self._shared)}")

    def _look(self) -> None:
        for worker in self._all:
            if _serves(worker):
                worker.figures().addErrback(lambda _: None)

    def onReopen(self, call: Callable[[], object]) -> None:
        """
        Have something called whenever files were moved away: at SIGUSR1.
        """
        self._reopened.append(call)

    def reopen(self) -> None:
        """
        Have this process, and its workers, open their files again.
        """
        for call in self._reopened:
            call()
        for worker in self._all:
            worker.tell("reopen")

    def reload(self) -> None:
        """
        Have fresh workers serve.
        """
        if self._stopping or not self._services:
            return
        if self._reloading:
            self._reloadAgain = True
            return
        self._reloading = True
        self._count = self._count or 1
        self._notifier.reloading()
        _log.info("Reloading: starting {count} fresh workers", count=self._count)
        self._fresh = {slot: self._start(slot) for slot in range(self._count)}
        waiting = [self._awaited(worker) for worker in self._fresh.values()]
        DeferredList(waiting, fireOnOneErrback=True, consumeErrors=True).addCallbacks(
            lambda _: self._takeOver(), self._keepOld
        ).addBoth(lambda _: self._reloaded())

    def drain(self) -> Deferred[Any]:
        """
        Accept nothing more, and serve whom there is to the end.
        """
        self.sockets.hold()
        # Who was accepted just now is connected then.
        return deferLater(
            self._reactor,
            _ACCEPTED,
            lambda: DeferredList([service.drain() for service in self._services]),
        )

    # Fresh ones

    def _awaited(self, worker: WorkerProcess) -> Deferred[None]:
        """
        Wait until a worker serves.
        """
        deadline = Deadline(self._reactor, worker.kill)
        deadline.start(_PATIENCE)

        def told(result: Any) -> Any:
            deadline.stop()
            return result

        return worker.ready.addBoth(told)

    def _takeOver(self) -> None:
        old, self._current, self._fresh = self._current, self._fresh, {}
        for worker in old.values():
            worker.tell("drain")
        if not self.holding:
            self.holding = True
            self.drain()
        _log.info("The fresh workers serve; the ones before end with their connections")

    def _keepOld(self, failure: Failure) -> None:
        fresh, self._fresh = self._fresh, {}
        for worker in fresh.values():
            worker.tell("stop")
        _log.error(
            "A fresh worker did not come up: the ones before go on to serve; see above for why, "
            "and send SIGHUP again"
        )

    def _reloaded(self) -> None:
        self._reloading = False
        self._notifier.ready()
        if self._reloadAgain:
            self._reloadAgain = False
            self.reload()

    # One by one

    def _startAll(self) -> None:
        if self._stopping:
            return
        self._current = {slot: self._start(slot) for slot in range(self._count)}
        waiting = [self._awaited(worker) for worker in self._current.values()]
        DeferredList(waiting, fireOnOneErrback=True, consumeErrors=True).addCallbacks(
            lambda _: self._notifier.ready(), lambda _: self._cannotStart()
        )

    def _cannotStart(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        _log.critical("A worker did not come up; see above for why")
        # Last of all, when twistd has removed its PID file.
        atexit.register(os._exit, 1)
        self._reactor.stop()

    def _start(self, slot: int) -> WorkerProcess:
        worker = WorkerProcess(f"worker {slot + 1}", self._reactor)
        self._all.add(worker)
        worker.ended.addCallback(lambda _: self._ended(slot, worker))
        recorded = None
        if self._recorded is not None:
            recorded = self._recorded()
            self._watching.start(_LOOK)
        worker.start(self.sockets.descriptors(), self.numbers.descriptor(), recorded)
        self._tellShared(worker)
        return worker

    def _replace(self, slot: int) -> None:
        if self._stopping:
            return
        self._current[slot] = worker = self._start(slot)
        self._awaited(worker).addErrback(lambda _: None)

    def _ended(self, slot: int, worker: WorkerProcess) -> None:
        self._all.discard(worker)
        # Counters never fall.
        self._past = merge([self._past, past(worker.told)])
        if self._stopping or self._current.get(slot) is not worker:
            return
        self._restarts += 1
        served = self._reactor.seconds() - worker.servesSince
        failures = 0 if served >= _LIVED else self._failures.get(slot, 0)
        self._failures[slot] = failures + 1
        seconds = min(_BACKOFF * 2**failures, _MOST_BACKOFF)
        _log.warn(
            "{name} has ended: another one is started in {seconds:g} seconds",
            name=worker.name,
            seconds=seconds,
        )

        def again() -> None:
            # Fresh ones may have come meanwhile.
            if self._current.get(slot) is worker:
                self._replace(slot)

        self._reactor.callLater(seconds, again)

    # The end

    def _stopAll(self, grace: float) -> Deferred[Any]:
        if not self._stopping:
            self._notifier.stopping()
        self._stopping = True
        waiting = list(self._all)
        ended: list[Deferred[None]] = []

        def tell() -> None:
            for worker in waiting:
                worker.tell("stop")

        for worker in waiting:
            done: Deferred[None] = Deferred()
            worker.ended.chainDeferred(done)
            ended.append(done)
        tell()

        def kill() -> None:
            for worker in waiting:
                worker.kill()

        deadline = Deadline(self._reactor, kill)
        if waiting:
            deadline.start(grace + _STUCK)
        removals = [
            addSignalCall(self._reactor, number, tell)
            for number in (signal.SIGTERM, signal.SIGINT)
            if waiting
        ]

        def over(result: Any) -> None:
            deadline.stop()
            for removal in removals:
                removal()
            if not self._services:
                self._stopping = False

        return DeferredList(ended).addCallback(over)


def _serves(worker: WorkerProcess) -> bool:
    return worker.serves


class _Control(StreamProtocol):
    """
    What a worker's parent tells it.
    """

    transport: ITransport

    def __init__(self, supervisor: Supervisor, reactor: Any) -> None:
        self._supervisor = supervisor
        self._reactor = reactor
        self._buffer = b""
        self._stopping = False

    def connectionMade(self) -> None:
        self._reactor.callWhenRunning(self.transport.write, b"ready\n")

    def dataReceived(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            if line == b"stop":
                self._stop()
            elif line == b"figures":
                told = json.dumps(toJSON(self._supervisor.ownFigures()))
                self.transport.write(f"{told}\n".encode())
            elif line == b"reopen":
                self._supervisor.reopen()
            elif line.startswith(b"shared "):
                self._supervisor.shared(json.loads(line.partition(b" ")[2]))
            elif line == b"drain":
                self._supervisor.drain().addCallback(lambda _: self._drained())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        # Whoever ended the parent can no longer end this.
        self._drained()

    def _drained(self) -> None:
        if not self._stopping:
            self._stop()

    def _stop(self) -> None:
        # A second one cuts, while there is something to cut.
        if not self._stopping or hasSignalCalls(signal.SIGTERM):
            os.kill(os.getpid(), signal.SIGTERM)
        self._stopping = True


def _hangsUp() -> bool:
    """
    Whether SIGHUP means that the terminal is gone, or nothing (nohup).
    """
    return signal.getsignal(signal.SIGHUP) is signal.SIG_IGN or (
        sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
    )


_supervisors: WeakKeyDictionary[Any, Supervisor] = WeakKeyDictionary()


def supervisor(reactor: Any) -> Supervisor:
    """
    The supervisor of a reactor's process.
    """
    found = _supervisors.get(reactor)
    if found is None:
        found = _supervisors[reactor] = Supervisor(reactor)
    return found
