"""
The plain case of a request's head, as nearly all are: found to be sound in one pass.

In C where that was built (C{native.c}); where it was not, no head is plain, and
L{netkit.wire.http.head} looks at each one by itself, as it does at those that are not. So both
come to the same, and the same tests are run on both.
"""

from __future__ import annotations

try:
    from .native import is_lone_get, scan_request
except ImportError:

    def scan_request(
        buffer: bytes, start: int, max_line: int, max_section: int, max_fields: int, /
    ) -> tuple[bytes, bytes, bytes, bytes, int, int, bool, bool] | None:
        """
        Find the parts of a head that is whole and plain: its target is a path, its version 1.1,
        and the fields that frame it are single and simple.

        @param buffer: what has arrived.
        @param start: where the head starts in it.
        @param max_line: how many octets the request line may have, without its end.
        @param max_section: how many octets the header section may have.
        @param max_fields: how many field lines it may have.
        @return: the method, the target, the request line and the header section as sent, the
            offset behind the head, the length of the content, whether the connection can carry
            another request, and whether the client offers to upgrade it. C{None} for any other
            head.
        """
        return None

    def is_lone_get(octets: bytes, /) -> bool:
        """
        Whether octets are a GET and nothing else, for who needs to know no more of it: whole and
        plain as above, without content, and without an offer to upgrade the connection. C{False}
        may also mean that it has to be looked at.

        @param octets: what has arrived.
        """
        return False


__all__ = ["is_lone_get", "scan_request"]
