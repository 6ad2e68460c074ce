"""
SECURITY.md tells the limits that there are.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from pkgutil import resolve_name

import pytest

from netkit.services import echo, http, printrespond, websocket

TEXT = (Path(__file__).parents[1] / "SECURITY.md").read_text()
LIMITS = re.findall(r"^\| .* \| ([\d,]+)(?: (\w+))? \| `(.*)` \|$", TEXT, re.MULTILINE)
UNITS = {"": 1, "s": 1, "KiB": 2**10, "MiB": 2**20}

SERVICES = [module.Options() for module in (echo, printrespond, http, websocket)]

# What has to do with time or with an amount, and is no limit.
OTHERS = {"deflate-level", "deflate-window-bits", "delay", "status", "capture-snaplen"}


def defaults(option: str) -> set[float]:
    """
    What an option is where it is not given, over all services that have it.
    """
    return {options[option] for options in SERVICES if option in options}


@pytest.mark.parametrize(("number", "unit", "where"), LIMITS)
def test_a_limit(number: str, unit: str, where: str) -> None:
    told = float(number.replace(",", "")) * UNITS[unit]
    if where.startswith("--"):
        assert defaults(where[2:]) == {told}
    elif found := re.fullmatch(r"(.*)\((\w+)\)", where):
        parameters = inspect.signature(resolve_name(found[1])).parameters
        assert parameters[found[2]].default == told
    else:
        assert resolve_name(where) == told


def test_no_limit_of_a_service_is_missing() -> None:
    numbers = {
        option
        for options in SERVICES
        for option, default in options.items()
        if isinstance(default, float | int) and not isinstance(default, bool) and default
    }
    assert numbers - OTHERS == {where[2:] for _, _, where in LIMITS if where.startswith("--")}
