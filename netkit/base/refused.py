"""
How many connections the process refused before any service knew of them.
"""

from __future__ import annotations

from collections import Counter

#: By reason.
REFUSED: Counter[str] = Counter()
