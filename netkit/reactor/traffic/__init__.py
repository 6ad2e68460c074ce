"""
The way of every byte of a connection.

In C where that was built (L{native}), in Python else (L{python}): the same class, which the same
tests are run on. It knows the plain case alone: all others are for its subclass,
L{StreamMixin <netkit.reactor.stream.StreamMixin>}.
"""

from __future__ import annotations

try:
    from .native import Traffic
except ImportError:
    from .python import Traffic  # type: ignore[assignment] # the same in another language

__all__ = ["Traffic"]
