"""
The public names: each is documented, with what it raises, and on docs/names.md.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from docs.names import MODULES, PAGE, page, publicNames

MADE = page()


def namesOf(text: str) -> dict[str, set[str]]:
    """
    The names of each module on a page.
    """
    _, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    return {
        section.partition("\n")[0]: set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
        for section in sections
    }


def test_the_page_has_every_name_and_no_other() -> None:
    assert namesOf(PAGE.read_text()) == namesOf(MADE), "run: python -m docs.names"
    assert set(namesOf(MADE)) == set(MODULES)


def test_what_examples_import_is_on_the_page() -> None:
    folder = PAGE.parents[1] / "examples"
    for path in [*folder.rglob("*.py"), *folder.glob("*.tac")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("netkit."):
                assert {alias.name for alias in node.names} <= namesOf(MADE)[str(node.module)]


def test_each_name_says_what_it_is() -> None:
    assert not re.findall(r"^\| `\w+` \|  \|", MADE, re.MULTILINE)


def raised(function: Any) -> Iterator[str]:
    """
    What a function raises by itself.
    """
    nodes: list[ast.AST] = [ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]]
    for node in nodes:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                nodes.append(child)
        if isinstance(node, ast.Raise):
            made = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if isinstance(made, ast.Name) and made.id.lstrip("_")[:1].isupper():
                yield made.id


# What is for iterators, and for subclasses to define.
OWN = {"StopAsyncIteration", "NotImplementedError"}


@pytest.mark.parametrize("name", MODULES)
def test_what_is_raised_is_told(name: str) -> None:
    module = import_module(name)
    for each in publicNames(module):
        value = getattr(module, each)
        members = vars(value).items() if inspect.isclass(value) else [(each, value)]
        for method, member in members:
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            public = method == "__init__" or not method.startswith("_")
            # One without a docstring has that of what it overrides.
            if not (inspect.isfunction(function) and public and function.__doc__):
                continue
            if function.__module__.startswith("netkit"):
                told = function.__doc__ + (value.__doc__ or "")
                missing = {error for error in raised(function) if error not in told} - OWN
                assert not missing, f"{name}.{each}.{method}"
