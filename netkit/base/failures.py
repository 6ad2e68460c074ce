"""
Failures whose exceptions keep nothing alive.
"""

from __future__ import annotations

import sys
from copy import copy
from types import TracebackType

from twisted.internet import defer
from twisted.python import failure as failures
from twisted.python.failure import Failure

from . import coroutines

# The files whose functions pass a Failure into a coroutine and out of it, and so have in their
# variables the exception whose traceback leads to them.
_DRIVERS = frozenset({defer.__file__, failures.__file__, coroutines.__file__})

# Since Python 3.12 a frame that is done leads to those that called it, Twisted's among them.
_LEADS_TO_CALLERS = sys.version_info >= (3, 12)


def untraced(error: Exception) -> Exception:
    """
    Make an exception to raise in the place of one that is kept, to be raised again and again: that
    one would lead, through its traceback, to the variables of all whom it was raised in.

    @param error: the exception that is kept.
    @return: a copy of it; itself, where it is of a class that takes no copies.
    """
    try:
        copied = copy(error)
    except Exception:
        return error
    # Twisted's do not take their arguments back as they gave them.
    copied.args = error.args
    return copied


def releaseFrames(failure: Failure) -> None:
    """
    Cut the circle that a failed coroutine's exception is in, once it is dealt with.

    The exception's traceback leads to the frames that it went through, with all their variables:
    to the coroutine's, where an upload may be, and to those of who drives it, which have the
    exception. So all of that would stay in memory until the next full collection, long after the
    connection. Without the driver's frames it goes with the last who has the exception.

    @param failure: the failure. Its traceback still tells where it was raised, on Pythons before
        3.12; from that on there is none, so it is to be logged before.
    """
    failure.tb = _withoutDrivers(failure.tb)
    rest: list[BaseException | None] = [failure.value]
    seen: set[int] = set()
    while rest:
        error = rest.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        error.__traceback__ = _withoutDrivers(error.__traceback__)
        rest += error.__cause__, error.__context__


def _withoutDrivers(traceback: TracebackType | None) -> TracebackType | None:
    if _LEADS_TO_CALLERS:
        return None
    kept: list[TracebackType] = []
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename not in _DRIVERS:
            kept.append(traceback)
        traceback = traceback.tb_next
    for entry in reversed(kept):
        traceback = TracebackType(traceback, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return traceback
