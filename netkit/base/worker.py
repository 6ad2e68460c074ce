"""
A thread that does what may block, and how the reactor's thread hands work over to it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads

T = TypeVar("T")


class Worker(Generic[T]):
    """
    Hands things one after another to a thread of its own, which may block on them.

    While much waits for the thread, C{full} is true: whoever has more had better wait until
    told that this is over.

    The reactor is woken up for that alone, and not for each thing that is done.

    @ivar full: whether it has to be waited for.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[T], None],
        reactor: IReactorFromThreads,
        *,
        finish: Callable[[], None] | None = None,
        maxQueued: float = inf,
    ) -> None:
        """
        @param name: the thread's name.
        @param work: does something with a thing, in the thread. It raises nothing.
        @param reactor: in whose thread all else is called.
        @param finish: called in the thread at its end. It raises nothing.
        @param maxQueued: how many octets may wait before C{full} is true; any number by default.
        """
        self.full = False
        # How many octets were handed over, and how many of them the thread is through with.
        self._put = 0
        self._done = 0
        self._drained: list[Callable[[], None]] = []
        self._work = work
        self._finish = finish
        self._reactor = reactor
        self._maxQueued = maxQueued
        self._queue: SimpleQueue[tuple[T, int] | None] = SimpleQueue()
        self._stopped: Deferred[None] = Deferred()
        # Not the reactor's: one that a stalled reader holds up would keep its pool from ending.
        # A daemon: it does not keep the process from ending either.
        self._thread = Thread(target=self._run, name=name, daemon=True)

    @property
    def queued(self) -> int:
        """
        How many octets wait.
        """
        return self._put - self._done

    def onDrain(self, call: Callable[[], None]) -> None:
        """
        Have something called whenever C{full} is no longer true.
        """
        self._drained.append(call)

    def start(self) -> None:
        """
        Start the thread.
        """
        self._thread.start()

    def stop(self) -> Deferred[None]:
        """
        End the thread, once it has done all that waits.

        @return: a Deferred that fires when it has; when it is cancelled, the thread is left to
            itself.
        """
        self._queue.put(None)
        return self._stopped

    def join(self, seconds: float) -> bool:
        """
        End the thread, and wait until it has done all that waits: for when there is no reactor
        any more.

        @param seconds: for how long at most.
        @return: whether it has.
        """
        self._queue.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def hasRoom(self, size: int) -> bool:
        """
        Whether so much more can wait within the bound, as it can where nothing does. Where it
        cannot, C{full} is true from here on, until half of what waits is done.
        """
        queued = self.queued
        if queued and queued + size > self._maxQueued:
            self._fill()
        return not self.full

    def put(self, thing: T, size: int) -> None:
        """
        Hand something over.

        @param thing: not to be changed afterwards.
        @param size: about how much memory it takes, in octets.
        """
        self._put += size
        self._queue.put((thing, size))
        if self.queued > self._maxQueued:
            self._fill()

    def _fill(self) -> None:
        self.full = True
        # With the last thing, the thread may have been done before that, and will tell nobody.
        self.full = self.queued > 0

    def _isDrained(self) -> bool:
        return self.queued <= self._maxQueued // 2

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            thing, size = item
            self._work(thing)
            # Not kept while the next one is waited for.
            del item, thing
            self._done += size
            if self.full and self._isDrained():
                self._reactor.callFromThread(self._drain)
        if self._finish is not None:
            self._finish()
        self._reactor.callFromThread(self._ended)

    def _drain(self) -> None:
        # It may be full again, and the thread may have told more than once.
        if self.full and self._isDrained():
            self.full = False
            for call in self._drained:
                call()

    def _ended(self) -> None:
        if not self._stopped.called:
            self._stopped.callback(None)
