"""
What is made of recorded events for people and programs to look at: the pieces as they came, whole
contents, HTTP messages, WebSocket messages. Pure, and the same for live connections and for files.
"""

from .connections import Views
from .item import Item, Kind

__all__ = ["Item", "Kind", "Views"]
