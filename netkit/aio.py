"""
netkit beside asyncio: a reactor within C{asyncio.run}, Deferreds in tasks, handlers as tasks.

Where the reactor runs on a loop of asyncio's, netkit's own or C{AsyncioSelectorReactor},
coroutines that netkit calls (handlers, callbacks) may await what asyncio awaits, without more ado.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from functools import wraps
from types import coroutine
from typing import Any, ParamSpec, TypeVar

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.base import ReactorBase
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.main import installReactor
from twisted.python.failure import Failure

from .base.arguments import checkCallable
from .base.coroutines import drive

P = ParamSpec("P")
T = TypeVar("T")


def run(
    main: Coroutine[Any, Any, T],
    *,
    loopFactory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> T:
    """
    As C{asyncio.run}, with a reactor on the loop, and Deferreds awaitable in C{main}.

    @param main: the coroutine to run.
    @param loopFactory: makes the loop: C{uvloop.new_event_loop} for netkit's own reactor; one of
        asyncio's by default.
    @return: its result.
    @raise twisted.internet.error.ReactorAlreadyInstalledError: there is a reactor already:
        something imported C{twisted.internet.reactor} before, or this is the second run.
    """

    async def hosted() -> T:
        async with runningReactor():
            return await forAsyncio(main)

    try:
        with asyncio.Runner(loop_factory=loopFactory) as runner:
            return runner.run(hosted())
    finally:
        # Where there is no reactor for it, it was not begun.
        main.close()


@asynccontextmanager
async def runningReactor() -> AsyncIterator[AsyncioSelectorReactor]:
    """
    Within a coroutine that C{asyncio.run} runs: install a reactor on its loop and run it; at the
    end, shut it down, and leave the loop running. On a loop of uvloop's it is netkit's reactor.

    @raise twisted.internet.error.ReactorAlreadyInstalledError: as L{run}.
    """
    reactor = _hosted(asyncio.get_running_loop())
    installReactor(reactor)
    reactor.startRunning(installSignalHandlers=False)
    stopped: Deferred[None] = Deferred()
    reactor.addSystemEventTrigger("after", "shutdown", stopped.callback, None)
    try:
        yield reactor
    finally:
        if reactor.running:
            reactor.stop()
        await stopped.asFuture(asyncio.get_running_loop())


async def forAsyncio(awaitable: Deferred[T] | Coroutine[Any, Any, T]) -> T:
    """
    Await in a task of asyncio's what is Twisted's: C{await forAsyncio(createConnection(...))}, or
    C{asyncio.create_task(forAsyncio(worker()))} where C{worker} awaits both. Who cancels the task
    cancels what it waits for.

    @param awaitable: a Deferred, or a coroutine that awaits Deferreds and what asyncio awaits.
    @return: its result.
    """
    if isinstance(awaitable, Deferred):
        return await awaitable.asFuture(asyncio.get_running_loop())
    return await drive(awaitable, _forTask)


def asTask(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Deferred[T]]:
    """
    Have a coroutine function run as a task of asyncio's: for handlers that use what works in tasks
    alone, C{asyncio.timeout}, C{asyncio.wait_for} or aiohttp's client::

        HTTPFactory(asTask(handler))

    @param function: the coroutine function; it may await Deferreds, too.
    @return: a function that gives a Deferred; cancelling that cancels the task.
    @raise TypeError: it is no function.
    """
    checkCallable("function", function)

    @wraps(function)
    def start(*args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        task = asyncio.get_running_loop().create_task(forAsyncio(function(*args, **kwargs)))
        return Deferred.fromFuture(task).addErrback(_cancelled)

    return start


def _hosted(loop: asyncio.AbstractEventLoop) -> AsyncioSelectorReactor:
    """
    Make a reactor on a loop that is somebody else's to run and to stop.
    """
    if type(loop).__module__.partition(".")[0] != "uvloop":
        return _HostedReactor(loop)
    from .reactor import UvloopReactor

    class Hosted(UvloopReactor):
        """
        netkit's own.
        """

        crash = ReactorBase.crash

    return Hosted(loop)


class _HostedReactor(AsyncioSelectorReactor):
    crash = ReactorBase.crash


def _forTask(awaited: Any) -> Generator[Any, Any, Any]:
    """
    Have a task wait for a Deferred as well.
    """
    if isinstance(awaited, Deferred):
        yield from _fired(awaited)
        # A Deferred looks for its result itself.
        return None
    return (yield awaited)


@coroutine
def _fired(deferred: Deferred[Any]) -> Generator[Any, Any, None]:
    """
    Have a task wait for a Deferred, and leave its result there.
    """
    waiting = asyncio.get_running_loop().create_future()

    def fired(result: object) -> object:
        if not waiting.done():
            waiting.set_result(None)
        return result

    deferred.addBoth(fired)
    try:
        yield from waiting
    except asyncio.CancelledError:
        deferred.addErrback(lambda failure: None)
        deferred.cancel()
        raise


def _cancelled(failure: Failure) -> Failure:
    """
    Make a cancellation of asyncio's one of Twisted's.
    """
    if failure.check(asyncio.CancelledError):
        raise CancelledError from failure.value
    return failure
