"""
Text for a terminal: nothing that came from elsewhere gets to control it.
"""

from __future__ import annotations

import json
import re
from codecs import getincrementaldecoder
from locale import getpreferredencoding

# What a terminal obeys (C0 but for tab and line feed, DEL, C1), what reorders a line
# (bidirectional controls) and what nobody can see: all of Unicode's Cc, Cf, Cs, Zl and Zp but the
# two joiners that scripts and emoji are written with.
_CONTROL = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e"
    "\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0001\U000e0020-\U000e007f]"
)
_CONTROL_OR_BREAK = re.compile(f"[\t\n]|{_CONTROL.pattern}")


def printable(text: str) -> str:
    r"""
    Escape what controls a terminal, for a text that may have several lines: C{\x1b}, C{\u202e}.

    @param text: any text, such as a message that a peer sent.
    @return: the text as it can be shown. Tabs and line feeds stay.
    """
    return _CONTROL.sub(_escaped, text)


def printableLine(text: str) -> str:
    r"""
    As L{printable}, for what stands within a line of a log or of an error message: tabs and line
    feeds are escaped as well, so that nobody can write a line of their own.
    """
    return _CONTROL_OR_BREAK.sub(_escaped, text)


def printableJSON(text: str) -> str:
    r"""
    As L{printable}, for a JSON text, which means the same after it: C{\u001b}, C{\u202e}.
    """
    if text.isascii() and text.isprintable():
        # As most is; that is seen in a tenth of the time.
        return text
    return _CONTROL.sub(lambda found: json.dumps(found[0])[1:-1], text)


def terminalOctets(text: str) -> bytes:
    """
    Encode printable text as the terminal has it, by the locale; what that cannot express is
    escaped.
    """
    return text.encode(getpreferredencoding(False), "backslashreplace")


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


class TerminalDecoder:
    r"""
    Makes printable text of octets that arrive in pieces: what is no UTF-8 is shown as C{\xff}, a
    character whose octets came apart is one, and C{\r\n} ends a line.
    """

    def __init__(self) -> None:
        self._decoder = getincrementaldecoder("utf-8")("backslashreplace")
        # A carriage return, until it is known whether a line feed follows.
        self._held = ""

    def decode(self, data: bytes | bytearray, final: bool = False) -> str:
        """
        Decode a piece.

        @param data: the octets.
        @param final: whether nothing follows.
        @return: what can be shown of them by now.
        """
        text = self._held + self._decoder.decode(data, final)
        self._held = "\r" if text.endswith("\r") and not final else ""
        return printable(text[: len(text) - len(self._held)].replace("\r\n", "\n"))
