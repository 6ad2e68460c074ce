"""
Writes the inventory of Python's built-in names, for pydoctor to link to, which is not to need a
network: C{python docs/inventory.py FILE}.
"""

from __future__ import annotations

import builtins
import sys
import zlib
from pathlib import Path

HEAD = b"# Sphinx inventory version 2\n# Project: Python\n# Version: \n"


def page(name: str) -> str:
    """
    The page of Python's library reference that a name is on.
    """
    named = getattr(builtins, name)
    if isinstance(named, type) and issubclass(named, BaseException):
        return "exceptions"
    if isinstance(named, type) and named is not object:
        return "stdtypes"
    return "functions" if callable(named) else "constants"


lines = [f"{name} py:obj 1 library/{page(name)}.html#$ -\n" for name in dir(builtins)]
packed = zlib.compress("".join(lines).encode())
Path(sys.argv[1]).write_bytes(HEAD + b"# The remainder is compressed with zlib.\n" + packed)
