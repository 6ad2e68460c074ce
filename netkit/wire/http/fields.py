"""
Field lines (RFC 9110 section 5, RFC 9112 section 5): the header section and the trailer section.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache, lru_cache
from reprlib import repr as _shortened

from ..errors import HTTPProtocolError, LocalProtocolError

# RFC 9110 section 5.6.2.
TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
TOKEN = TCHAR + rb"++"

# RFC 9110 section 5.5: VCHAR, obs-text, SP and HTAB. OWS around the value is part of it here.
VALUE = rb"[\t\x20-\x7e\x80-\xff]*+"

# No group captures inside a possessive repeat: Python before 3.11.5 fails on that.
_LINE = rb"(?:" + TOKEN + rb":" + VALUE + rb"\r\n)"
_LINES = re.compile(_LINE + rb"*+")
_NAME_FULL = re.compile(TOKEN)
_NOT_IN_VALUE = re.compile(rb"[^\t\x20-\x7e\x80-\xff]")

# An octet is looked for faster than a string of one.
_COMMA = 44

# What may stand in a diagnosis of what a peer sent.
_SHOWN = 80


def is_token(octets: bytes) -> bool:
    """
    Whether something is a token (RFC 9110 section 5.6.2).
    """
    return _NAME_FULL.fullmatch(octets) is not None


def show(octets: bytes) -> str:
    """
    Show what a peer sent in an error message: in quotes, escaped, and cut where it is long.
    """
    text = octets[:_SHOWN].decode("latin-1").encode("unicode_escape").decode()
    text = text.replace('"', '\\"')
    return f'"{text}"...' if len(octets) > _SHOWN else f'"{text}"'


class Fields:
    """
    The fields of a header or trailer section, in their order and as they were sent; C{raw} is
    split only when somebody asks for a field.

    @ivar raw: the field lines and the empty line after them, as sent.
    """

    __slots__ = ("_pairs", "raw")

    def __init__(self, raw: bytes = b"\r\n") -> None:
        """
        @param raw: valid field lines and the empty line after them.
        """
        self.raw = raw
        self._pairs: tuple[tuple[bytes, bytes], ...] | None = None

    @property
    def pairs(self) -> tuple[tuple[bytes, bytes], ...]:
        """
        Every field's name and value, without the whitespace around the value.
        """
        if self._pairs is None:
            # Every line has a colon and ends as the last two do: an expression takes longer.
            parts = [line.partition(b":") for line in self.raw.split(b"\r\n")[:-2]]
            self._pairs = tuple([(name, value.strip(b" \t")) for name, _, value in parts])
        return self._pairs

    def get(self, name: bytes, default: bytes | None = None) -> bytes | None:
        """
        The value of the first field of a name.

        @param name: the field's name, in any case.
        @param default: what to return where there is none.
        """
        for value in self.all(name):
            return value
        return default

    def all(self, name: bytes) -> list[bytes]:
        """
        The values of all fields of a name, in their order.

        @param name: the field's name, in any case.
        """
        name = name.lower()
        return [value for key, value in self.pairs if key.lower() == name]

    def elements(self, name: bytes) -> list[bytes]:
        """
        The elements of all fields of a name whose values are comma-separated lists without
        quoted strings (RFC 9110 section 5.6.1); empty elements are left out.

        @param name: the field's name, in any case.
        """
        return split_list(b",".join(self.all(name)))

    def __contains__(self, name: bytes) -> bool:
        return bool(self.all(name))

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __repr__(self) -> str:
        return f"<Fields {list(self.pairs)!r}>"


def split_list(value: bytes) -> list[bytes]:
    """
    Split a comma-separated list without quoted strings (RFC 9110 section 5.6.1); empty elements
    are left out.
    """
    if _COMMA not in value:
        element = value.strip(b" \t")
        return [element] if element else []
    return [element for part in value.split(b",") if (element := part.strip(b" \t"))]


def field_pairs(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """
    See that fields are pairs of octets.

    @param fields: the name and the value of each.
    @raise TypeError: they are something else, such as a C{dict}.
    """
    pairs = list(fields) if fields.__class__ in _SEQUENCES else _listed(fields)
    for pair in pairs:
        if pair.__class__ is tuple and len(pair) == 2:
            name, value = pair
            if name.__class__ is bytes and value.__class__ is bytes:
                continue
        if not (
            isinstance(pair, (tuple, list))
            and len(pair) == 2
            and isinstance(pair[0], bytes)
            and isinstance(pair[1], bytes)
        ):
            raise TypeError(f'a field is a pair of bytes, (b"Name", b"value"), not {pair!r}')
    return pairs


# What is seen to be one without looking whether it is an abstract one.
_SEQUENCES = (list, tuple)


def _listed(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    if not isinstance(fields, (str, bytes, bytearray, Mapping)):
        with suppress(TypeError):
            return list(fields)
    raise TypeError(f'fields are pairs in a list, [(b"Name", b"value")], not {_shortened(fields)}')


# A program has few names, and uses each one often.
@lru_cache(256)
def field_name(name: bytes) -> bytes:
    """
    See that a field can be sent under a name.

    @return: the name in lower case, as which names are compared (RFC 9110 section 5.1).
    @raise LocalProtocolError: it is no token.
    """
    if not _NAME_FULL.fullmatch(name):
        raise LocalProtocolError(f"{name!r} cannot be the name of a field: it is no token")
    return name.lower()


def encode_fields(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """
    Serialise fields, each in a line of its own, without the empty line after them.

    @raise TypeError: they are no pairs of octets.
    @raise LocalProtocolError: as L{encode_pairs}.
    """
    return encode_pairs(field_pairs(fields))


def encode_pairs(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """
    Serialise fields that are known to be L{pairs of octets <field_pairs>}.

    @raise LocalProtocolError: a name is no token, or a value has a control character: CR, LF or
        NUL in there would let whoever chose the value write the rest of the message.
    """
    lines = b""
    for name, value in pairs:
        field_name(name)
        if _NOT_IN_VALUE.search(value):
            raise LocalProtocolError(
                f"{value!r} cannot be the value of {name!r}: it has a control character"
            )
        lines += b"%b: %b\r\n" % (name, value.strip(b" \t"))
    return lines


@cache
def _section(fields: int) -> re.Pattern[bytes]:
    # As many as the regular expression engine counts to are as good as no limit.
    return re.compile(_LINE + rb"{0,%d}+\r\n" % min(fields, 2**31))


class SectionParser:
    """
    Finds the end of a header or trailer section, and that all before it is valid. Octets may
    come in any pieces: no line is looked at twice.

    @ivar checked: how many octets of a section that is not complete are known to be valid.
    """

    __slots__ = ("_count", "_max_fields", "_max_size", "_name", "_whole", "checked")

    def __init__(self, name: str, max_size: int, max_fields: int) -> None:
        """
        @param name: what the section is called in errors.
        @param max_size: how many octets it may have.
        @param max_fields: how many lines it may have.
        """
        self._name = name
        self._max_size = max_size
        self._max_fields = max_fields
        self._whole = _section(max_fields)
        self.checked = 0
        self._count = 0

    def parse(self, buffer: bytes, start: int) -> int | None:
        """
        Find where the section ends.

        @param buffer: what has arrived.
        @param start: where the section starts; the same place at every call, up to the end of
            the section.
        @return: the offset behind the empty line that ends it, or C{None} when more is needed.
        @raise HTTPProtocolError: 400 for an invalid line, 431 for too much.
        """
        if not self.checked:
            match = self._whole.match(buffer, start)
            if match is not None and (end := match.end()) - start <= self._max_size:
                return end
        here = start + self.checked
        valid = _LINES.match(buffer, here).end()  # type: ignore[union-attr] # matches nothing too
        self._count += buffer.count(b"\n", here, valid)
        if self._count > self._max_fields:
            raise HTTPProtocolError(
                f"the {self._name} has more than {self._max_fields} field lines", 431
            )
        line_end = buffer.find(b"\n", valid)
        if (line_end + 1 or len(buffer)) - start > self._max_size:
            raise HTTPProtocolError(
                f"the {self._name} is longer than {self._max_size} octets", 431
            )
        if buffer.startswith(b"\r\n", valid):
            self.checked = self._count = 0
            return valid + 2
        if line_end >= 0:
            raise _diagnosed(buffer[valid : line_end + 1])
        self.checked = valid - start
        return None


def _diagnosed(line: bytes) -> HTTPProtocolError:
    """
    Say what is wrong with a field line.
    """
    if not line.endswith(b"\r\n"):
        reason = "a line is ended by LF without CR"
    elif line.startswith((b" ", b"\t")):
        reason = "a field is folded over two lines (RFC 9112 section 5.2)"
    elif b":" not in line:
        reason = "a field line has no colon"
    elif line.startswith(b":"):
        reason = "a field has no name"
    else:
        name = line[: line.index(b":")]
        if name != name.rstrip(b" \t"):
            reason = "there is whitespace before the colon of a field (RFC 9112 section 5.1)"
        elif not _NAME_FULL.fullmatch(name):
            reason = "a field's name is no token"
        else:
            reason = "a field's value has a control character"
    return HTTPProtocolError(f"{reason}: {show(line)}", 400)
