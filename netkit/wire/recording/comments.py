"""
The comments that say of a packet what TCP has no word for.

A comment is a line that names the event, and after it a line for each of its values: for a person
in Wireshark to read, and for L{netkit.wire.recording.reader} to read back.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import pcapng

_MARK = "netkit: "

# What would end a line, or make it another one's.
_ESCAPES = {ord("\\"): "\\\\", ord("\n"): "\\n", ord("\r"): "\\r", ord("\0"): "\\0"}
_UNESCAPED = {"\\": "\\", "n": "\n", "r": "\r", "0": "\0"}


def write(event: str, **values: str) -> str:
    """
    Make a comment.

    @param event: what happened.
    @param values: what is to be known about it; empty ones are left out. A value that is too long
        for a comment is cut.
    """
    lines = [_MARK + event]
    room = pcapng.MAX_OPTION // 8
    for name, value in values.items():
        if value:
            text = value.encode(errors="backslashreplace").decode()
            cut = text if len(text) <= room else text[:room] + "..."
            lines.append(f"{name}: {cut.translate(_ESCAPES)}")
    return "\n".join(lines)


def read(comment: str) -> tuple[str, Mapping[str, str]] | None:
    """
    Read a comment back.

    @return: the event and its values, or L{None} for somebody else's comment.
    """
    first, *rest = comment.split("\n")
    if not first.startswith(_MARK):
        return None
    values = {}
    for line in rest:
        name, _, value = line.partition(": ")
        values[name] = _unescape(value)
    return first[len(_MARK) :], values


def _unescape(value: str) -> str:
    first, *rest = value.split("\\")
    text, literal = first, False
    for part in rest:
        if literal:
            text += part
            literal = False
        elif part:
            text += _UNESCAPED.get(part[0], part[0]) + part[1:]
        else:
            text += "\\"
            literal = True
    return text
