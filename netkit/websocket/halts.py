"""
What keeps a connection from delivering messages for good, or from sending them: bits of one
number, so that a single look tells that nothing does.
"""

from __future__ import annotations

from typing import Final

# Only the peer's Close frame is waited for.
CLOSING: Final = 4
# Nothing is.
OVER: Final = 8
# We sent our Close frame, and still take messages.
HALF_CLOSED: Final = 16
SENT: Final = CLOSING | OVER | HALF_CLOSED
