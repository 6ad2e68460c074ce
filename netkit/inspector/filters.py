"""
What somebody types to see some rows alone.

Words with white space between them, all of which must match. C{-word} and C{!word} must not.
C{name:value} looks at one thing, commas in the value are alternatives; quotes keep white space,
colons and commas together.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..wire.addresses import address_text
from .rows import Row

#: How many characters a filter may have.
LONGEST = 2_000

_WORD = re.compile(
    r"""\s*(?P<not>[-!]?)(?:(?P<name>[A-Za-z]+):)?
    (?P<value>(?:"(?:[^"\\]|\\.)*"|[^\s"])*)""",
    re.VERBOSE,
)
_NUMBER = re.compile(
    r"(?P<op>>=|<=|>|<)?(?P<low>\d+(?:\.\d+)?[kmg]?)(?:-(?P<high>\d+(?:\.\d+)?[kmg]?))?"
)
_CLASS = re.compile(r"([1-9])xx")
_SCALES = {"k": 2**10, "m": 2**20, "g": 2**30}

_Test = Callable[[Row], bool]


class FilterError(ValueError):
    """
    A filter cannot be understood; the message says what is wrong with it.
    """


@dataclass(frozen=True, slots=True)
class Filter:
    """
    Tells which rows somebody wants to see.

    @ivar texts: what must stand in what was sent or received, with whether it must not: in lower
        case. For that a row is not enough.
    """

    tests: tuple[_Test, ...] = ()
    texts: tuple[tuple[tuple[bytes, ...], bool], ...] = ()

    def matches(self, row: Row) -> bool:
        """
        Tell whether a row is wanted, whatever C{texts} say.
        """
        return all(test(row) for test in self.tests)


def parseFilter(text: str) -> Filter:
    """
    Parse a filter.

    @raise FilterError: it cannot be understood.
    """
    if len(text) > LONGEST:
        raise FilterError(f"the filter is longer than {LONGEST} characters")
    tests: list[_Test] = []
    texts: list[tuple[tuple[bytes, ...], bool]] = []
    words: list[tuple[str, bool]] = []
    position = 0
    text = text.rstrip()
    while position < len(text):
        found = _WORD.match(text, position)
        if found is None or found.end() == position:
            raise FilterError(f"the filter has a quote that nothing ends: {text[position:]!r}")
        position = found.end()
        if position < len(text) and not text[position].isspace():
            raise FilterError(f"the filter has a quote that nothing ends: {text[position:]!r}")
        name = (found["name"] or "").lower()
        values = _values(found["value"], found[0].strip(), alternatives=bool(name))
        negative = bool(found["not"])
        if name == "text":
            texts.append((tuple(value.encode() for value in values), negative))
            continue
        if not name:
            words.append((values[0], negative))
            continue
        make = _NAMES.get(name)
        if make is None:
            raise FilterError(
                f"{name!r} is nothing to filter by: it is one of {', '.join(_NAMES)}"
                ", text; quote a word that has a colon"
            )
        tests.append(_any([make(value) for value in values], negative))
    if words:
        tests.append(_allOf(words))
    return Filter(tuple(tests), tuple(texts))


def _values(value: str, word: str, *, alternatives: bool) -> list[str]:
    if not value:
        raise FilterError(f"{word!r} lacks what to look for")
    if not alternatives:
        return [_unquoted(value).lower()]
    # Commas within quotes separate nothing.
    parts, current = [], ""
    for piece in re.findall(r'"(?:[^"\\]|\\.)*"|,|[^",]+', value):
        if piece == ",":
            parts.append(current)
            current = ""
        else:
            current += piece
    parts.append(current)
    values = [_unquoted(part).lower() for part in parts]
    if not all(values):
        raise FilterError(f"{word!r} lacks what to look for")
    return values


def _unquoted(value: str) -> str:
    return re.sub(r'"((?:[^"\\]|\\.)*)"', lambda found: re.sub(r"\\(.)", r"\1", found[1]), value)


def _any(tests: list[_Test], negative: bool) -> _Test:
    return lambda row: any(test(row) for test in tests) is not negative


def _everything(row: Row) -> str:
    opened = row.opened
    parts = (
        row.method,
        row.target,
        row.status,
        row.reason,
        opened.service,
        address_text(opened.peer),
        address_text(opened.host),
        row.mime,
        row.wrong,
        row.closeReason,
        row.version,
        row.type,
    )
    return "\n".join(str(part) for part in parts if part is not None).lower()


def _allOf(words: list[tuple[str, bool]]) -> _Test:
    def test(row: Row) -> bool:
        everything = _everything(row)
        return all((word in everything) is not negative for word, negative in words)

    return test


def _exact(get: Callable[[Row], object]) -> Callable[[str], _Test]:
    return lambda value: lambda row: str(get(row)).lower() == value


def _within(get: Callable[[Row], object]) -> Callable[[str], _Test]:
    return lambda value: lambda row: value in str(get(row) or "").lower()


def _number(
    name: str, get: Callable[[Row], float | None], *, classes: bool = False
) -> Callable[[str], _Test]:
    def make(value: str) -> _Test:
        if classes and (found := _CLASS.fullmatch(value)):
            return _between(get, int(found[1]) * 100, int(found[1]) * 100 + 99)
        found = _NUMBER.fullmatch(value)
        if found is None or (found["op"] and found["high"]):
            examples = ", 4xx, 400-404" if classes else ", 10-20"
            raise FilterError(f"{name} is a number such as 404{examples} or >=400, not {value!r}")
        low = _scaled(found["low"])
        if found["high"]:
            return _between(get, low, _scaled(found["high"]))
        compare = _COMPARISONS[found["op"]]
        return lambda row: (its := get(row)) is not None and compare(its, low)

    return make


_COMPARISONS: dict[str | None, Callable[[float, float], bool]] = {
    None: lambda its, value: its == value,
    ">": lambda its, value: its > value,
    ">=": lambda its, value: its >= value,
    "<": lambda its, value: its < value,
    "<=": lambda its, value: its <= value,
}


def _between(get: Callable[[Row], float | None], low: float, high: float) -> _Test:
    return lambda row: (its := get(row)) is not None and low <= its <= high


def _scaled(text: str) -> float:
    scale = _SCALES.get(text[-1], 1)
    return float(text.rstrip("kmg")) * scale


def _status(row: Row) -> int | None:
    return row.closeCode if row.closeCode is not None and row.status == 101 else row.status


_IS: dict[str, _Test] = {
    "error": lambda row: "error" in row.marks,
    "refused": lambda row: "refused" in row.marks,
    "fault": lambda row: "fault" in row.marks,
    "open": lambda row: row.state == "open",
    "done": lambda row: row.state == "done",
    "failed": lambda row: row.state == "failed",
    "http": lambda row: row.type == "http",
    "websocket": lambda row: row.type == "websocket",
    "tcp": lambda row: row.type == "tcp",
    "tls": lambda row: row.tls is not None,
    "again": lambda row: row.again is not None,
    "wrong": lambda row: bool(row.wrong),
    "noted": lambda row: bool(row.notes),
}


def _is(value: str) -> _Test:
    if value not in _IS:
        raise FilterError(f"is: takes one of {', '.join(_IS)}, not {value!r}")
    return _IS[value]


_NAMES: dict[str, Callable[[str], _Test]] = {
    "service": _exact(lambda row: row.opened.service),
    "type": _exact(lambda row: row.type),
    "method": _exact(lambda row: row.method),
    "role": _exact(lambda row: row.opened.role.value),
    "how": _exact(lambda row: row.how),
    "peer": _within(lambda row: address_text(row.opened.peer)),
    "host": _within(lambda row: address_text(row.opened.host)),
    "path": _within(lambda row: row.target),
    "mime": _within(lambda row: row.mime),
    "wrong": _within(lambda row: row.wrong),
    "status": _number("status:", _status, classes=True),
    "size": _number("size:", lambda row: row.fromClient + row.fromServer),
    "duration": _number("duration:", lambda row: row.duration),
    "messages": _number("messages:", lambda row: row.messages),
    "connection": _exact(lambda row: row.connection),
    "id": _exact(lambda row: row.id),
    "is": _is,
}
