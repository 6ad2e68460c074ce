"""
Seconds and counts as people write them.
"""

from __future__ import annotations

import re

# Not what float() and int() take besides: inf, 1_000, digits of other scripts, white space.
_NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")

# Some 68 years: more than any clock of a reactor has trouble with.
_MOST_SECONDS = 2**31 - 1


class QuantityError(ValueError):
    """
    A text is not what is wanted.

    @ivar text: the text.
    @ivar wanted: what is: C{a number of seconds, 0 or more}.
    """

    def __init__(self, text: str, wanted: str) -> None:
        """
        @param text: the text.
        @param wanted: what is wanted.
        """
        super().__init__(f"{text!r} is not {wanted}")
        self.text = text
        self.wanted = wanted


def parseSeconds(text: str, *, zero: bool = True, most: float = _MOST_SECONDS) -> float:
    """
    Parse a number of seconds.

    @param text: such as C{0.5}.
    @param zero: whether 0 is one.
    @param most: the largest that it may be.
    @raise QuantityError: it is none.
    """
    wanted = f"a number of seconds{', 0 or more' if zero else ' above 0'}"
    if not _NUMBER.fullmatch(text):
        raise QuantityError(text, wanted)
    seconds = float(text)
    if seconds > most:
        raise QuantityError(text, f"a number of seconds up to {most:.10g}")
    if not (seconds or zero):
        raise QuantityError(text, wanted)
    return seconds


def parseCount(text: str, *, most: int = 10**18 - 1) -> int:
    """
    Parse a whole number, 0 or more: of octets, of connections.

    @param text: decimal digits.
    @param most: the largest that it may be.
    @raise QuantityError: it is none.
    """
    if not (text.isascii() and text.isdigit()):
        raise QuantityError(text, "a whole number, 0 or more")
    digits = text.lstrip("0")
    if len(digits) > len(str(most)) or int(digits or 0) > most:
        raise QuantityError(text, f"a whole number up to {most}")
    return int(digits or 0)
