"""
The fields of a response, which can be changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..wire.http.fields import field_pairs

Pairs = list[tuple[bytes, bytes]]


class ResponseHeaders:
    """
    The fields of a response: names in any case, in the order and as they are sent. Several may
    have one name. A field that cannot be sent is refused when it is set.
    """

    __slots__ = ("_changed", "_pairs")

    def __init__(
        self, pairs: Iterable[tuple[bytes, bytes]], changed: Callable[[Pairs], None]
    ) -> None:
        """
        @param pairs: the names and values.
        @param changed: called with what they are to be; where it raises, they stay.
        """
        self._pairs: Pairs = list(pairs)
        self._changed = changed

    def get(self, name: bytes, default: bytes | None = None) -> bytes | None:
        """
        The value of the first field of a name.

        @param name: the name.
        @param default: what to return where there is none.
        """
        for value in self.all(name):
            return value
        return default

    def all(self, name: bytes) -> list[bytes]:
        """
        The values of all fields of a name.

        @param name: the name.
        """
        name = name.lower()
        return [value for key, value in self._pairs if key.lower() == name]

    def set(self, name: bytes, value: bytes) -> None:
        """
        Have one field of a name, in the place of all that there are.

        @raise TypeError: name or value is no bytes.
        @raise LocalProtocolError: it cannot be sent.
        """
        kept = self._without(name)
        self._become([*kept, (name, value)])

    def add(self, name: bytes, value: bytes) -> None:
        """
        Add a field, beside those that there are.

        @raise TypeError: name or value is no bytes.
        @raise LocalProtocolError: it cannot be sent.
        """
        self._become([*self._pairs, (name, value)])

    def remove(self, name: bytes) -> None:
        """
        Remove all fields of a name, if there are any.
        """
        kept = self._without(name)
        if len(kept) < len(self._pairs):
            self._become(kept)

    def __contains__(self, name: bytes) -> bool:
        return bool(self.all(name))

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __repr__(self) -> str:
        return f"<ResponseHeaders {self._pairs!r}>"

    def _without(self, name: bytes) -> Pairs:
        if not isinstance(name, bytes):
            raise TypeError(f"the name of a field is bytes, not {name!r}")
        name = name.lower()
        return [pair for pair in self._pairs if pair[0].lower() != name]

    def _become(self, pairs: Pairs) -> None:
        pairs = field_pairs(pairs)
        self._changed(pairs)
        self._pairs = pairs
