"""
The opening handshake, from either side.
"""

from __future__ import annotations

import pytest

from netkit.wire.errors import HTTPProtocolError, LocalProtocolError, WebSocketProtocolError
from netkit.wire.http.connection import RequestReceiver, ResponseReceiver
from netkit.wire.http.fields import Fields
from netkit.wire.http.head import RequestHead, ResponseHead
from netkit.wire.websocket.deflate import DeflateSettings
from netkit.wire.websocket.handshake import (
    ClientHandshake,
    Offer,
    accept,
    accept_key,
    read_request,
    refuse,
)

REQUEST = (
    b"GET /chat?room=1 HTTP/1.1\r\n"
    b"Host: server.example.com\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Protocol: chat, superchat\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"\r\n"
)


def read(request: bytes) -> Offer:
    """
    Read a request.
    """
    receiver = RequestReceiver()
    receiver.receive(request)
    head = receiver.next_event()
    assert isinstance(head, RequestHead)
    return read_request(head)


def response(octets: bytes) -> tuple[int, Fields]:
    """
    Read a response.
    """
    receiver = ResponseReceiver()
    receiver.request_sent(b"GET")
    receiver.receive(octets)
    head = receiver.next_event()
    assert isinstance(head, ResponseHead)
    return head.status, head.fields


def test_example_of_the_rfc() -> None:
    offer = read(REQUEST)
    assert offer == Offer(b"dGhlIHNhbXBsZSBub25jZQ==", ("chat", "superchat"), ())
    octets, agreement = accept(offer, subprotocol="chat", fields=[(b"X-More", b"yes")])
    assert octets == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: chat\r\n"
        b"X-More: yes\r\n"
        b"\r\n"
    )
    assert agreement.subprotocol == "chat"
    assert agreement.deflate is None


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"Upgrade: websocket", b"Upgrade: h2c", 426),
        (b"Upgrade: websocket", b"Upgrade: websocket\r\nContent-Length: 1", 400),
        (b"Upgrade: websocket\r\n", b"", 426),
        (b"GET", b"POST", 405),
        (b"HTTP/1.1", b"HTTP/1.0", 400),
        (b"keep-alive, Upgrade", b"keep-alive", 400),
        (b"Version: 13", b"Version: 8", 426),
        (b"Version: 13\r\n", b"Version: 13\r\nSec-WebSocket-Version: 13\r\n", 426),
        (b"Sec-WebSocket-Version: 13\r\n", b"", 426),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZSBub25jZQ", 400),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZSBub25jZR==", 400),
        (
            b"dGhlIHNhbXBsZSBub25jZQ==\r\n",
            b"dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: x\r\n",
            400,
        ),
        (b"chat, superchat", b"chat, chat", 400),
        (b"chat, superchat", b"chat, super chat", 400),
        (b"chat, superchat\r\n", b"chat\r\nSec-WebSocket-Extensions: a;\r\n", 400),
        (b"Version: 13\r\n", b"Version: 13\r\nOrigin: http://a\r\nOrigin: http://a\r\n", 400),
    ],
)
def test_requests_refused(old: bytes, new: bytes, status: int) -> None:
    assert old in REQUEST
    with pytest.raises(HTTPProtocolError) as raised:
        read(REQUEST.replace(old, new, 1))
    assert raised.value.status == status


def test_cases_that_do_not_matter() -> None:
    request = REQUEST.replace(b"Upgrade: websocket", b"uPGRADE: h2c,WebSocket")
    assert read(request.replace(b"keep-alive, Upgrade", b"UPGRADE")).subprotocols


def test_refusals() -> None:
    status, fields = response(refuse(426, [(b"X-Y", b"z")], b"no"))
    assert status == 426
    assert fields.elements(b"connection") == [b"Upgrade", b"close"]
    assert fields.all(b"upgrade") == [b"websocket"]
    assert fields.all(b"sec-websocket-version") == [b"13"]
    assert fields.all(b"content-length") == [b"2"]
    assert fields.all(b"x-y") == [b"z"]
    status, fields = response(refuse(405))
    assert status == 405
    assert fields.all(b"allow") == [b"GET"]
    assert response(refuse(499))[0] == 499


def test_another_subprotocol_than_offered() -> None:
    with pytest.raises(LocalProtocolError, match="'x' is none that the client offers: chat"):
        accept(Offer(b"", ("chat",), ()), subprotocol="x")


def test_client_and_server() -> None:
    settings = DeflateSettings()
    client = ClientHandshake(
        b"example.com:81",
        b"/x?y",
        subprotocols=["b", "a"],
        settings=settings,
        fields=[(b"Origin", b"null")],
    )
    assert client.request.startswith(b"GET /x?y HTTP/1.1\r\nHost: example.com:81\r\n")
    assert b"\r\nOrigin: null\r\n" in client.request
    assert ClientHandshake(b"h", b"/").request != ClientHandshake(b"h", b"/").request
    offer = read(client.request)
    assert offer.subprotocols == ("b", "a")
    octets, ours = accept(offer, subprotocol="a", settings=settings)
    status, fields = response(octets)
    assert status == 101
    theirs = client.read_response(fields)
    assert theirs.subprotocol == ours.subprotocol == "a"
    assert ours.deflate is not None
    assert theirs.deflate is not None
    # Nothing is agreed that was not offered, or not wanted.
    assert client.read_response(response(accept(offer)[0])[1]).deflate is None
    plain = ClientHandshake(b"h", b"/")
    _, agreement = accept(read(plain.request), settings=settings)
    assert agreement.deflate is None
    assert agreement.subprotocol is None


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"Upgrade: websocket", b"Upgrade: h2c", "Upgrade"),
        (b"Connection: Upgrade", b"Connection: close", "Connection"),
        (b"Sec-WebSocket-Accept: ", b"Sec-WebSocket-Accept: x", "does not answer our key"),
        (b"Protocol: a", b"Protocol: c", "subprotocol that we did not offer"),
        (b"Protocol: a", b"Protocol: a\r\nSec-WebSocket-Protocol: b", "subprotocol"),
        (
            b"Extensions: permessage-deflate",
            b"Extensions: x",
            "extension that we did not offer: x",
        ),
        (b"Extensions: ", b"Extensions: a b", "no list of extensions"),
        (
            b"Extensions: ",
            b"Extensions: permessage-deflate; server_max_window_bits=9, ",
            "extension",
        ),
        (b"bits=12", b"bits=7", "not 8 to 15"),
    ],
)
def test_responses_refused(old: bytes, new: bytes, problem: str) -> None:
    settings = DeflateSettings()
    client = ClientHandshake(b"h", b"/", subprotocols=["a", "b"], settings=settings)
    octets, _ = accept(read(client.request), subprotocol="a", settings=settings)
    assert old in octets
    with pytest.raises(WebSocketProtocolError, match=problem):
        client.read_response(response(octets.replace(old, new, 1))[1])


def test_accept_key() -> None:
    assert accept_key(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_subprotocol_that_is_no_token() -> None:
    with pytest.raises(LocalProtocolError, match="'a b' is no name of a subprotocol"):
        ClientHandshake(b"h", b"/", subprotocols=["a b"])
