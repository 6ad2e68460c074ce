"""
txredisapi: sets and gets values on a Redis server.
"""

from __future__ import annotations

from typing import Any

from amounts import OPERATIONS
from reactors import install

address = install()

import txredisapi  # noqa: E402 # it takes the reactor that is there
from twisted.internet.defer import Deferred, gatherResults  # noqa: E402
from twisted.internet.task import react  # noqa: E402

# So many of them wait for their answers at a time.
_AT_ONCE = 20


async def operate(redis: Any, number: int) -> None:
    """
    Set and get, again and again.
    """
    for count in range(OPERATIONS // _AT_ONCE // 2):
        await redis.set(f"key-{number}", count)
        assert await redis.get(f"key-{number}") == count


async def main(reactor: object) -> None:
    """
    Do all of it.
    """
    redis = await txredisapi.UnixConnectionPool(address, poolsize=4)
    await gatherResults([Deferred.fromCoroutine(operate(redis, n)) for n in range(_AT_ONCE)])
    await redis.disconnect()


react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
