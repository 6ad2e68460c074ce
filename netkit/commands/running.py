"""
Running a verb: the reactor, the signals that end it, the exit status.
"""

from __future__ import annotations

import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

_log = Logger()


class CommandFailed(Exception):
    """
    A verb could not do what was asked.

    @ivar status: the exit status.
    """

    def __init__(self, message: str = "", status: int = 1) -> None:
        """
        @param message: what the person who typed the command reads, in one line; nothing by
            default.
        @param status: the exit status.
        """
        super().__init__(message)
        self.status = status


def runCommand(
    name: str,
    run: Callable[[Any, Namespace], Coroutine[Deferred[Any], Any, None]],
    arguments: Namespace,
) -> int:
    """
    Run a verb in the global reactor until it is done or a signal ends it.

    @param name: what its messages begin with.
    @param run: the verb.
    @param arguments: what it was given.
    @return: the exit status.
    """
    from twisted.internet import reactor as globalReactor

    reactor: Any = globalReactor
    status: int | None = None

    def finish(code: int) -> None:
        nonlocal status
        # What follows the first is its consequence: connections are cut as the reactor stops.
        if status is None:
            status = code
            reactor.stop()

    async def attempt() -> int:
        try:
            await run(reactor, arguments)
        except CommandFailed as error:
            message = " ".join(str(error).split())
            if message and status is None:
                sys.stderr.write(f"{name}: {message}\n")
            return error.status
        except Exception:
            # Shown with its traceback: a fault of ours.
            _log.failure("{name} failed", name=name)
            return 1
        return 0

    def start() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, interrupted)
        Deferred.fromCoroutine(attempt()).addCallback(finish)

    def interrupted(number: int, frame: FrameType | None) -> None:
        reactor.callFromThread(finish, 128 + number)

    reactor.callWhenRunning(start)
    reactor.run()
    # Without a status, a signal came before the handlers were there.
    return 128 + signal.SIGINT if status is None else status
