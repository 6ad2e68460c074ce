"""
The packets of content, which is nearly all of a recording: many at once, of many connections.

In C where that was built (C{native.c}), in Python else (L{python}): the same class and function,
which the same tests are run on.
"""

from __future__ import annotations

from .python import ACKNOWLEDGED_AFTER, MAX_CONTENT

try:
    from .native import Sender, contents
except ImportError:
    from .python import Sender, contents  # type: ignore[assignment] # the same in another language

__all__ = ["ACKNOWLEDGED_AFTER", "MAX_CONTENT", "Sender", "contents"]
