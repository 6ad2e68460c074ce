"""
What is done to the octets of one direction: stages, each of which passes on to the next one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from math import inf
from random import Random
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime

from ..base.deadlines import Deadline
from .faults import ArmedFault
from .specification import Fault, Unit

#: An end that goes the way of the octets before it: called when it is there.
End = Callable[[], object]

#: A piece of what is delayed: how many octets, and how many seconds after the one before it.
Piece = tuple[int, float]

# So often in a second octets are passed on that a rate allows.
_STEPS = 50

# So many pieces are passed on before others have their turn.
_MOST_AT_ONCE = 1000

# A clock may be late by a rounding, in seconds.
_ROUNDING = 1e-9

_NEVER = inf


class FaultyConnection(Protocol):
    """
    What a stage can do about the connection.
    """

    clock: IReactorTime

    def struck(self, stage: Stage) -> None:
        """
        Tell that the fault of a stage strikes.
        """

    def tell(self, armed: ArmedFault, what: str) -> None:
        """
        Tell that a fault strikes.

        @param what: what it strikes.
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
    # What it waits for, where it does.
    _deadline: Deadline | None = None
    held = 0
    active = False

    def __init__(
        self, name: str, fault: Fault, connection: FaultyConnection, chance: Random
    ) -> None:
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

    @property
    def passes(self) -> bool:
        """
        Whether what comes is passed on as it is and at once, until a fault comes or is changed.
        """
        return False

    @property
    def spared(self) -> int:
        """
        How many octets are passed on as they are, before any is struck.
        """
        return self.fault.after if self.fault.unit is Unit.CONNECTION else 0

    def choose(self, active: bool) -> None:
        """
        Have what comes from here on be struck, or not: a fault may hang on a request.
        """
        self.active = active

    def change(self, fault: Fault) -> None:
        """
        Do the same otherwise, from here on.

        @param fault: another one of the same kind.
        """
        self.fault = fault

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

    def forget(self) -> None:
        """
        Nothing more comes, and nothing waits: let go of what leads back here.
        """
        if self._deadline is not None:
            self._deadline.end()

    @property
    def waits(self) -> bool:
        """
        Whether it does something when a time is over.
        """
        return self._deadline is not None and self._deadline.pending


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

    def forget(self) -> None:
        self._write = _nowhere


def _nowhere(data: bytes) -> None:
    """
    Where what comes too late goes.
    """


class _Late:
    """
    What is passed on later, piece by piece.
    """

    __slots__ = ("arrived", "at", "item", "plan", "struck")

    def __init__(self, item: bytes | End, arrived: float, plan: Iterator[Piece] | None) -> None:
        self.item = item
        # How many octets of it were passed on.
        self.at = 0
        self.arrived = arrived
        self.struck = plan is not None
        self.plan = plan or iter([(self.left, 0.0)])

    @property
    def left(self) -> int:
        """
        How many octets of it are to be passed on still.
        """
        return len(self.item) - self.at if isinstance(self.item, bytes) else 0


