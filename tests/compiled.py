"""
What of netkit is in C, and may be missing.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest


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


def languages(package: str) -> Any:
    """
    A fixture: the module of a package in Python, and the one in C, where that was built.
    """

    @pytest.fixture(params=["python", "native"], scope="module")
    def language(request: pytest.FixtureRequest) -> ModuleType:
        if request.param == "python":
            return import_module(f"{package}.python")
        native = compiled(package)
        if native is None:
            pytest.skip(f"{package} is not in C: there was no compiler")
        return native

    return language
