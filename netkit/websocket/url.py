"""
URLs of WebSockets (RFC 6455 section 3).
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes, urlsplit

import idna

from ..wire.http.framing import HOST

# The schemes, and whether TLS goes with them. RFC 6455 has the first two; the others are what
# they begin with.
_SECURE = {"ws": False, "wss": True, "http": False, "https": True}

_HOST = re.compile(HOST)

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

        @raise TypeError: it is no string.
        @raise ValueError: it is no URL of a WebSocket.
        """
        if not isinstance(url, str):
            raise TypeError(f"{url!r} is not a URL: a string such as 'ws://host/path'")
        try:
            parts = urlsplit(url)
            secure = _SECURE[parts.scheme]
            host = asciiHost(parts.hostname or "")
            port = parts.port if parts.port is not None else defaultPort(secure)
            if not port:
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


def asciiHost(host: str) -> str:
    """
    Write the host of a URL in ASCII.

    @param host: a name or an address, without brackets.
    @raise ValueError: it is none (RFC 3986 section 3.2.2).
    """
    if not host.isascii():
        host = idna.encode(host, uts46=True).decode("ascii")
    if not _HOST.fullmatch(b"[%b]" % host.encode() if ":" in host else host.encode()):
        raise ValueError(f"{host!r} is not the host of a URL")
    return host


def defaultPort(secure: bool) -> int:
    """
    The port of a URL that names none.

    @param secure: whether TLS goes with it.
    """
    return 443 if secure else 80