class Delayed(Stage):
    """
    Passes on what comes at a time of its own, in order.
    """

    _deadline: Deadline

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.begin(self.spared)

    def begin(self, spared: int = 0) -> None:
        """
        Hold nothing yet.

        @param spared: how many octets are passed on as they are.
        """
        self._queue: deque[_Late] = deque()
        self._deadline = Deadline(self.connection.clock, self._run)
        # How long the first piece is, once that is decided; and when it is due, or the one before.
        self._length: int | None = None
        self._last = -inf
        self._spared = spared
        self._running = False

    @property
    def idle(self) -> bool:
        """
        Whether nothing waits for its time.
        """
        return not (self._queue or self._running)

    def put(self, data: bytes) -> None:
        if self._spared:
            spared, data = data[: self._spared], data[self._spared :]
            self._spared -= len(spared)
            self._add(spared)
        if data and self.active:
            self.strike()
            self._add(data, self.plan(len(data), self.connection.clock.seconds()))
        elif data:
            self._add(data)

    def plan(self, length: int, arrived: float) -> Iterator[Piece]:
        """
        Cut octets into pieces, one by one when it is their turn: how long each is, and how many
        seconds after the one before it is passed on at the earliest.

        @param length: how many octets.
        @param arrived: when they came.
        """
        raise NotImplementedError

    def end(self, end: End) -> None:
        self._add(end)

    def _add(self, item: bytes | End, plan: Iterator[Piece] | None = None) -> None:
        late = _Late(item, self.connection.clock.seconds(), plan)
        self._queue.append(late)
        self.held += late.left
        self._run()

    def change(self, fault: Fault) -> None:
        super().change(fault)
        # What waits already comes when it would have come, had this been so when it arrived.
        self._last = min(self._last, self.connection.clock.seconds())
        self._length = None
        for late in self._queue:
            late.plan = iter([(late.left, 0.0)])
            if late.struck:
                late.plan = self.plan(late.left, late.arrived)
        self._deadline.stop()
        self._run()

    def _run(self) -> None:
        if self._running:
            return
        self._running = True
        now = self.connection.clock.seconds()
        try:
            for _ in range(_MOST_AT_ONCE):
                if not self._queue or self._due(self._queue[0]) > now + _ROUNDING:
                    break
                self._pass(self._queue[0])
        finally:
            self._running = False
        if self._queue and not self._deadline.pending and self._last < _NEVER:
            self._deadline.start(max(0.0, self._last - now))
        self.connection.moved()

    def _due(self, late: _Late) -> float:
        if self._length is None:
            self._length, delay = next(late.plan)
            self._last = max(self._last, late.arrived) + delay
        return self._last

    def _pass(self, late: _Late) -> None:
        length, self._length = self._length or 0, None
        if not isinstance(late.item, bytes):
            self._queue.popleft()
            self.next.end(late.item)
            return
        piece = late.item[late.at : late.at + length]
        late.at += len(piece)
        if late.at == len(late.item):
            self._queue.popleft()
        self.held -= len(piece)
        self.next.put(piece)

    def release(self) -> None:
        queue, self._queue = self._queue, deque()
        self._stopWaiting()
        # What comes meanwhile, for there is room again, comes behind.
        self._running = True
        for late in queue:
            if isinstance(late.item, bytes):
                self.next.put(late.item[late.at :])
            else:
                self.next.end(late.item)
        self._running = False
        self._run()

    def stop(self) -> None:
        self._queue.clear()
        self._stopWaiting()

    def _stopWaiting(self) -> None:
        self._deadline.stop()
        self._length = None
        self._last = -inf
        self.held = 0


class Latency(Delayed):
    """
    Delays each piece, and none behind the next.
    """

    def plan(self, length: int, arrived: float) -> Iterator[Piece]:
        values = self.fault.values
        delay = values["delay"] + values["jitter"] * (2 * self.chance.random() - 1)
        yield length, max(0.0, arrived + max(0.0, delay) - max(self._last, arrived))


