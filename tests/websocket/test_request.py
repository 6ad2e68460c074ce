"""
Tests for L{netkit.websocket.request}: the request of a factory, beside that of a resource.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.task import Clock
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface import alsoProvides

from netkit.websocket import Rejection, WebSocketFactory, WebSocketRequest, WebSocketResource

from .helpers import HANDSHAKE, Link

# Of these twisted.web has none: WebSocketResource adds them to the requests that it hands on.
MORE = {"fields", "subprotocols"}

NAMES = (
    {name for name in dir(WebSocketRequest) if not name.startswith("_")} | MORE | {"path", "uri"}
)

# What the methods are called with.
ARGUMENTS: dict[str, list[object]] = {
    "getHeader": [
        *("Cookie", b"Cookie", "COOKIE", b"x-twice", "x-twice", "none", b"none"),
        *("Sec-WebSocket-Protocol", b"origin"),
    ],
    "getCookie": [b"a", b"c", b"none"],
}

REQUESTS = {
    "none of them": b"",
    "all of them": (
        b"Cookie: a=b; c=d=e;f\r\nCookie: g=h\r\nX-Twice: 1\r\nx-twice: 2\r\n"
        b"Authorization: Basic dXM6cGE6c3M=\r\nSec-WebSocket-Protocol: v2, v1\r\n"
        b"Origin: https://example.com\r\nX-Name: caf\xc3\xa9\r\n"
    ),
    "bad ones": (
        b"Cookie: \r\nCookie: ;;=;\r\nAuthorization: Basic ?\r\nX-Twice: \r\nX-Twice: \t\r\n"
    ),
    "other ones": b"Authorization: Bearer x\r\nCookie: x\r\n",
    "no pair": b"Authorization: basic bm9uZQ==\r\n",
}


class Keeper:
    """
    An application that looks at requests.
    """

    def __init__(self) -> None:
        self.seen: dict[str, Any] = {}

    def acceptConnection(self, request: Any) -> Rejection:
        for name in NAMES:
            value = getattr(request, name)
            if not callable(value):
                self.seen[name] = value
            elif name in ARGUMENTS:
                for argument in ARGUMENTS[name]:
                    self.seen[f"{name}({argument!r})"] = value(argument)
            else:
                self.seen[name] = value()
        return Rejection()

    def buildProtocol(self, request: Any) -> None:
        raise AssertionError


class SecureLink(Link):
    """
    A transport with TLS.
    """

    def __init__(self) -> None:
        super().__init__()
        alsoProvides(self, ISSLTransport)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        As twisted.web wants it.
        """


def seen(request: bytes, secure: bool) -> list[dict[str, Any]]:
    """
    What an application sees of a request under a factory, and under a resource.
    """
    bare, tree = Keeper(), Keeper()
    server = WebSocketFactory(bare, clock=Clock()).buildProtocol(None)
    root = Resource()
    root.putChild(b"chat", WebSocketResource(tree, clock=Clock()))
    channel = Site(root, reactor=Clock()).buildProtocol(None)
    for protocol in (server, channel):
        protocol.makeConnection(SecureLink() if secure else Link())
        protocol.dataReceived(request)
    return [bare.seen, tree.seen]


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize(
    "target", [b"/chat", b"/chat?a=b&c=%20+&a=d&e&f=", b"/chat?", b"/chat?%zz"]
)
@pytest.mark.parametrize("fields", REQUESTS.values(), ids=REQUESTS)
def test_both_requests_answer_alike(fields: bytes, target: bytes, secure: bool) -> None:
    bare, tree = seen((HANDSHAKE % fields).replace(b"/chat", target), secure)
    # Neither spelling nor order of other names' fields outlasts twisted.web.
    for its in (bare, tree):
        its["fields"] = sorted((name.lower(), value) for name, value in its["fields"])
    assert bare.keys() == tree.keys()
    for name, value in bare.items():
        assert (name, value) == (name, tree[name])
        assert type(value) is type(tree[name])


@pytest.mark.parametrize("host", [b"a.example:80", b"a.example", b"[::1]:80", b"[::1]", b""])
def test_host_names(host: bytes) -> None:
    bare, tree = seen((HANDSHAKE % b"").replace(b"localhost", host), False)
    assert bare["getRequestHostname"] == tree["getRequestHostname"]


def test_nothing_has_a_name_of_its_own() -> None:
    assert {name for name in NAMES if not hasattr(Request, name)} == {
        # Set when an instance is made.
        *("client", "host", "received_cookies", "requestHeaders"),
        *MORE,
    }


def test_str_for_str_and_bytes_for_bytes() -> None:
    request = HANDSHAKE % b"Cookie: a=b\r\n"
    for its in seen(request.replace(b"/chat", b"/chat?room=1"), False):
        assert its["getHeader('Cookie')"] == "a=b"
        assert its["getHeader(b'Cookie')"] == b"a=b"
        assert its["getHeader('none')"] is None
        assert its["args"] == {b"room": [b"1"]}
