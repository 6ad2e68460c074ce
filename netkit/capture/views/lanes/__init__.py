"""
What is passed by with a look: GETs of which only the octets are wanted, and answers that are like
the one before. Under load nearly all that happens is that, on all connections in turn.

In C where that was built (C{native.c}), in Python else (L{python}): the same class and function,
which the same tests are run on.
"""

from __future__ import annotations

try:
    from .native import Lane, passes
except ImportError:
    from .python import Lane, passes  # type: ignore[assignment] # the same in another language

__all__ = ["Lane", "passes"]