class Throttle(Delayed):
    """
    Passes on so many octets a second; of 0, none, and loses none.
    """

    def plan(self, length: int, arrived: float) -> Iterator[Piece]:
        rate = self.fault.values["rate"]
        if not rate:
            yield length, _NEVER
            return
        step = max(1, rate // _STEPS)
        for start in range(0, length, step):
            piece = min(step, length - start)
            yield piece, piece / rate


class Slicer(Delayed):
    """
    Passes on small pieces.
    """

    def plan(self, length: int, arrived: float) -> Iterator[Piece]:
        values = self.fault.values
        size, variation, gap = values["size"], values["variation"], values["delay"]
        # The delay is between two of them: none is before the first one.
        delay = max(0.0, self._last + gap - max(self._last, arrived))
        while length > 0:
            piece = min(length, max(1, size + self.chance.randint(-variation, variation)))
            yield piece, delay
            length -= piece
            delay = gap


class DelayedEnd(Stage):
    """
    Delays the end.
    """

    _deadline: Deadline

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._waiting: list[End] = []
        self._deadline = Deadline(self.connection.clock, self.release)

    def end(self, end: End) -> None:
        self.strike()
        self._waiting.append(end)
        if not self._deadline.pending:
            self._deadline.start(self.fault.values["delay"])

    def change(self, fault: Fault) -> None:
        super().change(fault)
        if self._waiting:
            self._deadline.start(fault.values["delay"])

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
    Passes on so many octets, and then does what it is for: with the last of them, or where more
    comes.
    """

    withLast = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._left = 0
        self._over = False

    @property
    def _all(self) -> int:
        return (self.fault.values.get("octets") or 0) + self.spared

    def choose(self, active: bool) -> None:
        super().choose(active)
        if active:
            self._left = self._all

    def change(self, fault: Fault) -> None:
        passed = self._all - self._left
        super().change(fault)
        self._left = self._all - passed

    def put(self, data: bytes) -> None:
        if not self.active and not self._over:
            self.next.put(data)
        elif not self._over:
            passed = data[: max(0, self._left)]
            self._left -= len(passed)
            if passed:
                self.next.put(passed)
            if len(passed) < len(data) or (self.withLast and self._left <= 0):
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

    withLast = True

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

    _deadline: Deadline

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._deadline = Deadline(self.connection.clock, self._late)
        self._began = 0.0

    def choose(self, active: bool) -> None:
        super().choose(active)
        if active and not self._deadline.pending:
            self._began = self.connection.clock.seconds()
            self._wait()

    def change(self, fault: Fault) -> None:
        super().change(fault)
        self._deadline.stop()
        if self.active:
            self._wait()

    def _wait(self) -> None:
        seconds = self.fault.values["seconds"]
        if seconds is not None:
            now = self.connection.clock.seconds()
            self._deadline.start(max(0.0, self._began + seconds - now))

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

    _deadline: Deadline

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._deadline = Deadline(self.connection.clock, self.connection.close)
        self._ends: list[End] = []

    def choose(self, active: bool) -> None:
        super().choose(active)
        if active and not self._deadline.pending:
            self.wait()

    def change(self, fault: Fault) -> None:
        super().change(fault)
        self._deadline.stop()
        if self.active:
            self.wait()

    def wait(self) -> None:
        """
        Let the time run from here on, if it is to run.
        """
        if seconds := self.fault.values["seconds"]:
            self._deadline.start(seconds)

    def put(self, data: bytes) -> None:
        if self.active:
            self.strike()
        else:
            self.next.put(data)

    def end(self, end: End) -> None:
        if self.active:
            self.strike()
            self._ends.append(end)
        else:
            self.next.end(end)

    def release(self) -> None:
        self._deadline.stop()
        ends, self._ends = self._ends, []
        for end in ends:
            self.next.end(end)

    def stop(self) -> None:
        self._deadline.stop()
        self._ends.clear()


class Timeout(BlackHole):
    """
    Takes everything but the end, and closes once nothing came for a time, as Toxiproxy's toxic.
    """

    def put(self, data: bytes) -> None:
        super().put(data)
        if self.active:
            self.wait()

    def end(self, end: End) -> None:
        self.next.end(end)


class ResetPeer(Stage):
    """
    Takes everything, and resets the connection some time after the first of it, as Toxiproxy's
    toxic.
    """

    _deadline: Deadline

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._deadline = Deadline(self.connection.clock, self.connection.reset)

    def put(self, data: bytes) -> None:
        if self.active:
            self._wait()
        else:
            self.next.put(data)

    def end(self, end: End) -> None:
        if self.active:
            self._wait()
        else:
            self.next.end(end)

    def _wait(self) -> None:
        self.strike()
        if not self._deadline.pending:
            self._deadline.start(self.fault.values["seconds"])

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
    "reset-peer": ResetPeer,
    "black-hole": BlackHole,
    "timeout": Timeout,
    "slow-close": DelayedEnd,
    "flip": Flip,
}
