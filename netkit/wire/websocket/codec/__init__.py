"""
The octets of frames: what is done for each message, and to each octet.

In C where that was built (C{native.c}), in Python else (L{python}): the same functions, which the
same tests are run on. Neither says what is wrong with a frame, or goes through one that is not all
there; that is L{netkit.wire.websocket.frames}.
"""

from __future__ import annotations

from .python import serialize_header

try:
    from .native import Payload, apply_mask, message_reader, serialize_frame, serialize_message
except ImportError:
    from .python import (  # type: ignore[assignment] # the same in another language
        Payload,
        apply_mask,
        message_reader,
        serialize_frame,
        serialize_message,
    )

__all__ = [
    "Payload",
    "apply_mask",
    "message_reader",
    "serialize_frame",
    "serialize_header",
    "serialize_message",
]
