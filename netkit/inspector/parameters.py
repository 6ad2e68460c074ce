"""
What a request to the API says, checked.
"""

from __future__ import annotations

import json
from base64 import b64decode
from reprlib import repr as shortened
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from ..base.quantities import QuantityError, parseCount


class APIError(Exception):
    """
    What is asked for cannot be had; the message says why.

    @ivar status: the status to answer.
    @ivar fields: more fields of the answer.
    """

    def __init__(
        self, status: int, message: str, fields: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        """
        @param status: the status to answer.
        @param message: why, in one line.
        @param fields: more fields of the answer.
        """
        super().__init__(message)
        self.status = status
        self.fields = fields or []


class Query:
    """
    The parameters of a request's target.
    """

    def __init__(self, query: bytes) -> None:
        """
        @param query: the query, still encoded.
        @raise APIError: it is none, or has a parameter twice.
        """
        try:
            pairs = parse_qsl(
                query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50
            )
        except ValueError as error:
            raise APIError(400, f"the query cannot be read: {error}") from error
        self._given = dict(pairs)
        if len(self._given) < len(pairs):
            raise APIError(400, "a parameter is there twice")

    def text(self, name: str, default: str = "") -> str:
        """
        A text.
        """
        return self._given.pop(name, default)

    def choice(self, name: str, choices: tuple[str, ...], default: str | None = None) -> str:
        """
        One of several texts.

        @raise APIError: it is none of them, or is missing and has no default.
        """
        given = self._given.pop(name, default)
        if given not in choices:
            raise APIError(400, f"{name} is one of {', '.join(choices)}, not {given!r}")
        return given

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """
        A whole number.

        @raise APIError: it is none, or out of range.
        """
        given = self._given.pop(name, None)
        if given is None:
            return default
        negative = least < 0 and given.startswith("-")
        try:
            number = parseCount(given[negative:])
        except QuantityError as error:
            raise APIError(400, f"{name} is a whole number, not {shortened(given)}") from error
        number = -number if negative else number
        if not least <= number <= most:
            raise APIError(400, f"{name} is from {least} to {most}, not {number}")
        return number

    def flag(self, name: str) -> bool:
        """
        1 or 0, or nothing.

        @raise APIError: it is something else.
        """
        return self.choice(name, ("0", "1"), "0") == "1"

    def end(self) -> None:
        """
        See that there is nothing else.

        @raise APIError: there is.
        """
        if self._given:
            raise APIError(400, f"there is no parameter {shortened(next(iter(self._given)))} here")


class Members:
    """
    The members of a JSON object.
    """

    def __init__(self, value: object, what: str = "the content") -> None:
        """
        @param value: the object.
        @param what: what it is, for messages.
        @raise APIError: it is none.
        """
        if not isinstance(value, dict):
            raise APIError(400, f"{what} is a JSON object, not {shortened(value)}")
        self._what = what
        self._given: dict[str, Any] = dict(value)

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def take(self, name: str) -> Any:
        """
        Whatever is there.
        """
        return self._given.pop(name, None)

    def text(self, name: str, *, empty: bool = True) -> str | None:
        """
        A text; L{None} where there is none.

        @raise APIError: it is something else.
        """
        value = self._given.pop(name, None)
        if value is None:
            return None
        if not isinstance(value, str) or not (value or empty):
            raise APIError(400, f"{name} is a text, not {shortened(value)}")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise APIError(400, f"{name} has half a character in it") from error
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str | None:
        """
        One of several texts; L{None} where there is none.

        @raise APIError: it is something else.
        """
        value = self.text(name)
        if value is not None and value not in choices:
            raise APIError(400, f"{name} is one of {', '.join(choices)}, not {shortened(value)}")
        return value

    def flag(self, name: str) -> bool:
        """
        True or false, which it is where there is nothing.

        @raise APIError: it is something else.
        """
        value = self._given.pop(name, False)
        if not isinstance(value, bool):
            raise APIError(400, f"{name} is true or false, not {shortened(value)}")
        return value

    def list(self, name: str, most: int) -> list[Any] | None:
        """
        A list; L{None} where there is none.

        @param most: how many elements it may have.
        @raise APIError: it is something else.
        """
        value = self._given.pop(name, None)
        if value is None:
            return None
        if not isinstance(value, list):
            raise APIError(400, f"{name} is a list, not {shortened(value)}")
        if len(value) > most:
            raise APIError(400, f"{name} has more than {most} elements")
        return value

    def octets(self, name: str) -> bytes | None:
        """
        What C{{"text": ...}} or C{{"base64": ...}} stands for; L{None} where there is nothing.

        @raise APIError: it is something else.
        """
        value = self._given.pop(name, None)
        return None if value is None else readOctets(value, name)

    def end(self) -> None:
        """
        See that there is nothing else.

        @raise APIError: there is.
        """
        if self._given:
            name = shortened(next(iter(self._given)))
            raise APIError(400, f"{self._what} has no member {name}")


def readOctets(value: object, what: str) -> bytes:
    """
    Read what C{{"text": ...}} or C{{"base64": ...}} stands for.

    @param what: what it is, for messages.
    @raise APIError: it is neither.
    """
    if isinstance(value, dict) and len(value) == 1:
        kind, content = next(iter(value.items()))
        if isinstance(content, str):
            try:
                if kind == "text":
                    return content.encode()
                if kind == "base64":
                    return b64decode(content, validate=True)
            except ValueError as error:
                raise APIError(400, f"{what}: {error}") from error
    raise APIError(
        400, f'{what} is {{"text": "..."}} or {{"base64": "..."}}, not {shortened(value)}'
    )


def readFields(value: object) -> list[tuple[str, str | None]]:
    """
    Read the fields of a message: names and values; L{None} for one that is to stay as it was.

    @raise APIError: they are none.
    """
    if not isinstance(value, list) or len(value) > 1000:
        raise APIError(400, f"fields is a list of 1000 at most, not {shortened(value)}")
    found = []
    for each in value:
        members = Members(each, "a field")
        masked = members.flag("masked")
        name, text = members.text("name", empty=False), members.text("value")
        members.end()
        if name is None or (text is None and not masked):
            raise APIError(400, f'a field is {{"name": ..., "value": ...}}, not {shortened(each)}')
        for part in (name, text or ""):
            try:
                part.encode("latin-1")
            except UnicodeEncodeError as error:
                raise APIError(400, f"{shortened(part)} has a character beyond latin-1") from error
        found.append((name, None if masked else text))
    return found


def readJSON(content: bytes) -> object:
    """
    Read JSON.

    @raise APIError: it is none.
    """
    try:
        return json.loads(content, parse_constant=_noNumber)
    except (ValueError, RecursionError) as error:
        raise APIError(400, f"the content is no JSON: {error}") from error


def _noNumber(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
