"""
Request targets (RFC 9112 section 3.2).
"""

from __future__ import annotations


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """
    Find the path and the query of a request target in origin-form, absolute-form or
    asterisk-form.

    @param target: the target.
    @return: both as they were sent, still encoded; the query without its question mark.
    """
    if not target.startswith((b"/", b"*")):
        authority = target.split(b"://", 1)[1]
        slash, question = authority.find(b"/"), authority.find(b"?")
        if slash < 0 or 0 <= question < slash:
            return b"/", authority[question + 1 :] if question >= 0 else b""
        target = authority[slash:]
    path, _, query = target.partition(b"?")
    return path, query
