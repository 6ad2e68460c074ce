"""
The comments that say of a packet what TCP has no word for.

A comment is a line that names the event, and after it a line for each of its values: for a person
in Wireshark to read, and for L{netkit.wire.recording.reader} to read back.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import pcapng
from .events import Address

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


def address_text(address: Address) -> str:
    """
    Write an address: C{127.0.0.1:80}, C{[::1]:80}, C{unix:/run/echo.sock}, C{unix:@abstract}.
    """
    if isinstance(address, str):
        return "unix:" + (f"@{address[1:]}" if address.startswith("\0") else address)
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def read_address(text: str) -> Address:
    """
    Read such an address back.

    @raise ValueError: it is none.
    """
    if text.startswith("unix:"):
        name = text[5:]
        return f"\0{name[1:]}" if name.startswith("@") else name
    host, _, port = text.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)
