"""
What goes over a program's connections, recorded below its protocols and above TLS.
"""

from ..wire.recording import Direction, Event
from .recorded import RecordedFactory
from .recorder import ISink, Recorder
from .views import Item, Kind, Views

__all__ = [
    "Direction",
    "Event",
    "ISink",
    "Item",
    "Kind",
    "RecordedFactory",
    "Recorder",
    "Views",
]
