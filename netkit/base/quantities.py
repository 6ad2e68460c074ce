"""
Seconds and counts as people write them.
"""

from __future__ import annotations

from math import isfinite


def parseSeconds(text: str, *, zero: bool = True) -> float:
    """
    Parse a number of seconds.

    @param text: such as C{0.5}.
    @param zero: whether 0 is one.
    @raise ValueError: it is none; the message names it.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not isfinite(seconds) or seconds < 0 or not (seconds or zero):
        least = ", 0 or more" if zero else " above 0"
        raise ValueError(f"{text!r} is not a number of seconds{least}")
    return seconds


def parseCount(text: str) -> int:
    """
    Parse a whole number, 0 or more: of bytes, of connections.

    @param text: decimal digits.
    @raise ValueError: it is none; the message names it.
    """
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not a whole number, 0 or more")
    return int(text)
