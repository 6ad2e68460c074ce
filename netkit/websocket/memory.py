"""
Memory for large messages.
"""

from __future__ import annotations

from functools import cache

# Twice as much freed memory is kept, at most. From 32 MiB on, glibc learns nothing from a block.
_BLOCK = 31 * 2**20


@cache
def keepFreedMemory() -> None:
    """
    Have the C library keep the memory of large messages for the next ones.

    Memory that is new to a process costs a page fault for each 4 KiB, which is more than all else
    that is done to a large message. glibc gives back what is free at the end of its heap as soon
    as that is more than twice the largest block ever freed, so that a message's memory goes and
    comes again and again. What is freed here was never touched, and took none itself.
    """
    bytes(_BLOCK)
