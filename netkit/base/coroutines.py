"""
Coroutines that somebody else wrote: they await Deferreds and, where the reactor runs on a loop of
asyncio's, what asyncio awaits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from inspect import iscoroutine
from types import coroutine
from typing import Any, TypeVar

from twisted.internet import defer
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

T = TypeVar("T")
A = TypeVar("A")

_WRONG_REACTOR = (
    "cannot be awaited here, where Deferreds can: what is asyncio's takes a reactor that runs on "
    "its loop, as by netkit.aio.run() or twistd --reactor=asyncio"
)


def startCoroutine(coroutine: Coroutine[Any, Any, T]) -> Deferred[T]:
    """
    Run a coroutine.

    @param coroutine: the coroutine.
    @return: fires with its result.
    @raise TypeError: it is none.
    """
    if not iscoroutine(coroutine):
        raise TypeError(f"{coroutine!r} is no coroutine")
    if asyncio._get_running_loop() is None:
        return Deferred.fromCoroutine(coroutine)
    return Deferred.fromCoroutine(_onLoop(coroutine))


class Arrival(Deferred[T]):
    """
    What one coroutine waits for, and nobody else: the next message, say. Where a L{Runner} runs
    the coroutine, that goes on without callbacks, and this can be waited for again.

    @ivar runner: whose coroutine waits, where that is one that a L{Runner} runs.
    """

    def __init__(self, canceller: Callable[[Deferred[Any]], None] | None = None) -> None:
        """
        @param canceller: called with this when it is cancelled.
        """
        super().__init__(canceller)
        # Not of the class: CPython's inline cache misses attributes that the class defines too.
        self.runner: Runner | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        # Twisted's looks for a result in here, and not at what it is sent.
        result: T = (yield from super().__await__()) if self.called else (yield self)
        return result

    def arrived(self, value: T) -> None:
        """
        Have the coroutine go on.
        """
        runner, self.runner = self.runner, None
        if runner is not None:
            runner.resume(value)
        else:
            self.callback(value)

    def failed(self, failure: Failure) -> None:
        """
        Have the coroutine fail.
        """
        runner, self.runner = self.runner, None
        if runner is not None:
            runner.throw(failure)
        else:
            self.errback(failure)

    def cancel(self) -> None:
        runner, self.runner = self.runner, None
        if runner is not None:
            self.addErrback(runner.throw)
        super().cancel()


class Runner:
    """
    Runs a coroutine: one that is begun for each request, or lives as long as its connection. It
    does what a L{Deferred} of it would, for a fifth of the time.
    """

    __slots__ = (
        "_about",
        "_arrival",
        "_cancelled",
        "_context",
        "_coroutine",
        "_deferred",
        "_failed",
        "_returned",
        "_send",
    )

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, T],
        returned: Callable[[T, A], object],
        failed: Callable[[Failure, A], object],
        about: A,
    ) -> None:
        """
        @param coroutine: the coroutine; L{start} begins it.
        @param returned: called with its result.
        @param failed: called with what it raised.
        @param about: what both are called with as well.
        """
        self._coroutine = coroutine
        self._send = coroutine.send
        self._returned = returned
        self._failed = failed
        self._about = about
        self._context = copy_context()
        # What it awaited last, which it is likely to await again.
        self._arrival = _NEVER
        # What it awaits, where that is anything else.
        self._deferred: Deferred[Any] | None = None
        self._cancelled = False

    def start(self) -> None:
        """
        Begin, and go on up to where it awaits something.
        """
        self.resume(None)

    def cancel(self) -> None:
        """
        Give up what it awaits, or awaits next: the coroutine hears of that by a
        L{CancelledError <defer.CancelledError>}.
        """
        deferred = self._deferred
        if self._arrival.runner is self:
            self._arrival.cancel()
        elif deferred is not None:
            deferred.cancel()
        else:
            # It runs, and whatever it awaits next is not for the short way.
            self._cancelled = True
            self._arrival = _NEVER

    def resume(self, value: Any) -> None:
        """
        Go on with what was awaited.
        """
        try:
            awaited = self._context.run(self._send, value)
        except StopIteration as stop:
            result = stop.value
        except BaseException as error:
            self._raised(error)
            return
        else:
            # As in _wait, without a call.
            if awaited is self._arrival:
                awaited.runner = self
            else:
                self._wait(awaited)
            return
        self._returned(result, self._about)

    def throw(self, failure: Failure) -> None:
        """
        Go on with that what was awaited failed.
        """
        try:
            awaited = self._context.run(failure.throwExceptionIntoGenerator, self._coroutine)
        except StopIteration as stop:
            result = stop.value
        except BaseException as error:
            self._raised(error)
            return
        else:
            self._wait(awaited)
            return
        self._returned(result, self._about)

    def _fired(self, value: Any) -> None:
        self._deferred = None
        self.resume(value)

    def _errored(self, failure: Failure) -> None:
        self._deferred = None
        self.throw(failure)

    def _raised(self, error: BaseException) -> None:
        # As which Twisted knows it.
        cancelled = isinstance(error, asyncio.CancelledError)
        self._failed(Failure(defer.CancelledError() if cancelled else None), self._about)

    def _wait(self, awaited: Any) -> None:
        try:
            deferred = awaited if isinstance(awaited, Deferred) else _deferred(awaited)
        except Exception:
            # What cannot be awaited here is for the coroutine to hear.
            self.throw(Failure())
            return
        if type(deferred) is Arrival:
            self._arrival = deferred
            deferred.runner = self
        else:
            self._deferred = deferred
            deferred.addCallbacks(self._fired, self._errored)
        if self._cancelled:
            self._cancelled = False
            self.cancel()


# In place of what was not awaited yet.
_NEVER: Arrival[Any] = Arrival()


async def resultOf(function: Callable[..., Any], *args: object) -> Any:
    """
    Call a function from a coroutine, and wait for what it leads to: it may be one of coroutines,
    or return a Deferred.
    """
    result = function(*args)
    return await result if isinstance(result, Deferred) or iscoroutine(result) else result


def maybeCoroutine(function: Callable[..., Any], *args: object) -> Deferred[Any]:
    """
    Call a function that may be one of coroutines.

    @return: fires with what it leads to, be that at once, or by a Deferred or a coroutine.
    """

    def call() -> Any:
        result = function(*args)
        return startCoroutine(result) if iscoroutine(result) else result

    return maybeDeferred(call)


def explain(failure: Failure) -> None:
    """
    Have a failure say what to do, where its coroutine awaited what is asyncio's, and was run by
    Twisted, which knows nothing of that.

    @param failure: what it ended with.
    """
    error = failure.value
    if type(error) is RuntimeError and error.args == ("await wasn't used with future",):
        failure.value = TypeError(f"a future of asyncio's {_WRONG_REACTOR}").with_traceback(
            error.__traceback__
        )


@coroutine
def drive(
    inner: Coroutine[Any, Any, T], wait: Callable[[Any], Generator[Any, Any, Any]]
) -> Generator[Any, Any, T]:
    """
    Have somebody drive a coroutine who does not know all that it awaits.

    @param inner: the coroutine.
    @param wait: waits for one thing that it awaits, in the terms of who drives.
    @return: what to drive in its place.
    """
    step: Callable[[Any], Any] = inner.send
    value: Any = None
    while True:
        try:
            awaited = step(value)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            # An error that comes out again leads to this frame, and is not to be led to by it.
            value = None
        try:
            value = yield from wait(awaited)
        except GeneratorExit:
            # Nobody waits for either any more; the other one may have been let go of before.
            inner.close()
            raise
        except BaseException as error:
            step, value = inner.throw, error
        else:
            step = inner.send


async def _onLoop(inner: Coroutine[Any, Any, T]) -> T:
    """
    Have Twisted drive a coroutine that may await a future of asyncio's as well.
    """
    try:
        return await drive(inner, _forTwisted)
    except asyncio.CancelledError as cancelled:
        # As which Twisted knows it.
        raise defer.CancelledError from cancelled


def _forTwisted(awaited: Any) -> Generator[Any, Any, Any]:
    return (yield awaited if isinstance(awaited, Deferred) else _deferred(awaited))


def _deferred(awaited: Any) -> Deferred[Any]:
    """
    Adapt what a coroutine of asyncio's gives its task to wait for.
    """
    if asyncio.isfuture(awaited) and asyncio._get_running_loop() is not None:
        # Where a task would mark that it has seen it.
        awaited._asyncio_future_blocking = False
        return Deferred.fromFuture(awaited)
    if awaited is not None or asyncio._get_running_loop() is None:
        raise TypeError(f"{awaited!r} {_WRONG_REACTOR}")
    turn: Deferred[None] = Deferred()
    # Nothing is what asyncio.sleep(0) waits for: the next turn.
    asyncio.get_running_loop().call_soon(_fire, turn)
    return turn


def _fire(turn: Deferred[None]) -> None:
    if not turn.called:
        turn.callback(None)
