"""
The trim threshold of glibc's malloc.
"""

from __future__ import annotations

from functools import cache

# From 32 MiB on, glibc gives a block back by itself, and its threshold stays as it is.
_BLOCK = 31 * 2**20


@cache
def raiseTrimThreshold() -> None:
    """
    Raise C{M_TRIM_THRESHOLD} of the process to twice 31 MiB, as mallopt(3) would: so much free
    memory is kept at the end of the heap, and not given back to the system. It is done once, when
    the first WebSocket opens, a capture begins, the content of an HTTP request is first read as a
    whole, or a producer first fills a connection's buffer on the uvloop reactor. With another C
    library it has no effect.

    Memory that is new to a process costs a page fault for each 4 KiB, which is more than all else
    that is done to a large message. glibc gives back what is free at the end of its heap as soon
    as that is more than twice the largest block ever freed, so that a message's memory goes and
    comes again and again. What is freed here was never touched, and took none itself. A process
    that sets C{MALLOC_TRIM_THRESHOLD_} has its own threshold, which this does not change.
    """
    bytes(_BLOCK)
