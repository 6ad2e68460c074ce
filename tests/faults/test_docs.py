"""
docs/faults.md tells of all there is.
"""

from __future__ import annotations

import re
from pathlib import Path

from netkit.faults import KINDS

TEXT = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()


def test_each_kind_is_told_with_what_can_be_said_of_it() -> None:
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \|[^|]*\|([^|]*)\|$", TEXT, re.MULTILINE))
    assert set(rows) == set(KINDS)
    for name, kind in KINDS.items():
        said = re.findall(r"`([a-z]+)=", rows[name])
        assert said == list(kind.parameters), name
