"""
What a peer sent is in the log where people read it: it controls no terminal there.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.address import UNIXAddress
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.logger import LogEvent, formatEvent
from twisted.python.failure import Failure

from netkit.base.terminal import printableLine
from netkit.http import HTTPFactory, Request, Response
from netkit.printrespond import PrintRespondFactory
from netkit.websocket import WebSocketFactory, WebSocketTransport
from netkit.wire.websocket.connection import Connection

# What orders a terminal around, in octets and in UTF-8; no line may be made of it either.
EVIL = "\x9b31m\u202e\x7f".encode() + b"\x9b2J"
CONTROLS = b"\x1b[2J\x07"

HANDSHAKE = (
    b"GET /%b HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: " + b64encode(bytes(16)) + b"\r\nSec-WebSocket-Version: 13\r\n%b\r\n"
)


def failing(request: Request) -> Response:
    raise ValueError("the handler's own")


class Application:
    """
    Receives nothing.
    """

    def buildProtocol(self, request: Any) -> Any:
        return self

    def negotiationStarted(self, transport: WebSocketTransport) -> None: ...
    def negotiationFinished(self) -> None: ...
    def textMessageReceived(self, message: str) -> None: ...
    def bytesMessageReceived(self, data: bytes) -> None: ...
    def pongReceived(self, payload: bytes) -> None: ...
    def connectionLost(self, reason: Failure) -> None: ...


def http() -> Factory[Any]:
    return HTTPFactory(failing, clock=Clock())


def webSocket(**options: Any) -> Callable[[], Factory[Any]]:
    return lambda: WebSocketFactory(Application(), clock=Clock(), **options)


def close(reason: bytes) -> bytes:
    peer = Connection(client=True)
    return peer.send_close(4001, reason.decode(errors="replace"))


@pytest.mark.parametrize(
    ("make", "octets"),
    [
        (lambda: PrintRespondFactory(clock=Clock(), maxContent=3), EVIL),
        (http, b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % EVIL),
        (http, b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % CONTROLS),
        (http, b"GET /?%%9b HTTP/1.1\r\nHost: %b\r\n\r\n" % EVIL),
        (http, b"%b / HTTP/1.1\r\nHost: x\r\n\r\n" % EVIL),
        (http, b"GET / HTTP/%b\r\nHost: x\r\n\r\n" % EVIL),
        (http, b"GET / HTTP/1.1\r\n%b: x\r\n\r\n" % EVIL),
        (http, b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: %b\r\n\r\n" % EVIL),
        (http, b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: %b\r\n\r\n" % EVIL),
        (http, b"GET / HTTP/1.1\r\nHost: x\r\nExpect: %b\r\n\r\n" % EVIL),
        (http, b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%b\r\n" % EVIL),
        (webSocket(), b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % EVIL),
        (webSocket(path=b"/x"), HANDSHAKE % (EVIL, b"")),
        (webSocket(), HANDSHAKE % (b"", b"Sec-WebSocket-Protocol: %b\r\n" % EVIL)),
        (webSocket(), HANDSHAKE % (b"", b"Sec-WebSocket-Extensions: %b\r\n" % EVIL)),
        (webSocket(), HANDSHAKE % (b"", b"Sec-WebSocket-Version: %b\r\n" % EVIL)),
        (webSocket(origins=["http://x"]), HANDSHAKE % (b"", b"Origin: http://%b\r\n" % EVIL)),
        (webSocket(), HANDSHAKE % (b"", b"") + close(EVIL)),
        (webSocket(), HANDSHAKE % (b"", b"") + b"\x81\x84\0\0\0\0" + EVIL[-4:]),
    ],
)
@pytest.mark.parametrize("end", [ConnectionDone, ConnectionLost])
def test_no_event_controls_a_terminal(
    make: Callable[[], Factory[Any]], octets: bytes, end: type[Exception], logged: list[LogEvent]
) -> None:
    factory = make()
    protocol = factory.buildProtocol(None)
    assert protocol is not None
    transport = StringTransportWithDisconnection(peerAddress=UNIXAddress(b"/" + EVIL + CONTROLS))
    transport.protocol = protocol
    transport.loseWriteConnection = lambda: None  # type: ignore[attr-defined]
    protocol.makeConnection(transport)
    protocol.dataReceived(octets)
    if transport.connected:
        protocol.connectionLost(Failure(end()))
    lines = [formatEvent(event) for event in logged if "netkit" in event["log_namespace"]]
    assert [line for line in lines if printableLine(line) != line] == []
    # What is no fault of the test's.
    logged[:] = [event for event in logged if event.get("log_failure") is None]
