"""
What is done for each exchange when it is over: it is counted, and made a line of. The octets of
its connection are counted as well.

In C where that was built (C{native.c}), in Python else (L{python}): the same classes, which the
same tests are run on.
"""

from __future__ import annotations

from .python import Lines, quoted

try:
    from .native import CombinedLines, JSONLines, ObservedConnection, Observer, Tally
except ImportError:
    from .python import (  # type: ignore[assignment] # the same in another language
        CombinedLines,
        JSONLines,
        ObservedConnection,
        Observer,
        Tally,
    )

__all__ = [
    "CombinedLines",
    "JSONLines",
    "Lines",
    "ObservedConnection",
    "Observer",
    "Tally",
    "quoted",
]
