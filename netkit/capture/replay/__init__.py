"""
Recorded connections made again, and compared.
"""

from .conversations import Conversation, conversations
from .player import BY_NATURE, Replay

__all__ = ["BY_NATURE", "Conversation", "Replay", "conversations"]
