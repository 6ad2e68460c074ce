"""
Tests for L{netkit.base.terminal}.
"""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.base.terminal import (
    TerminalDecoder,
    printable,
    printableJSON,
    printableLine,
    terminalOctets,
)

# What controls a terminal or cannot be seen, by Unicode's own categories.
CONTROLS = [
    character
    for character in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    and character not in "\t\n\u200c\u200d"
]
CONTROL_SET = set(CONTROLS)


def test_exactly_the_control_characters_are_escaped() -> None:
    escaped = [
        character
        for character in map(chr, range(sys.maxunicode + 1))
        # What is not assigned here may be a control of a later Unicode.
        if unicodedata.category(character) != "Cn" and printable(character) != character
    ]
    assert escaped == CONTROLS


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x07\x7f", r"\x1b[2J\x07\x7f"),
        ("\x9b2J", r"\x9b2J"),
        ("\u202etxt.exe\u2066", r"\u202etxt.exe\u2066"),
        ("\U000e0041", r"\U000e0041"),
        ("a\tb\nc", "a\tb\nc"),
        ("a\rb", r"a\x0db"),
        ("\N{SNOWMAN} \N{FAMILY}\u200d", "\N{SNOWMAN} \N{FAMILY}\u200d"),
    ],
)
def test_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_line_stays_one() -> None:
    assert printableLine("one\ntwo\tthree\r") == r"one\x0atwo\x09three\x0d"


def test_json_means_the_same() -> None:
    text = json.dumps("\x1b\x7f\x9b\u202e\U000e0041 \N{SNOWMAN}\n", ensure_ascii=False)
    shown = printableJSON(text)
    assert shown == r'"\u001b\u007f\u009b\u202e\udb40\udc41 ☃\n"'
    assert json.loads(shown) == json.loads(text)


def test_a_terminal_that_has_not_all_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    assert terminalOctets("\N{SNOWMAN}") == "\N{SNOWMAN}".encode()
    # 9b, the second octet of this one in UTF-8, begins an order to such a terminal.
    monkeypatch.setattr("netkit.base.terminal.getpreferredencoding", lambda _: "iso-8859-1")
    assert terminalOctets("\N{LATIN SMALL LETTER E WITH CARON}\xe9") == b"\\u011b\xe9"


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"plain\ttext\r\n", "plain\ttext\n"),
        ("\N{SNOWMAN}".encode(), "\N{SNOWMAN}"),
        (b"\xff\xfe", r"\xff\xfe"),
        ("\x9b2J\u202e".encode(), r"\x9b2J\u202e"),
        (b"over\rwritten\r", r"over\x0dwritten\x0d"),
        (b"cut \xe2\x98", r"cut \xe2\x98"),
    ],
)
def test_octets_whole_and_one_by_one(data: bytes, shown: str) -> None:
    assert TerminalDecoder().decode(data, final=True) == shown
    decoder = TerminalDecoder()
    pieces = [decoder.decode(bytes([octet])) for octet in data]
    assert "".join([*pieces, decoder.decode(b"", final=True)]) == shown


@given(st.lists(st.binary()))
def test_no_octets_at_all_control_the_terminal(pieces: list[bytes]) -> None:
    decoder = TerminalDecoder()
    shown = "".join([*map(decoder.decode, pieces), decoder.decode(b"", final=True)])
    assert shown == printable(shown)
    assert not set(shown) & CONTROL_SET
