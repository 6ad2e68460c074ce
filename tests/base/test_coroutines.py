"""
Tests for L{netkit.base.coroutines}.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine
from threading import Thread
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from netkit.aio import forAsyncio
from netkit.base.coroutines import startCoroutine


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
