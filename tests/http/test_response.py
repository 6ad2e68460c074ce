"""
Tests for L{netkit.http.response}.
"""

from __future__ import annotations

import pytest

from netkit.http import Response
from netkit.wire.errors import LocalProtocolError

from .connected import CLOSE, Connection, answer, get


def test_a_date_of_ones_own() -> None:
    client = Connection(lambda request: Response(headers=[(b"Date", b"today")]))
    client.send(get())
    assert client.take() == b"HTTP/1.1 200 OK\r\nDate: today\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.parametrize("status", [100, 101, 199, 99, 1000])
def test_what_is_no_status_of_a_response(status: int) -> None:
    with pytest.raises(LocalProtocolError, match=str(status)):
        Response(status)


def test_what_is_no_header() -> None:
    with pytest.raises(LocalProtocolError):
        Response(headers=[(b"X", b"y\r\nInjected: yes")])
    with pytest.raises(LocalProtocolError):
        Response(headers=[(b"Content-Length", b"5")])
    assert repr(Response(404)) == "<Response 404>"


def test_connection_close() -> None:
    response = Response(200, b"hello", [(b"Connection", b"Close")])
    client = Connection(lambda request: response)
    client.send(get())
    assert client.take() == answer(b"hello", CLOSE)
    assert client.closing
    with pytest.raises(LocalProtocolError, match="keep-alive"):
        Response(headers=[(b"Connection", b"keep-alive")])


def test_one_response_to_many_requests() -> None:
    """
    Whatever it was sent to before.
    """
    response = Response(200, b"hello")
    client = Connection(lambda request: response)
    old = get(b"/", b"Connection: keep-alive", version=b"1.0")
    kept = answer(b"hello", b"connection: keep-alive")
    head = answer(b"hello").removesuffix(b"hello")
    for _ in range(2):
        client.send(get() + get().replace(b"GET", b"HEAD") + old + get())
        assert client.take() == answer() + head + kept + answer()
    client.send(get(b"/", CLOSE))
    assert client.take() == answer(b"hello", CLOSE)


def test_one_response_at_many_times() -> None:
    response = Response(200, b"hello")
    for at in (0, 0, 1, 2.5):
        client = Connection(lambda request: response)
        client.clock.advance(at)
        client.send(get() * 2)
        date = b"\r\ndate: Thu, 01 Jan 1970 00:00:%02d GMT\r\n" % at
        assert client.transport.value().count(date) == 2


def test_rfc9110_15_3_6_reset_content_has_none() -> None:
    client = Connection(lambda request: Response(205))
    client.send(get())
    assert client.take() == answer(b"", status=b"205 Reset Content")
    with pytest.raises(LocalProtocolError, match="205"):
        Response(205, b"hello")
