"""
What is done for each exchange when it is over: it is counted.

In C where that was built (C{native.c}), in Python else (L{python}): the same classes, which the
same tests are run on.
"""

from __future__ import annotations

try:
    from .native import Tally
except ImportError:
    from .python import Tally  # type: ignore[assignment] # the same in another language

__all__ = ["Tally"]
