"""
Having the disk's room for a file before it is written to.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

# Of linux/falloc.h: the file's size stays.
_KEEP_SIZE = 1


@cache
def _function() -> Any:
    """
    Find what the C library has for it; L{os.posix_fallocate} makes a file longer.
    """
    library = ctypes.CDLL(None)
    # The first has 64 bits for a length where the second has not; musl has the second alone.
    for name in ("fallocate64", "fallocate"):
        function = getattr(library, name, None)
        if function is not None:
            function.argtypes = ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64
            return function
    return None


def preallocate(descriptor: int, start: int, length: int) -> bool:
    """
    Have the disk's blocks for a part of a file that is to be written, as fallocate(2) does with
    C{FALLOC_FL_KEEP_SIZE}: to write there costs a quarter less, as no block is looked for. The
    file is as long as before. What is not used is given back by C{os.ftruncate} to its length.

    @param descriptor: the file's, open for writing.
    @param start: where the part begins, in octets.
    @param length: how many octets it has, one at least.
    @return: whether there are such blocks. If not, the file can be written without: the file
        system has no such thing, or not so much room.
    """
    function = _function()
    return function is not None and function(descriptor, _KEEP_SIZE, start, length) == 0
