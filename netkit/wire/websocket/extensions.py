"""
The C{Sec-WebSocket-Extensions} header field (RFC 6455 section 9.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..http.fields import TOKEN, show

_OWS = rb"[ \t]*+"
_PARAMETER = re.compile(
    rb"%b;%b(%b)(?:%b=%b(?:(%b)|\"(%b)\"))?" % (_OWS, _OWS, TOKEN, _OWS, _OWS, TOKEN, TOKEN)
)
_NAME = re.compile(rb"%b(%b)" % (_OWS, TOKEN))
_COMMA = re.compile(rb"%b(?:,|$)" % _OWS)


@dataclass(frozen=True, slots=True)
class Extension:
    """
    One extension that is offered or agreed on.

    @ivar name: its name.
    @ivar parameters: their names and values, L{None} for one without.
    """

    name: str
    parameters: tuple[tuple[str, str | None], ...] = ()

    def __str__(self) -> str:
        return self.name + "".join(
            f"; {name}" if value is None else f"; {name}={value}"
            for name, value in self.parameters
        )


def parse_extensions(values: Iterable[bytes]) -> list[Extension]:
    """
    Parse the values of all fields of that name, in order.

    @param values: the values.
    @raise ValueError: one does not follow the grammar.
    """
    extensions = []
    for value in values:
        at = 0
        while at < len(value):
            comma = _COMMA.match(value, at)
            if comma is not None:
                # Empty elements of a list are passed over (RFC 9110 section 5.6.1.2).
                at = comma.end()
                continue
            found = _NAME.match(value, at)
            if found is None:
                raise _no_list(value, at)
            at = found.end()
            parameters = []
            while parameter := _PARAMETER.match(value, at):
                name, plain, quoted = parameter.groups()
                given = plain or quoted
                parameters.append((name.decode(), None if given is None else given.decode()))
                at = parameter.end()
            comma = _COMMA.match(value, at)
            if comma is None:
                raise _no_list(value, at)
            at = comma.end()
            extensions.append(Extension(found[1].decode(), tuple(parameters)))
    return extensions


def format_extensions(extensions: Iterable[Extension]) -> bytes:
    """
    The value of a field that offers or agrees on extensions.

    @param extensions: the extensions, the preferred one first.
    """
    return ", ".join(map(str, extensions)).encode()


def _no_list(value: bytes, at: int) -> ValueError:
    return ValueError(f"{show(value)} is no list of extensions from {show(value[at:])} on")
