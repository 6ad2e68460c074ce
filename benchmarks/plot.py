"""
A workload's result as a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from textwrap import wrap

from .comparing import Comparison

_WIDTH, _ROW, _LINE, _LABELS, _VALUES = 760, 34, 20, 235, 120
# How many characters of a title are in a line.
_TITLE = 88
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
    subjects, peers = {each.subject for each in comparisons}, {each.peer for each in comparisons}
    # Servers of ours that do something more, beside the one that does not.
    plain = comparisons[0].peer if len(peers) == 1 else ""
    several = bool(plain) and (
        len(subjects) > 1 or all(each.startswith(plain) for each in subjects)
    )
    one = plain if several else comparisons[0].subject
    # Relative to one, because only what was measured in turn compares: with it, or with what was.
    rows = {one: (1.0, "", _THEIRS if several else _OURS)}
    for each in comparisons:
        more = each.verdict if measure.moreIsBetter else 1 / each.verdict
        if each.subject == one:
            rows[each.peer] = (1 / more, f"netkit: {each.verdict:.2f} x", _THEIRS)
        elif each.peer in rows:
            rows.setdefault(each.subject, (more * rows[each.peer][0], "", _OURS))
    unit, better = measure.unit, "more" if measure.moreIsBetter else "less"
    if any(each.byProcessor for each in comparisons):
        unit = f"{unit.removesuffix('/s')} in a second of the server's processor time"
    legend = f"{unit}, {one} = 1, {better} is better"
    longest = max(score for score, _, _ in rows.values()) or 1.0
    titles = wrap(title, _TITLE)
    begin = 38 + _LINE * len(titles)
    height = begin + _ROW * len(rows) + 8
    room = _WIDTH - _LABELS - _VALUES
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">',
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>',
        *(
            f'<text class="title" x="12" y="{24 + _LINE * number}">{escape(line)}</text>'
            for number, line in enumerate(titles)
        ),
        f'<text class="small" x="12" y="{begin - 14}">{legend}</text>',
    ]
    for index, (name, (score, note, colour)) in enumerate(rows.items()):
        top = begin + index * _ROW
        length = max(1.0, room * score / longest)
        parts += [
            f'<text x="{_LABELS - 8}" y="{top + 17}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{_LABELS}" y="{top}" width="{length:.1f}" height="24" fill="{colour}"/>',
            f'<text x="{_LABELS + length + 6:.1f}" y="{top + 11}">{score:.2f}</text>',
            f'<text class="small" x="{_LABELS + length + 6:.1f}" y="{top + 25}">{note}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
