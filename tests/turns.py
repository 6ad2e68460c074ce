"""
The turns of a reactor, on a clock that the test moves.
"""

from __future__ import annotations

from twisted.internet.task import Clock


def turn(clock: Clock) -> None:
    """
    Make the calls that are due, as a reactor does in one turn: not those that they ask for, which
    C{clock.advance} would make as well.
    """
    for call in list(clock.calls):
        if call.getTime() <= clock.seconds():
            clock.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)
