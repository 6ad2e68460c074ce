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


def test_rfc9110_15_3_6_reset_content_has_none() -> None:
    client = Connection(lambda request: Response(205))
    client.send(get())
    assert client.take() == answer(b"", status=b"205 Reset Content")
    with pytest.raises(LocalProtocolError, match="205"):
        Response(205, b"hello")
