"""
URLs of WebSockets (RFC 6455 section 3).
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes, urlsplit

import idna

# The schemes, and whether TLS goes with them. RFC 6455 has the first two; the others are what
# they begin with.
_SECURE = {"ws": False, "wss": True, "http": False, "https": True}

# What may stand in a request target as it is: RFC 3986, and what is percent-encoded already.
_TARGET = "/?:@!$&'()*+,;=-._~%"


@dataclass(frozen=True, slots=True)
class WebSocketURL:
    """
    A URL, in its parts.

    @ivar secure: whether TLS goes with it.
    @ivar host: the host, in ASCII; an IPv6 address without brackets.
    @ivar port: the port.
    @ivar target: the path and the query.
    @ivar credentials: the value of the C{Authorization} field that the user information in it
        stands for; L{None} if there is none.
    """

    secure: bool
    host: str
    port: int
    target: str
    credentials: bytes | None

    @classmethod
    def parse(cls, url: str) -> WebSocketURL:
        """
        Parse a URL.

        @raise ValueError: it is none of a WebSocket.
        """
        try:
            parts = urlsplit(url)
            secure = _SECURE[parts.scheme]
            host = parts.hostname or ""
            if not host.isascii():
                host = idna.encode(host, uts46=True).decode("ascii")
            port = parts.port if parts.port is not None else defaultPort(secure)
            if not host or not port:
                raise ValueError(url)
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"{url!r} is not a URL such as ws://host/path or wss://host/path"
            ) from error
        target = quote(parts.path or "/", _TARGET)
        if parts.query:
            target += "?" + quote(parts.query, _TARGET)
        credentials = None
        if parts.username is not None:
            userinfo = parts.netloc.rpartition("@")[0]
            name, _, password = userinfo.partition(":")
            plain = unquote_to_bytes(name) + b":" + unquote_to_bytes(password)
            credentials = b"Basic " + b64encode(plain)
        return cls(secure, host, port, target, credentials)

    @property
    def authority(self) -> str:
        """
        The host and, unless it is the scheme's own, the port: the value of the C{Host} field.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == defaultPort(self.secure) else f"{host}:{self.port}"

    @property
    def http(self) -> str:
        """
        The URL by which Twisted's HTTP client knows where it connects to.
        """
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.target}"


def defaultPort(secure: bool) -> int:
    """
    The port of a URL that names none.

    @param secure: whether TLS goes with it.
    """
    return 443 if secure else 80
