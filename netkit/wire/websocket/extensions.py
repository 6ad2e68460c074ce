"""
The C{Sec-WebSocket-Extensions} header field (RFC 6455 section 9.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETER = re.compile(rf'[ \t]*;[ \t]*({_TOKEN})(?:[ \t]*=[ \t]*(?:({_TOKEN})|"({_TOKEN})"))?')
_NAME = re.compile(rf"[ \t]*({_TOKEN})")
_COMMA = re.compile(r"[ \t]*(?:,|$)")


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


def parse_extensions(values: Iterable[str]) -> list[Extension]:
    """
    Parse the values of all fields of that name, in order.

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
                raise ValueError(f"{value!r} is no list of extensions from {value[at:]!r} on")
            name = found[1]
            at = found.end()
            parameters = []
            while parameter := _PARAMETER.match(value, at):
                parameters.append((parameter[1], parameter[2] or parameter[3]))
                at = parameter.end()
            comma = _COMMA.match(value, at)
            if comma is None:
                raise ValueError(f"{value!r} is no list of extensions from {value[at:]!r} on")
            at = comma.end()
            extensions.append(Extension(name, tuple(parameters)))
    return extensions
