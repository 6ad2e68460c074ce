"""
Private names stay where they are: Twisted's in one file, a class's of ours in its own.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NETKIT = ROOT / "netkit"
MODULES = sorted(NETKIT.rglob("*.py"))
ONE_FILE = NETKIT / "base" / "twistedprivate.py"

# Python's own: what accepts a connection without making a socket of it, what reads and writes TLS
# records, two types of zlib's, what a named tuple has, and two functions that are documented.
PYTHONS = {"_Compress", "_Decompress", "_accept", "_asdict", "_fields", "_make", "_replace"} | {
    *("_exit", "_get_running_loop", "_sslobj"),
}


def isPrivate(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def moduleName(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def assigned(nodes: Iterator[ast.AST]) -> set[str]:
    """
    The private names that code gives a meaning to: those of functions, classes, variables and
    attributes.
    """
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Assign):
            slots = [target for target in node.targets if isinstance(target, ast.Name)]
            if any(target.id == "__slots__" for target in slots):
                names.update(ast.literal_eval(node.value))
    return set(filter(isPrivate, names))


@cache
def ours() -> set[str]:
    """
    The private names of netkit, but for those of the one file.
    """
    paths = [path for path in MODULES if path != ONE_FILE]
    return {name for path in paths for name in assigned(ast.walk(parsed(path)))}


@cache
def ofTwistedClass(kind: type) -> frozenset[str]:
    """
    The private names of a class of Twisted's: those of its methods, and those of its attributes.
    """
    names = assigned(ast.walk(ast.parse(textwrap.dedent(inspect.getsource(kind)))))
    return frozenset(names | set(filter(isPrivate, vars(kind))))


def ofTwistedParents(kind: type) -> set[str]:
    parents = [parent for parent in kind.__mro__ if parent.__module__.startswith("twisted.")]
    return {name for parent in parents for name in ofTwistedClass(parent)}


def classes(path: Path) -> Iterator[tuple[ast.ClassDef, type]]:
    """
    The classes of a module: as they are written, and as they are.
    """
    module = importlib.import_module(moduleName(path))
    for node in parsed(path).body:
        # An interface is no type.
        if isinstance(node, ast.ClassDef) and isinstance(kind := getattr(module, node.name), type):
            yield node, kind


def used(tree: ast.AST) -> Iterator[str]:
    """
    The private names that code touches or takes the place of.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isPrivate(node.attr):
            yield node.attr
        elif isinstance(node, ast.FunctionDef) and isPrivate(node.name):
            yield node.name
        elif isinstance(node, ast.Name) and isPrivate(node.id):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # As operator.attrgetter has them, and __slots__.
            yield from (part for part in node.value.split(".") if isPrivate(part))


@pytest.mark.parametrize("path", [path for path in MODULES if path != ONE_FILE], ids=moduleName)
def test_one_file_has_the_private_names_of_twisted(path: Path) -> None:
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("twisted"):
            names = [*str(node.module).split("."), *(alias.name for alias in node.names)]
            found |= set(filter(isPrivate, names))
        elif isinstance(node, ast.Import):
            names = [part for alias in node.names for part in alias.name.split(".")]
            found |= set(filter(isPrivate, names))
        elif isinstance(node, ast.Attribute) and isPrivate(node.attr) and node.attr not in ours():
            # Whose it is, an access does not say. But it is not ours.
            found.add(node.attr)
    for node, kind in classes(path):
        found |= ofTwistedParents(kind).intersection(used(node))
    assert found <= PYTHONS


def privateOf(kind: type) -> set[str]:
    """
    The private names of a class of ours, which may be in C.
    """
    if kind.__module__.endswith(".native"):
        return set(filter(isPrivate, vars(kind)))
    return assigned(ast.walk(ast.parse(textwrap.dedent(inspect.getsource(kind)))))


@pytest.mark.parametrize("path", MODULES, ids=moduleName)
def test_a_class_leaves_the_private_names_of_its_parents_alone(path: Path) -> None:
    found: dict[str, set[str]] = {}
    for node, kind in classes(path):
        touched = set(used(node))
        for parent in kind.__mro__[1:]:
            ours = parent.__module__.startswith("netkit.")
            if ours and parent.__module__ != kind.__module__:
                found.setdefault(node.name, set()).update(touched & privateOf(parent))
    assert not any(found.values()), found
