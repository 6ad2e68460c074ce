"""
Writes names.md, the public names and what they raise, from their docstrings: C{python -m
docs.names}.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

PAGE = Path(__file__).parent / "names.md"

#: Where programs import from.
MODULES = (
    "netkit.http",
    "netkit.http.middleware",
    "netkit.websocket",
    "netkit.net",
    "netkit.echo",
    "netkit.printrespond",
    "netkit.forward",
    "netkit.faults",
    "netkit.capture",
    "netkit.tls",
    "netkit.server",
    "netkit.service",
    "netkit.services.listening",
    "netkit.services.options",
    "netkit.aio",
    "netkit.reactor",
)

HEAD = """# Public names

What programs import, and from where; what it raises or fails with, by itself or by its methods;
and its arguments that are limits, whose defaults are in [limits.md](limits.md). `make docs` makes
the API reference, with all else that there is to say.

`python -m docs.names` writes this page from the docstrings.
"""

_LIMIT = re.compile(r"max[A-Z]|.*Timeout$|timeout$|limit$|.*WaterMark$|ping[IT]|grace$")
_MARKUP = re.compile(r"[LCU]\{([^{}<>]*?)(?:\s*<[^{}]*>)?\}")


def publicNames(module: ModuleType) -> list[str]:
    """
    The names of a module that are for others.
    """
    exported = getattr(module, "__all__", None)
    if exported is not None:
        return sorted(exported)
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and callable(value)
        and getattr(value, "__module__", None) == module.__name__
    )


def _documented(value: object) -> Iterator[object]:
    """
    A function, or a class with its public methods.
    """
    yield value
    if inspect.isclass(value):
        for name, member in vars(value).items():
            if name == "__init__" or not name.startswith("_"):
                yield getattr(member, "__func__", member)


def _raised(value: object) -> Iterator[str]:
    for each in _documented(value):
        text = inspect.getdoc(each) or ""
        yield from re.findall(r"^@raise (\w+):", text, re.MULTILINE)
        for failing in re.findall(r"(?:fails|fail|raises) with\s+([^.;]*)", text):
            yield from re.findall(r"L\{(\w+(?:Error|Closed|Exceeded|Connected))\b", failing)


def _limits(value: object) -> Iterator[str]:
    for each in _documented(value):
        if inspect.isfunction(each):
            yield from filter(_LIMIT.match, inspect.signature(each).parameters)


def _comment(module: ModuleType, name: str) -> str:
    """
    What is said above a name that is neither a class nor a function.
    """
    for imported, each in list(sys.modules.items()):
        if imported.startswith("netkit.") and vars(each).get(name) is vars(module)[name]:
            source = Path(str(each.__file__)).read_text()
            if found := re.search(rf"((?:^#: .*\n)+){name}\b", source, re.MULTILINE):
                return found[1].replace("#: ", "")
    return ""


def _said(module: ModuleType, name: str) -> str:
    value = getattr(module, name)
    text = inspect.getdoc(value) or ""
    if not text or (not inspect.isclass(value) and text == inspect.getdoc(type(value))):
        text = _comment(module, name)
    sentence = " ".join(text.partition("\n\n")[0].split()).partition(". ")[0]
    return _MARKUP.sub(r"`\1`", sentence.split("::")[0]).removesuffix(".").replace("|", "\\|")


def _codes(names: Iterator[str]) -> str:
    return ", ".join(f"`{name}`" for name in dict.fromkeys(names))


def page() -> str:
    """
    Make the page.
    """
    parts = [HEAD]
    for name in MODULES:
        module = import_module(name)
        rows = [f"## {name}\n", "| | | raises, fails with | limits |", "|---|---|---|---|"]
        for each in publicNames(module):
            value = getattr(module, each)
            raised, limits = _codes(_raised(value)), _codes(_limits(value))
            rows.append(f"| `{each}` | {_said(module, each)} | {raised} | {limits} |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
