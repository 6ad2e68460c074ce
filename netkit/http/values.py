"""
Names and values in text: a query's, a form's, cookies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import overload

from ..wire.errors import HTTPProtocolError


class MissingValueError(HTTPProtocolError, KeyError):
    """
    There is no value of that name. A handler that lets this through has the client answered 400.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"a value is missing: {name!r}", 400)

    # A KeyError would quote it.
    __str__ = Exception.__str__


class Values:
    """
    Names and values, in their order; several may have one name.
    """

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        """
        @param pairs: the names and values.
        """
        self._pairs = tuple(pairs)

    @overload
    def get(self, name: str) -> str | None: ...

    @overload
    def get(self, name: str, default: str) -> str: ...

    def get(self, name: str, default: str | None = None) -> str | None:
        """
        The first value of a name.

        @param name: the name.
        @param default: what to return where there is none.
        """
        for key, value in self._pairs:
            if key == name:
                return value
        return default

    def all(self, name: str) -> list[str]:
        """
        All values of a name.

        @param name: the name.
        """
        return [value for key, value in self._pairs if key == name]

    def __getitem__(self, name: str) -> str:
        """
        The first value of a name.

        @raise MissingValueError: there is none.
        """
        value = self.get(name)
        if value is None:
            raise MissingValueError(name)
        return value

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __repr__(self) -> str:
        return f"<Values {list(self._pairs)!r}>"
