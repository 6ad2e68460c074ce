"""
The request that asks a server for a WebSocket.
"""

from __future__ import annotations

import re
from base64 import b64decode
from functools import cached_property
from typing import AnyStr

from twisted.internet.interfaces import IAddress, ISSLTransport, ITransport
from twisted.web.http import parse_qs
from twisted.web.http_headers import Headers

from ..wire.http.head import RequestHead
from ..wire.http.target import split_target
from ..wire.websocket.handshake import Offer

_HOST = re.compile(rb"\[?(?P<host>.*?)\]?(?::[0-9]*)?")


class WebSocketRequest:
    """
    A request for a WebSocket. It answers as the L{twisted.web.server.Request} does that an
    application is given under a L{WebSocketResource <netkit.websocket.WebSocketResource>}: what
    has the same name is the same.

    @ivar method: C{b"GET"}.
    @ivar clientproto: C{b"HTTP/1.1"}.
    @ivar uri: the request target as sent: path and query.
    @ivar path: the path of the target, still encoded.
    @ivar fields: the header fields, in their order and as they were sent.
    @ivar subprotocols: what the client offers, in its order of preference.
    """

    method = b"GET"
    clientproto = b"HTTP/1.1"

    def __init__(self, head: RequestHead, offer: Offer, transport: ITransport) -> None:
        """
        @param head: the head of the request.
        @param offer: what was read of it.
        @param transport: what it came by.
        """
        self.uri = head.target
        self.path, self._query = split_target(head.target)
        self.fields = head.fields.pairs
        self.subprotocols = offer.subprotocols
        self._transport = transport

    @cached_property
    def args(self) -> dict[bytes, list[bytes]]:
        """
        The arguments in the query, decoded: the values of each, in their order.
        """
        args: dict[bytes, list[bytes]] = parse_qs(self._query, True) if self._query else {}
        return args

    @cached_property
    def requestHeaders(self) -> Headers:
        """
        The header fields.
        """
        headers = Headers()
        for name, value in self.fields:
            headers.addRawHeader(name, value)
        return headers

    @cached_property
    def received_cookies(self) -> dict[bytes, bytes]:
        """
        The cookies, by their names.
        """
        cookies = {}
        for value in self.requestHeaders.getRawHeaders(b"cookie", []):
            for pair in value.split(b";"):
                name, equals, content = pair.lstrip().partition(b"=")
                if equals:
                    cookies[name] = content
        return cookies

    @property
    def client(self) -> IAddress:
        """
        The client's address.
        """
        return self._transport.getPeer()

    @property
    def host(self) -> IAddress:
        """
        The address that the client connected to.
        """
        return self._transport.getHost()

    def getHeader(self, name: AnyStr) -> AnyStr | None:
        """
        The value of the last header field of a name, of the type of that name.

        @param name: the name, in any case.
        """
        values = self.requestHeaders.getRawHeaders(name)
        return values[-1] if values else None

    def getAllHeaders(self) -> dict[bytes, bytes]:
        """
        The value of the last header field of each name, by the names in lower case.
        """
        return {
            name.lower(): values[-1] for name, values in self.requestHeaders.getAllRawHeaders()
        }

    def getCookie(self, name: bytes) -> bytes | None:
        """
        The value of a cookie.

        @param name: its name.
        """
        return self.received_cookies.get(name)

    def getClientAddress(self) -> IAddress:
        """
        The client's address.
        """
        return self.client

    def getHost(self) -> IAddress:
        """
        The address that the client connected to.
        """
        return self.host

    def getRequestHostname(self) -> bytes:
        """
        The host that the client asked for, without the port, and an IPv6 address without its
        brackets.
        """
        host = _HOST.fullmatch(self.getHeader(b"host") or b"")
        return host["host"] if host is not None else b""

    def isSecure(self) -> bool:
        """
        Whether it came by TLS.
        """
        return ISSLTransport.providedBy(self._transport)

    def getUser(self) -> bytes:
        """
        The name in an C{Authorization} field of the scheme Basic (RFC 7617); empty without one.
        """
        return self._credentials[0]

    def getPassword(self) -> bytes:
        """
        The password in an C{Authorization} field of the scheme Basic; empty without one.
        """
        return self._credentials[1]

    @cached_property
    def _credentials(self) -> tuple[bytes, bytes]:
        try:
            scheme, encoded = (self.getHeader(b"authorization") or b"").split()
            if scheme.lower() != b"basic":
                return b"", b""
            name, password = b64decode(encoded).split(b":", 1)
        # What b64decode() raises is one too.
        except ValueError:
            return b"", b""
        return name, password

    def __repr__(self) -> str:
        return f"<WebSocketRequest {self.uri!r}>"
