"""
What a function takes that takes a factory.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory

#: A factory. Without the plugin C{mypy-zope}, a type checker knows of none that it provides an
#: interface; with it, of all.
AnyFactory: TypeAlias = "IProtocolFactory | Factory[Any]"
