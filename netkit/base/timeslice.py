"""
How long a connection works at what it was sent before it is the others' turn.
"""

from __future__ import annotations

from typing import Final

# In seconds. What takes longer goes on in the reactor's next turn; meanwhile the connection is not
# read from. It is about what the small requests in 64 KiB take, as much as Twisted's reactors read
# at once; netkit's reads four times that. The way through the reactor is a fiftieth of it.
TIME_SLICE: Final = 0.0005
