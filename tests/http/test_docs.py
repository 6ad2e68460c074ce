"""
The examples in docs/http.md.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource

from netkit.http import HTTPFactory, Request, Response
from netkit.services.websocket import EchoApplication
from netkit.websocket import WebSocketFactory

from .connected import Connection, get, post

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text()
HANDLER, AUTHOR, RESOURCES, UPGRADE, PARSER = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def run(example: str, **names: Any) -> dict[str, Any]:
    exec(compile(example, "docs/http.md", "exec"), names)
    return names


def test_handler() -> None:
    # All but what listens.
    names = run(HANDLER[: HANDLER.index("serverFromString(reactor")])
    client = Connection(names["handler"])
    client.send(post(b"abc") + get())
    told = client.take()
    assert told.endswith(b"Allow: POST\r\ncontent-length: 0\r\n\r\n")
    assert b"\r\n\r\nABC" in told


def test_middleware_and_refusals() -> None:
    names = run(AUTHOR, Request=Request, Response=Response, HTTPFactory=HTTPFactory)
    client = Connection(names["pets"], refusal=names["asJSON"])
    client.send(get(b"/?kind=cat") + get())
    told = client.take()
    assert b"X-Served-By: netkit\r\n" in told
    assert told.endswith(b'{"status":404,"reason":"there are only cats"}')


class Page(Resource):
    """
    A page of a twisted.web application.
    """

    def render_GET(self, request: IRequest) -> bytes:
        return b"the application"


def test_resources_beside_handlers() -> None:
    page = Page()
    page.putChild(b"app", page)
    page.putChild(b"", page)
    names = run(
        RESOURCES, resource=page, Request=Request, Response=Response, HTTPFactory=HTTPFactory
    )
    client = Connection(names["both"])
    client.send(get(b"/app/") + get(b"/"))
    told = client.take()
    assert b"the application" in told
    assert told.endswith(b"netkit answers everything else")
    names["pages"].doStop()


def test_upgrade() -> None:
    names = run(UPGRADE, WebSocketFactory=WebSocketFactory, application=EchoApplication())
    for path, told in ((b"/", b"netkit"), (b"/chat", b"HTTP/1.1 426 ")):
        client = Connection(names["handler"])
        client.send(get(path))
        assert told in client.take()
        client.lose()


def test_parser(capsys: pytest.CaptureFixture[str]) -> None:
    run(PARSER)
    printed = capsys.readouterr().out
    assert printed.startswith('<RequestHead "POST / HTTP/1.1')
    assert printed.count("\n") == 3
