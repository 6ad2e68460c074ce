"""
The types of the arguments that verbs take.
"""

from __future__ import annotations

from argparse import ArgumentTypeError

from ..base.quantities import parseSeconds


def seconds(text: str, *, zero: bool = True) -> float:
    """
    A number of seconds.

    @param text: what was given.
    @param zero: whether 0 is one.
    @raise ArgumentTypeError: it is none.
    """
    try:
        return parseSeconds(text, zero=zero)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def positiveSeconds(text: str) -> float:
    """
    A number of seconds above 0; as L{seconds}.
    """
    return seconds(text, zero=False)
