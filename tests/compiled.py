"""
What of netkit is in C, and may be missing.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType


def compiled(package: str) -> ModuleType | None:
    """
    The module of a package that is in C. L{None} where it was not built, which is a mistake where
    everything that tests need has to be there.
    """
    try:
        return import_module(f"{package}.native")
    except ImportError:
        if os.environ.get("NETKIT_REQUIRE_PEERS"):
            raise
        return None
