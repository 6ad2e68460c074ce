"""
Coroutines that somebody else wrote: they await Deferreds and, where the reactor runs on a loop of
asyncio's, what asyncio awaits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from inspect import iscoroutine
from types import coroutine
from typing import Any, TypeVar

from twisted.internet import defer
from twisted.internet.defer import Deferred, maybeDeferred

T = TypeVar("T")


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


def maybeCoroutine(function: Callable[..., Any], *args: object) -> Deferred[Any]:
    """
    Call a function that may be one of coroutines.

    @return: fires with what it leads to, be that at once, or by a Deferred or a coroutine.
    """

    def call() -> Any:
        result = function(*args)
        return startCoroutine(result) if iscoroutine(result) else result

    return maybeDeferred(call)


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
    if asyncio.isfuture(awaited):
        # Where a task would mark that it has seen it.
        awaited._asyncio_future_blocking = False
        return Deferred.fromFuture(awaited)
    turn: Deferred[None] = Deferred()
    # Nothing is what asyncio.sleep(0) waits for: the next turn.
    asyncio.get_running_loop().call_soon(_fire, turn)
    return turn


def _fire(turn: Deferred[None]) -> None:
    if not turn.called:
        turn.callback(None)
