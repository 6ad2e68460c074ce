"""
Who may speak with the inspector.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from urllib.parse import parse_qs

# A host, and a port where there is one (RFC 9110 section 7.2). Names of hosts have no other
# characters; this one stands in the page's Content-Security-Policy, where others mean something.
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[0-9a-z._-]+)(?::(\d*))?", re.ASCII)

#: The parameter of the address that is printed at the start.
TOKEN_PARAMETER = "token"


class Denied(Exception):
    """
    Somebody may not; the message says why.

    @ivar status: what to answer.
    """

    def __init__(self, status: int, message: str) -> None:
        """
        @param status: what to answer.
        @param message: why.
        """
        super().__init__(message)
        self.status = status


class Access:
    """
    Decides who may speak with the inspector: by the host that they believe to speak with, which
    pages of others whose name leads here (DNS rebinding) have wrong; by the origin of the page
    that they are; and by a token, where everybody can connect.

    @ivar token: the token; L{None} where none is wanted.
    @ivar cookie: the name of the cookie that has it.
    """

    def __init__(self, hosts: Iterable[str] = ()) -> None:
        """
        @param hosts: the names that this machine has elsewhere.
        """
        self.token: str | None = secrets.token_urlsafe(24)
        # Cookies are shared by all ports of a host.
        self.cookie = f"netkit-inspector-{secrets.token_hex(4)}"
        self._hosts = {"localhost", *(host.lower() for host in hosts)}

    def trustConnections(self) -> None:
        """
        Want no token: this machine's own users alone can connect.
        """
        self.token = None

    def check(self, pairs: Iterable[tuple[bytes, bytes]], target: bytes) -> None:
        """
        See whether a request is answered.

        @param pairs: the names and values of its header section.
        @param target: its target.
        @raise Denied: it is not.
        """
        fields = _Fields(pairs)
        host = fields.text("host")
        self._checkHost(host)
        origin = fields.text("origin")
        if origin and origin.lower() not in (f"http://{host}", f"https://{host}"):
            raise Denied(403, f"the origin {origin[:200]!r} is another one than {host!r}")
        site = fields.text("sec-fetch-site")
        if site not in ("", "same-origin", "none") and not _isVisit(fields, target):
            raise Denied(403, f"a page of another site asks for this: Sec-Fetch-Site is {site!r}")
        if self.token is not None and not self._hasToken(fields, target):
            raise Denied(
                401,
                "a token is wanted: open the address that was printed at the start, or send "
                "Authorization: Bearer TOKEN",
            )

    def isToken(self, text: str) -> bool:
        """
        Whether a text is the token; that takes the same time for all that are as long.
        """
        return self.token is not None and hmac.compare_digest(
            text.encode(errors="replace"), self.token.encode()
        )

    def _checkHost(self, host: str) -> None:
        found = _HOST.fullmatch(host.lower())
        name = "" if found is None else found[1].removeprefix("[").removesuffix("]")
        if name in self._hosts or name.endswith(".localhost"):
            return
        try:
            # Nobody's name leads to somebody else.
            address = ip_address(name)
        except ValueError:
            address = None
        if address is None or (self.token is None and not address.is_loopback):
            raise Denied(
                403,
                f"the host {host[:200]!r} is none of this inspector's: it is reached as localhost "
                "or by its address, or give --inspect-host",
            )

    def _hasToken(self, fields: _Fields, target: bytes) -> bool:
        given = []
        for value in fields.all("authorization"):
            scheme, _, token = value.partition(" ")
            if scheme.lower() == "bearer":
                given.append(token.strip())
        query = target.partition(b"?")[2].decode("latin-1")
        with suppress(ValueError):
            given += parse_qs(query, max_num_fields=100).get(TOKEN_PARAMETER, [])
        for value in fields.all("cookie"):
            try:
                cookies = SimpleCookie(value)
            except CookieError:
                continue
            if self.cookie in cookies:
                given.append(cookies[self.cookie].value)
        return any(map(self.isToken, given))


class _Fields:
    """
    The fields of a request.
    """

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name.decode("latin-1").lower(), []).append(
                value.decode("latin-1")
            )

    def all(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def text(self, name: str) -> str:
        return ", ".join(self.all(name))


def _isVisit(fields: _Fields, target: bytes) -> bool:
    """
    Whether somebody follows a link to the page, which shows nothing to where they came from.
    """
    return (
        target.partition(b"?")[0] == b"/"
        and fields.text("sec-fetch-mode") == "navigate"
        and fields.text("sec-fetch-dest") == "document"
    )
