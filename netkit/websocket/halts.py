"""
What keeps a connection from delivering messages, or from sending them: bits of one number, so
that a single look tells that nothing does.
"""

from __future__ import annotations

from typing import Final

# These two end again.
BY_APPLICATION: Final = 1
BY_PRESSURE: Final = 2
PAUSED: Final = BY_APPLICATION | BY_PRESSURE
# Only the peer's Close frame is waited for.
CLOSING: Final = 4
# Nothing is.
OVER: Final = 8
# We sent our Close frame, and still take messages.
HALF_CLOSED: Final = 16
SENT: Final = CLOSING | OVER | HALF_CLOSED
