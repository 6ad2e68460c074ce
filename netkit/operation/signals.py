"""
What a process does when it is sent a signal.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads

Call = Callable[[], object]

# The calls of each signal, and what was done at it before.
_calls: dict[int, list[Call]] = {}
_before: dict[int, Any] = {}


def addSignalCall(reactor: IReactorFromThreads, number: int, call: Call) -> Call:
    """
    Have something called, in the reactor's thread, whenever the process is sent a signal, in place
    of what happens then otherwise.

    Away from the main thread, where Python sets no signal handlers, nothing is done.

    @param reactor: what calls.
    @param number: the signal's.
    @param call: what to call, besides all others that were given for this signal.
    @return: what to call to end that.
    """

    def calling() -> None:
        reactor.callFromThread(call)

    def remove() -> None:
        if calling not in _calls.get(number, ()):
            return
        _calls[number].remove(calling)
        if not _calls[number]:
            signal.signal(number, _before.pop(number))

    if threading.current_thread() is threading.main_thread():
        calls = _calls.setdefault(number, [])
        if not calls:
            # None is a handler that was not set from Python, and cannot be set again.
            _before[number] = signal.signal(number, _received) or signal.SIG_DFL
        calls.append(calling)
    return remove


def hasSignalCalls(number: int) -> bool:
    """
    Whether something is called when the process is sent a signal.
    """
    return bool(_calls.get(number))


def _received(number: int, frame: FrameType | None) -> None:
    for call in tuple(_calls[number]):
        call()
