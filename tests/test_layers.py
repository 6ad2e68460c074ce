"""
Imports point downwards: services, then operation, then protocol modules, then base, then wire.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NETKIT = ROOT / "netkit"
MODULES = sorted(NETKIT.rglob("*.py"))
PLUGINS = sorted((ROOT / "twisted" / "plugins").glob("*.py"))

# From the bottom to the top. What is not named is a protocol module.
WIRE, BASE, PROTOCOLS, OPERATION, SERVICES, COMMANDS = range(6)
LAYERS = {
    "wire": WIRE,
    "base": BASE,
    "tls": BASE,
    "operation": OPERATION,
    "service": OPERATION,
    "services": SERVICES,
    "commands": COMMANDS,
    "cli": COMMANDS,
}

# What does I/O, waits or tells the time.
IMPURE = ("twisted", "zope", "uvloop", "asyncio", "select", "selectors", "socket", "ssl", "time")


def moduleName(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = set(map(moduleName, MODULES))


def layer(module: str) -> int:
    part = module.partition(".")[2].partition(".")[0]
    return LAYERS.get(part, PROTOCOLS)


def imports(path: Path, nodes: Iterator[ast.AST] | None = None) -> Iterator[str]:
    """
    The full names that a module imports, anywhere in it or among the given nodes.
    """
    package = moduleName(path).split(".")
    if path.name != "__init__.py":
        package.pop()
    for node in nodes or ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            names = [*base, *(node.module or "").split(".")]
            origin = ".".join(filter(None, names))
            # `from .. import wire` names a module as well as a function would be named.
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def atImport(path: Path) -> Iterator[ast.AST]:
    """
    What runs when a module is imported: all but the bodies of functions and what is for type
    checkers alone.
    """
    rest: list[ast.AST] = [ast.parse(path.read_text())]
    while rest:
        node = rest.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            rest.extend(node.orelse)
            continue
        yield node
        rest.extend(ast.iter_child_nodes(node))


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


@pytest.mark.parametrize("path", MODULES, ids=moduleName)
def test_imports_point_downwards(path: Path) -> None:
    own = layer(moduleName(path))
    upwards = [name for name in imports(path) if within(name, "netkit") and layer(name) > own]
    assert not upwards, f"{moduleName(path)} imports from a layer above its own: {upwards}"


@pytest.mark.parametrize(
    "path", [path for path in MODULES if layer(moduleName(path)) == WIRE], ids=moduleName
)
def test_wire_is_pure(path: Path) -> None:
    """
    No Twisted, nothing of netkit's other folders; no sockets, no clock, no event loop.
    """
    impure = [
        name
        for name in imports(path)
        if any(within(name, package) for package in IMPURE)
        or (within(name, "netkit") and not within(name, "netkit.wire"))
    ]
    assert not impure, f"{moduleName(path)} imports {impure}"


def imported(path: Path) -> set[str]:
    """
    The modules of netkit that a module imports by name, for type checkers as well; not the
    packages that Python imports on the way to them.
    """
    found = set()
    for name in imports(path):
        while name not in NAMES and "." in name:
            name = name.rpartition(".")[0]
        found.add(name)
    return found & NAMES - {moduleName(path)}


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """
    The circles of a graph, each with all that hangs together: for any two of its nodes, the one is
    reached from the other.
    """
    reached: dict[str, set[str]] = {}
    for start in graph:
        rest = [start]
        seen: set[str] = set()
        while rest:
            new = graph[rest.pop()] - seen
            seen |= new
            rest.extend(new)
        reached[start] = seen
    found: list[set[str]] = []
    for node, others in reached.items():
        if node in others and not any(node in circle for circle in found):
            found.append({other for other in others if node in reached[other]})
    return found


def test_imports_run_in_no_circle() -> None:
    found = circles({moduleName(path): imported(path) for path in MODULES})
    assert not found, "; ".join(" <-> ".join(sorted(circle)) for circle in found)


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"f"}, "f": {"e"}}
    assert circles(graph) == [{"b", "c"}, {"e", "f"}]
    assert circles({"a": {"a"}}) == [{"a"}]
    assert circles({"a": {"b"}, "b": set()}) == []
    names = imported(NETKIT / "net" / "server.py")
    assert {"netkit.base.endpoints", "netkit.server", "netkit.net.socket"} <= names


@pytest.mark.parametrize("path", MODULES, ids=moduleName)
def test_no_module_installs_the_reactor(path: Path) -> None:
    """
    The first import of the global reactor chooses it, which is for the application to do.
    """
    reactors = [
        name for name in imports(path, atImport(path)) if within(name, "twisted.internet.reactor")
    ]
    assert not reactors, f"{moduleName(path)} imports the global reactor"


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.stem)
def test_plugin_files_are_names_only(path: Path) -> None:
    """
    twistd imports them at every scan, before the reactor is chosen: that loads nothing of netkit,
    and no reactor.
    """
    program = (
        f"import sys, twisted.plugins.{path.stem}\n"
        "print(*(name for name in sys.modules"
        " if name == 'twisted.internet.reactor' or name.partition('.')[0] == 'netkit'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_no_init_under_twisted() -> None:
    """
    It would overwrite Twisted's own, and go with it when netkit is uninstalled.
    """
    assert not list((ROOT / "twisted").rglob("__init__.py"))
