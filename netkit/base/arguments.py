"""
Arguments that are none: refused where they are given, with their value and what they should be.
"""

from __future__ import annotations

from collections.abc import Callable
from reprlib import repr as shortened

from twisted.internet.interfaces import IReactorTime

# Some 68 years: more than any clock of a reactor has trouble with, and less than infinity.
_MOST_SECONDS = 2**31 - 1


def checkSeconds(name: str, value: object, most: float = _MOST_SECONDS) -> float:
    """
    See that an argument is a number of seconds, 0 or more.

    @param name: the argument's name.
    @param value: its value.
    @param most: the largest that it may be.
    @raise TypeError: it is no number.
    @raise ValueError: it is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is a number of seconds, not {shortened(value)}")
    if not 0 <= value <= most:
        raise ValueError(
            f"{name} is a number of seconds from 0 to {most:g}, not {shortened(value)}"
        )
    return value


def checkCount(name: str, value: object, least: int = 0, most: int | None = None) -> int:
    """
    See that an argument is a whole number.

    @param name: the argument's name.
    @param value: its value.
    @param least: the smallest that it may be.
    @param most: the largest that it may be; any by default.
    @raise TypeError: it is no whole number.
    @raise ValueError: it is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is a whole number, not {shortened(value)}")
    if value < least or (most is not None and value > most):
        upTo = "or more" if most is None else f"to {most}"
        raise ValueError(f"{name} is a whole number, {least} {upTo}, not {shortened(value)}")
    return value


def checkFlag(name: str, value: object) -> bool:
    """
    See that an argument is C{True} or C{False}.

    @param name: the argument's name.
    @param value: its value.
    @raise TypeError: it is neither.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} is True or False, not {shortened(value)}")
    return value


def checkCallable(name: str, value: object) -> Callable[..., object]:
    """
    See that an argument is something to call.

    @param name: the argument's name.
    @param value: its value.
    @raise TypeError: it is not.
    """
    if not callable(value):
        raise TypeError(f"{name} is a function, not {shortened(value)}")
    return value


def checkOctets(name: str, value: object) -> bytes:
    """
    See that an argument is octets; those that may change are copied.

    @param name: the argument's name.
    @param value: its value: C{bytes}, C{bytearray} or C{memoryview}.
    @raise TypeError: it is something else.
    """
    if type(value) is bytes:
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    hint = "; encode the text" if isinstance(value, str) else ""
    raise TypeError(
        f"{name} is bytes, bytearray or memoryview, not {shortened(value)} "
        f"({type(value).__name__}){hint}"
    )


def checkReactor(value: object, name: str = "reactor") -> None:
    """
    See that an argument is a reactor, or C{None} for the global one.

    @param value: its value.
    @param name: the argument's name.
    @raise TypeError: it is neither.
    """
    if value is not None and not IReactorTime.providedBy(value):
        raise TypeError(f"{name} is a reactor, or None for the global one, not {value!r}")


def callableName(value: Callable[..., object]) -> str:
    """
    Tell what whoever wrote a function calls it, for messages and logs.
    """
    return getattr(value, "__qualname__", type(value).__name__)
