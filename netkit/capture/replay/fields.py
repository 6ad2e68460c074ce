"""
The fields of recorded HTTP messages.
"""

from __future__ import annotations

from ..views import Item


def pairs(item: Item) -> list[tuple[str, str]]:
    """
    The fields of a message, as they came; none where it is another item.
    """
    found: list[tuple[str, str]] = item.about.get("fields", [])
    return found


def byName(item: Item) -> dict[str, list[str]]:
    """
    The values of a message's fields, by their names in lower case.
    """
    named: dict[str, list[str]] = {}
    for name, value in pairs(item):
        named.setdefault(name.lower(), []).append(value)
    return named
