"""
What was on the wire, as events, and as the pcapng files that keep them.
"""

from ..addresses import Address
from .events import (
    Closed,
    Direction,
    Dropped,
    End,
    Event,
    HalfClosed,
    Note,
    Octets,
    Opened,
    PlainOctets,
    Role,
    Secured,
    Unrecorded,
)
from .reader import RecordingError, RecordingReader
from .writer import RecordingWriter

__all__ = [
    "Address",
    "Closed",
    "Direction",
    "Dropped",
    "End",
    "Event",
    "HalfClosed",
    "Note",
    "Octets",
    "Opened",
    "PlainOctets",
    "RecordingError",
    "RecordingReader",
    "RecordingWriter",
    "Role",
    "Secured",
    "Unrecorded",
]
