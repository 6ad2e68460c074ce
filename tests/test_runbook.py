"""
Each line that netkit logs has its row in C{docs/operation.md}, and each row its line.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Beside those of netkit.
TWISTEDS = {"EMFILE recovery: Closed socket from {address}"}

LEVELS = {"info", "warn", "error", "critical", "failure"}


def formats() -> Iterator[str]:
    """
    The formats of what is logged in netkit, up to the end of their first line.
    """
    for path in (ROOT / "netkit").rglob("*.py"):
        tree = ast.parse(path.read_text())
        named = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = ast.unparse(node.func)
            prefix = ""
            format = node.args[0]
            if called == "tell" and len(node.args) > 2:
                # base/notes.py logs for these.
                called, prefix, format = ast.unparse(format), "{peer} ", node.args[2]
            if isinstance(format, ast.Name):
                format = named.get(format.id, format)
            if called in {f"_log.{level}" for level in LEVELS}:
                text = ast.literal_eval(format) if isinstance(format, ast.Constant) else ""
                yield prefix + text.partition("\n")[0]


def test_each_line_has_its_row() -> None:
    page = (ROOT / "docs" / "operation.md").read_text()
    page = page.partition("## The log, line by line\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(.+?)` \| .+ \|$", page, re.MULTILINE)
    assert len(rows) == len(set(rows))
    # Not those that are made of what others said.
    logged = {each for each in formats() if re.search("[a-z]", re.sub(r"\{.*?\}", "", each))}
    assert len(logged) > 50
    assert sorted(logged - set(rows)) == []
    summed = {"{count} more of these, of which this is the last: {text}", "{peer}: {text}"}
    assert sorted(set(rows) - logged - TWISTEDS - summed) == []
