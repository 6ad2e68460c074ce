"""
How much of everything a peer may send.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Limits:
    """
    The most that a message may have of each of its parts, in octets unless said otherwise. A
    peer that goes over one gets the status named with it. A value that is no whole number is a
    C{TypeError}, a negative one a C{ValueError}.

    @ivar request_line: the first line, without its end; 414. RFC 9112 section 3 recommends at
        least 8000.
    @ivar header_section: all field lines of a head; 431.
    @ivar fields: how many field lines a header or a trailer section has; 431.
    @ivar content: the content as it was sent, chunk framing included; 413. 0 for no limit.
    @ivar chunk_extensions: all chunk extensions of a message (RFC 9112 section 7.1.1), and the
        zeros in front of chunk sizes; 413.
    @ivar trailer_section: all field lines of a trailer section; 431.
    @ivar interim_responses: how many 1xx responses may precede the final one.
    """

    request_line: int = 8192
    header_section: int = 32768
    fields: int = 200
    content: int = 64 * 2**20
    chunk_extensions: int = 4096
    trailer_section: int = 8192
    interim_responses: int = 64

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{field.name} is a whole number, not {value!r}")
            if value < 0:
                raise ValueError(f"{field.name} is a whole number, 0 or more, not {value!r}")
