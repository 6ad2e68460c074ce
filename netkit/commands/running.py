"""
Running a verb: the reactor, the signals that end it, the exit status.
"""

from __future__ import annotations

import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Coroutine
from traceback import format_exc
from types import FrameType
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText, globalLogBeginner

from ..base.terminal import printable, printableLine

#: The exit status of a filter whose reader has gone: 128 and SIGPIPE.
NOBODY_READS = 141


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


def tell(message: str) -> None:
    """
    Say something to the person who typed the command, on standard error.

    @param message: one line. A peer may have had its say in it: what would control a terminal, or
        begin another line, is escaped.
    """
    sys.stderr.write(f"{printableLine(' '.join(message.split()))}\n")


def _showFailure(event: LogEvent) -> None:
    """
    Show what went wrong that nobody awaits: a fault of ours, perhaps with text of the peer's.
    """
    if event.get("log_level") is LogLevel.critical:
        sys.stderr.write(printable(f"{eventAsText(event)}\n"))


def runCommand(
    name: str,
    run: Callable[[Any, Namespace], Coroutine[Deferred[Any], Any, None]],
    arguments: Namespace,
) -> int:
    """
    Run a verb in the global reactor until it is done or a signal ends it.

    @param name: what its messages begin with.
    @param run: the verb. The first signal cancels it, so that it can end in good order; the second
        one ends it at once.
    @param arguments: what it was given.
    @return: the exit status.
    """
    from twisted.internet import reactor as globalReactor

    observers = [cast(ILogObserver, _showFailure)]
    globalLogBeginner.beginLoggingTo(observers, discardBuffer=True, redirectStandardIO=False)
    reactor: Any = globalReactor
    status: int | None = None
    running: Deferred[int] | None = None

    def finish(code: int) -> None:
        nonlocal status
        if status is None:
            status = code
        reactor.stop()

    async def attempt() -> int:
        try:
            await run(reactor, arguments)
        except CommandFailed as error:
            if str(error) and status is None:
                tell(f"{name}: {error}")
            return error.status
        except CancelledError:
            return 1
        except Exception:
            # Shown with its traceback: a fault of ours.
            sys.stderr.write(printable(f"{name} failed\n{format_exc()}"))
            return 1
        return 0

    def start() -> None:
        nonlocal running
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, interrupted)
        running = Deferred.fromCoroutine(attempt())
        running.addCallback(finish)

    def interrupted(number: int, frame: FrameType | None) -> None:
        reactor.callFromThread(end, 128 + number)

    def end(code: int) -> None:
        nonlocal status
        if running is None or running.called:
            return
        if status is None:
            # What follows is its consequence, and changes neither the status nor is it told.
            status = code
            running.cancel()
        else:
            # A second signal: whoever sends it does not want to wait.
            reactor.stop()

    reactor.callWhenRunning(start)
    reactor.run()
    # Without a status, a signal came before the handlers were there.
    return 128 + signal.SIGINT if status is None else status
