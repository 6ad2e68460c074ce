"""
What a server says, compared with what it had said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest

from ..views import Item, Kind
from .fields import byName


def differences(
    recorded: list[Item], replayed: list[Item], ignored: Counter[str]
) -> Iterator[str]:
    """
    Compare what a server said with what it had said.

    @param recorded: what it had said.
    @param replayed: what it said now.
    @param ignored: the names of fields that may differ; counts how often they do.
    @return: a line for each difference.
    """
    if all(item.kind is Kind.OCTETS for item in (*recorded, *replayed)):
        was, said = _all(recorded), _all(replayed)
        if was != said:
            at = _common(was, said)
            yield (
                f"{len(said)} octets, {len(was)} recorded; they differ from octet {at} on: "
                f"{said[at : at + 20]!r}, {was[at : at + 20]!r} recorded"
            )
        return
    for number, (before, now) in enumerate(zip_longest(recorded, replayed), 1):
        if before is None or now is None:
            there = now or before
            what = there.wrong or _brief(there)
            yield f"answer {number}: {what}, " + ("none recorded" if before is None else "missing")
            continue
        for line in _compared(before, now, ignored):
            yield f"answer {number}: {line}"


def _common(one: bytes, other: bytes) -> int:
    """
    How many octets two begin with alike.
    """
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _compared(before: Item, now: Item, ignored: Counter[str]) -> Iterator[str]:
    if before.kind is not now.kind:
        yield f"{_brief(now)}, {_brief(before)} recorded"
        return
    for name in ("status", "opcode", "code"):
        if before.about.get(name) != now.about.get(name):
            yield f"{name} {now.about.get(name)}, {before.about.get(name)} recorded"
    if before.wrong != now.wrong:
        yield f"{now.wrong or 'whole'}, recorded {before.wrong or 'whole'}"
    yield from _fields(before, now, ignored)
    one, other = b"".join(before.content()), b"".join(now.content())
    if one != other:
        yield f"content {_shown(other)}, {_shown(one)} recorded"


def _fields(before: Item, now: Item, ignored: Counter[str]) -> Iterator[str]:
    one, other = byName(before), byName(now)
    for name in [*one, *(name for name in other if name not in one)]:
        if one.get(name) == other.get(name):
            continue
        if name in ignored:
            ignored[name] += 1
        elif name != "sec-websocket-accept":
            yield f"{name}: {_value(other.get(name))}, {_value(one.get(name))} recorded"


def _value(values: list[str] | None) -> str:
    return "missing" if values is None else ", ".join(map(repr, values))


def _shown(content: bytes) -> str:
    return repr(content) if len(content) <= 60 else f"{content[:60]!r}... of {len(content)} octets"


def _brief(item: Item) -> str:
    if "status" in item.about:
        return f"status {item.about['status']}"
    return f"{item.kind} {_shown(b''.join(item.content()))}"


def _all(items: list[Item]) -> bytes:
    return b"".join(piece for item in items for piece in item.octets())
