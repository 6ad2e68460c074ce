"""
How long a connection works at what it was sent before it is the others' turn.
"""

from __future__ import annotations

from typing import Final

# In seconds. What takes longer goes on in the reactor's next turn; meanwhile the connection is not
# read from.
TIME_SLICE: Final = 0.002
