"""
Tests for L{netkit.base.coroutines}.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from threading import Thread
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure

from netkit.aio import forAsyncio
from netkit.base.coroutines import Arrival, Runner, startCoroutine


async def forEver() -> None:
    await Deferred[None]()


def inTask(coroutine: Coroutine[Any, Any, None]) -> object:
    driven: Any = forAsyncio(coroutine)
    driven.send(None)
    return driven


def onLoop(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """
    Run something on a loop of asyncio's, apart from the one that the reactor may have.
    """
    thread = Thread(target=lambda: asyncio.run(main()))
    thread.start()
    thread.join()


@pytest.mark.parametrize("drive", [startCoroutine, inTask])
def test_a_coroutine_that_ended_before_its_driver_is_let_go_of(
    drive: Callable[[Coroutine[Any, Any, None]], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)

    async def main() -> None:
        inner = forEver()
        driven = drive(inner)
        inner.close()
        del driven
        gc.collect()

    onLoop(main)
    assert unraisable == []


def test_what_is_driven_is_told_of_its_end() -> None:
    ended = []

    async def last() -> None:
        try:
            await Deferred[None]()
        finally:
            ended.append(True)

    async def main() -> None:
        driven: Any = inTask(last())
        driven.close()

    onLoop(main)
    assert ended == [True]


class Told:
    """
    How a coroutine ends that a L{Runner} runs.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, object]) -> None:
        self.how: list[object] = []
        self.runner = Runner(coroutine, self.returned, self.failed, "it")
        self.runner.start()

    def returned(self, result: object, about: str) -> None:
        self.how.append((result, about))

    def failed(self, failure: Failure, about: str) -> None:
        self.how.append((failure.type, about))


async def waitFor(awaited: Any) -> object:
    return await awaited


@pytest.mark.parametrize("awaited", [Deferred, Arrival])
def test_a_coroutine_goes_on_with_what_it_awaited(awaited: type[Deferred[object]]) -> None:
    first = awaited()
    told = Told(waitFor(first))
    assert told.how == []
    if isinstance(first, Arrival):
        first.arrived(1)
    else:
        first.callback(1)
    assert told.how == [(1, "it")]
    second = awaited()
    told = Told(waitFor(second))
    if isinstance(second, Arrival):
        second.failed(Failure(ValueError()))
    else:
        second.errback(ValueError())
    assert told.how == [(ValueError, "it")]


@pytest.mark.parametrize("awaited", [Deferred, Arrival])
def test_what_is_there_is_not_waited_for(awaited: type[Deferred[object]]) -> None:
    """
    However often: it would be a deeper call each time.
    """
    told: list[Told] = []

    async def often() -> None:
        for _ in range(10_000):
            there = awaited()
            there.callback(1)
            assert await there == 1

    told.append(Told(often()))
    assert told[0].how == [(None, "it")]


def test_an_arrival_can_be_waited_for_by_whoever_runs_the_coroutine() -> None:
    arrival: Arrival[int] = Arrival()
    results: list[object] = []
    Deferred.fromCoroutine(waitFor(arrival)).addCallback(results.append)
    arrival.arrived(1)
    assert results == [1]


@pytest.mark.parametrize("awaited", [Deferred, Arrival])
def test_a_coroutine_is_cancelled_with_what_it_awaits(awaited: type[Deferred[object]]) -> None:
    given_up: list[Deferred[object]] = []
    waited = awaited(given_up.append)
    told = Told(waitFor(waited))
    told.runner.cancel()
    assert given_up == [waited]
    assert told.how == [(CancelledError, "it")]
    # It is over.
    told.runner.cancel()
    assert told.how == [(CancelledError, "it")]


def test_what_was_awaited_before_is_not_cancelled() -> None:
    """
    Though it has come to wait for something since.
    """
    first, other, last = Deferred[None](), Deferred[None](), Deferred[None]()
    arrival: Arrival[None] = Arrival()
    told: list[Told] = []

    async def cancels() -> None:
        await first
        await arrival
        told[0].runner.cancel()
        await last

    told.append(Told(cancels()))
    first.callback(None)
    first.addCallback(lambda result: other)
    arrival.arrived(None)
    assert told[0].how == [(CancelledError, "it")]
    assert not other.called


@pytest.mark.parametrize("awaited", [Deferred, Arrival])
def test_a_coroutine_that_runs_is_cancelled_where_it_awaits_next(
    awaited: type[Deferred[object]],
) -> None:
    begun = Deferred[None]()
    told: list[Told] = []
    reached: list[bool] = []

    async def cancels() -> object:
        await begun
        told[0].runner.cancel()
        reached.append(True)
        return await awaited()

    told.append(Told(cancels()))
    begun.callback(None)
    assert reached == [True]
    assert told[0].how == [(CancelledError, "it")]


def test_a_coroutine_that_awaits_one_thing_after_another_is_cancelled() -> None:
    """
    Whatever it awaits then, and whatever it awaited before.
    """
    arrival: Arrival[int] = Arrival()
    plain, inner = Deferred[int](), Deferred[int]()
    # This one has fired, and goes on to wait for another one.
    chained = succeed(None).addCallback(lambda _: inner)
    order: list[object] = []

    async def goesOn() -> None:
        for awaited in (arrival, plain, arrival, chained, arrival):
            try:
                order.append(await awaited)
            except CancelledError:
                order.append("cancelled")

    told = Told(goesOn())
    arrival.arrived(1)
    plain.callback(2)
    arrival.arrived(3)
    told.runner.cancel()
    assert inner.called
    assert order == [1, 2, 3, "cancelled"]
    told.runner.cancel()
    assert order == [1, 2, 3, "cancelled", "cancelled"]
    assert told.how == [(None, "it")]


def test_a_coroutine_may_go_on_that_was_cancelled() -> None:
    last = Deferred[int]()

    async def stubborn() -> object:
        with suppress(CancelledError):
            await Arrival[None]()
        return await last

    told = Told(stubborn())
    told.runner.cancel()
    assert told.how == []
    last.callback(2)
    assert told.how == [(2, "it")]


def test_what_is_asyncios_is_awaited_and_cancelled() -> None:
    how: list[object] = []

    async def main() -> None:
        told = Told(waitFor(asyncio.sleep(0, 1)))
        while not told.how:
            await asyncio.sleep(0)
        future: asyncio.Future[None] = asyncio.Future()
        cancelled = Told(waitFor(future))
        cancelled.runner.cancel()
        while not cancelled.how:
            await asyncio.sleep(0)
        how.extend((*told.how, future.cancelled(), *cancelled.how))

    onLoop(main)
    assert how == [(1, "it"), True, (CancelledError, "it")]
