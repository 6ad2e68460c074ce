"""
What is done to the octets of one direction: stages, each of which passes on to the next one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime

from ..base.deadlines import Deadline
from .specification import Fault

#: An end that goes the way of the octets before it: called when it is there.
End = Callable[[], object]

# So often in a second octets are passed on that a rate allows.
_STEPS = 50


class Connection(Protocol):
    """
    What a stage can do about the connection.
    """

    clock: IReactorTime

    def struck(self, stage: Stage) -> None:
        """
        Tell that a fault has struck.
        """

    def moved(self) -> None:
        """
        What a stage holds back has become more, or less.
        """

    def reset(self) -> None:
        """
        Reset the connection.
        """

    def close(self) -> None:
        """
        Close the connection, once all is sent that was passed on.
        """

    def halfClose(self, stage: Stage) -> None:
        """
        End the direction of a stage, behind what was passed on.
        """


class Stage:
    """
    A stage: passes everything on as it is.

    @ivar name: the name of its fault.
    @ivar fault: what it does.
    @ivar next: the stage behind it.
    @ivar held: how many octets it holds back.
    @ivar active: whether what comes is to be struck: a fault may hang on a request.
    """

    next: Stage
    held = 0
    active = True

    def __init__(self, name: str, fault: Fault, connection: Connection, chance: Random) -> None:
        """
        @param name: the name of its fault.
        @param fault: what it does.
        @param connection: what it can act on.
        @param chance: what decides details.
        """
        self.name = name
        self.fault = fault
        self.connection = connection
        self.chance = chance
        self._told = False

    def strike(self) -> None:
        """
        Tell that it strikes, once.
        """
        if not self._told:
            self._told = True
            self.connection.struck(self)

    def put(self, data: bytes) -> None:
        """
        Take octets.
        """
        self.next.put(data)

    def end(self, end: End) -> None:
        """
        Take an end.
        """
        self.next.end(end)

    def release(self) -> None:
        """
        Pass on at once what is held back.
        """

    def stop(self) -> None:
        """
        The connection is gone: hold nothing any more.
        """


class Outlet(Stage):
    """
    The end of a direction.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        """
        @param write: called with what comes out.
        """
        self._write = write
        self._waiting: deque[bytes | End] = deque()
        self._blocked = False

    @property
    def empty(self) -> bool:
        """
        Whether nothing waits here.
        """
        return not self._waiting

    def put(self, data: bytes) -> None:
        if self._waiting or self._blocked:
            self._waiting.append(data)
            self.held += len(data)
        else:
            self._write(data)

    def end(self, end: End) -> None:
        if self._waiting or self._blocked:
            self._waiting.append(end)
        else:
            end()

    def block(self, blocked: bool) -> None:
        """
        Hold everything back, or no longer.
        """
        self._blocked = blocked
        while self._waiting and not self._blocked:
            item = self._waiting.popleft()
            if isinstance(item, bytes):
                self.held -= len(item)
                self._write(item)
            else:
                item()

    def stop(self) -> None:
        self._waiting.clear()
        self.held = 0


class Delayed(Stage):
    """
    Passes on what comes at a time of its own, in order.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.begin(self.fault.after)

    def begin(self, spared: int = 0) -> None:
        """
        Hold nothing yet.

        @param spared: how many octets are passed on as they are.
        """
        self._queue: deque[tuple[float, bytes | End]] = deque()
        self._deadline = Deadline(self.connection.clock, self._due)
        # When the last one of the queue is due.
        self._last = 0.0
        self._spared = spared

    def put(self, data: bytes) -> None:
        if self._spared:
            spared, data = data[: self._spared], data[self._spared :]
            self._spared -= len(spared)
            self._add(spared, 0.0)
        if not data:
            return
        if not self.active:
            self._add(data, 0.0)
            return
        self.strike()
        for piece, delay in self.plan(data):
            self._add(piece, delay)

    def plan(self, data: bytes) -> Iterable[tuple[bytes, float]]:
        """
        Cut octets into pieces, and say how long after the one before each is passed on at the
        earliest, in seconds.
        """
        raise NotImplementedError

    def end(self, end: End) -> None:
        self._add(end, 0.0)

    def _add(self, item: bytes | End, delay: float) -> None:
        now = self.connection.clock.seconds()
        self._last = max(self._last, now) + delay
        if self._last <= now and not self._queue:
            self._pass(item)
            return
        self._queue.append((self._last, item))
        if isinstance(item, bytes):
            self.held += len(item)
            self.connection.moved()
        self._wait()

    def _wait(self) -> None:
        if self._queue and not self._deadline.pending:
            self._deadline.start(max(0.0, self._queue[0][0] - self.connection.clock.seconds()))

    def _due(self) -> None:
        now = self.connection.clock.seconds()
        # A clock may be late by a rounding.
        while self._queue and self._queue[0][0] <= now + 1e-9:
            self._take()
        self.connection.moved()
        self._wait()

    def _take(self) -> None:
        item = self._queue.popleft()[1]
        if isinstance(item, bytes):
            self.held -= len(item)
        self._pass(item)

    def _pass(self, item: bytes | End) -> None:
        if isinstance(item, bytes):
            self.next.put(item)
        else:
            self.next.end(item)

    def release(self) -> None:
        self._deadline.stop()
        while self._queue:
            self._take()

    def stop(self) -> None:
        self._deadline.stop()
        self._queue.clear()
        self.held = 0


class Latency(Delayed):
    """
    Delays each piece, and none behind the next.
    """

    def plan(self, data: bytes) -> Iterator[tuple[bytes, float]]:
        values = self.fault.values
        delay = values["delay"] + values["jitter"] * (2 * self.chance.random() - 1)
        due = self.connection.clock.seconds() + max(0.0, delay)
        yield data, max(0.0, due - max(self._last, self.connection.clock.seconds()))


class Throttle(Delayed):
    """
    Passes on so many octets a second.
    """

    def plan(self, data: bytes) -> Iterator[tuple[bytes, float]]:
        rate = self.fault.values["rate"]
        step = max(1, rate // _STEPS)
        for start in range(0, len(data), step):
            piece = data[start : start + step]
            yield piece, len(piece) / rate


class Slicer(Delayed):
    """
    Passes on small pieces.
    """

    def plan(self, data: bytes) -> Iterator[tuple[bytes, float]]:
        values = self.fault.values
        size, variation, at = values["size"], values.get("variation", 0), 0
        while at < len(data):
            length = max(1, size + self.chance.randint(-variation, variation))
            yield data[at : at + length], values["delay"]
            at += length


class DelayedEnd(Stage):
    """
    Delays the end.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._waiting: list[End] = []
        self._deadline = Deadline(self.connection.clock, self.release)

    def end(self, end: End) -> None:
        self.strike()
        self._waiting.append(end)
        if not self._deadline.pending:
            self._deadline.start(self.fault.values["delay"])

    def release(self) -> None:
        self._deadline.stop()
        waiting, self._waiting = self._waiting, []
        for end in waiting:
            self.next.end(end)

    def stop(self) -> None:
        self._deadline.stop()
        self._waiting.clear()


