"""
Threads for what may take long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from twisted.internet.threads import deferToThreadPool

from ..parameters import APIError

T = TypeVar("T")
P = ParamSpec("P")

# How many may look into the ring at once.
_MOST = 8


class Threads:
    """
    Does what may take long, so much of it at once and no more.
    """

    def __init__(self, reactor: Any) -> None:
        """
        @param reactor: what has threads.
        """
        self._reactor = reactor
        self._under = 0

    async def run(self, call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """
        Do something.

        @raise APIError: too much is being done.
        """
        if self._under >= _MOST:
            raise APIError(429, "too many look into the ring at once")
        self._under += 1
        try:
            pool = self._reactor.getThreadPool()
            done: T = await deferToThreadPool(self._reactor, pool, call, *arguments, **named)
            return done
        finally:
            self._under -= 1
