"""
A workload's result as a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .comparing import Comparison

_WIDTH, _ROW, _TOP, _LABELS, _VALUES = 760, 34, 58, 190, 120
_OURS, _THEIRS = "#2f6fb3", "#b8bfc7"
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1c2329}"
    ".title{font-weight:600;font-size:15px}.small{fill:#59636e;font-size:12px}"
)


def draw(title: str, comparisons: Sequence[Comparison]) -> str:
    """
    Draw bars, one for each server.

    @param title: the workload's.
    @param comparisons: what was measured with it; at least one.
    @return: an SVG document.
    """
    measure = comparisons[0].measure
    subject = comparisons[0].subject
    # Relative to netkit, because only what was measured in turn compares.
    rows = {subject: (1.0, "", _OURS)}
    for each in comparisons:
        if each.subject == subject:
            length = 1 / each.verdict if measure.moreIsBetter else each.verdict
            rows[each.peer] = (length, f"netkit: {each.verdict:.2f} x", _THEIRS)
    unit, better = measure.unit, "more" if measure.moreIsBetter else "less"
    if any(each.byProcessor for each in comparisons):
        unit = f"{unit.removesuffix('/s')} in a second of the server's processor time"
    longest = max(score for score, _, _ in rows.values()) or 1.0
    height = _TOP + _ROW * len(rows) + 8
    room = _WIDTH - _LABELS - _VALUES
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">',
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>',
        f'<text class="title" x="12" y="24">{escape(title)}</text>',
        f'<text class="small" x="12" y="44">{unit}, {subject} = 1, {better} is better</text>',
    ]
    for index, (name, (score, note, colour)) in enumerate(rows.items()):
        top = _TOP + index * _ROW
        length = max(1.0, room * score / longest)
        parts += [
            f'<text x="{_LABELS - 8}" y="{top + 17}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{_LABELS}" y="{top}" width="{length:.1f}" height="24" fill="{colour}"/>',
            f'<text x="{_LABELS + length + 6:.1f}" y="{top + 11}">{score:.2f}</text>',
            f'<text class="small" x="{_LABELS + length + 6:.1f}" y="{top + 25}">{note}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