class Flip(Stage):
    """
    Flips bits.
    """

    def put(self, data: bytes) -> None:
        if self.active:
            count = sum(1 for _ in self._places(len(data)))
            if count:
                self.strike()
                changed = bytearray(data)
                for _ in range(count):
                    changed[self.chance.randrange(len(data))] ^= 1 << self.chance.randrange(8)
                data = bytes(changed)
        self.next.put(data)

    def _places(self, length: int) -> Iterator[None]:
        """
        As many as there are to be flipped: as if each octet were decided upon, without doing so.
        """
        share, at = self.fault.values["share"], 0.0
        while share:
            at += self.chance.expovariate(share)
            if at > length:
                return
            yield


class Until(Stage):
    """
    Passes on so many octets, and then does what it is for.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._left = (self.fault.values.get("octets") or 0) + self.fault.after
        self._over = False

    def put(self, data: bytes) -> None:
        if not self.active and not self._over:
            self.next.put(data)
        elif not self._over:
            passed = data[: self._left]
            self._left -= len(passed)
            if passed:
                self.next.put(passed)
            if len(passed) < len(data):
                self._over = True
                self.strike()
                self.reached()

    def reached(self) -> None:
        """
        All octets are over that are passed on.
        """


class Truncate(Until):
    """
    Drops what follows.
    """


class Limit(Until):
    """
    Closes the connection.
    """

    def reached(self) -> None:
        self.next.end(self.connection.close)


class HalfClose(Until):
    """
    Ends the direction.
    """

    def reached(self) -> None:
        self.connection.halfClose(self)

    def end(self, end: End) -> None:
        if not self._over:
            super().end(end)


class Reset(Until):
    """
    Resets the connection, after octets or seconds.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        values = self.fault.values
        self._deadline = Deadline(self.connection.clock, self._late)
        if values["seconds"] is not None:
            self._deadline.start(values["seconds"])

    def put(self, data: bytes) -> None:
        if self.fault.values["octets"] is None:
            self.next.put(data)
        else:
            super().put(data)

    def _late(self) -> None:
        self.strike()
        self.reached()

    def reached(self) -> None:
        self.next.end(self.connection.reset)

    def release(self) -> None:
        self._deadline.stop()

    def stop(self) -> None:
        self._deadline.stop()


class BlackHole(Stage):
    """
    Takes everything, the end included.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._deadline = Deadline(self.connection.clock, self.connection.close)
        if self.fault.values["seconds"]:
            self._deadline.start(self.fault.values["seconds"])

    def put(self, data: bytes) -> None:
        if self.active:
            self.strike()
        else:
            self.next.put(data)

    def end(self, end: End) -> None:
        if not self.active:
            self.next.end(end)

    def release(self) -> None:
        self._deadline.stop()

    def stop(self) -> None:
        self._deadline.stop()


#: The stage of each kind of fault that strikes octets, whatever is spoken.
STAGES: dict[str, type[Stage]] = {
    "latency": Latency,
    "throttle": Throttle,
    "slice": Slicer,
    "limit": Limit,
    "reset": Reset,
    "half-close": HalfClose,
    "truncate": Truncate,
    "black-hole": BlackHole,
    "slow-close": DelayedEnd,
    "flip": Flip,
}
