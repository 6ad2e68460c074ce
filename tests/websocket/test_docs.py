"""
The examples of C{docs/websocket.md}: they run, and do what they say.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.web.server import Site

from .helpers import Server

DOCUMENT = Path(__file__).parents[2] / "docs" / "websocket.md"


@pytest.fixture
def names() -> dict[str, Any]:
    """
    All that the examples define.
    """
    defined: dict[str, Any] = {}
    for example in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL):
        exec(example, defined)
    return defined


@pytest.mark.parametrize("where", ["factory", "site"])
@pytest_twisted.ensureDeferred
async def test_the_client_speaks_with_the_server(
    names: dict[str, Any], where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from twisted.internet import reactor

    site = Site(names["root"], reactor=reactor)
    factory = names["factory"] if where == "factory" else site
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    gone: Deferred[None] = Deferred()
    shout = names["Shout"]
    lost = shout.connectionLost

    def connectionLost(self: Any, reason: Any) -> None:
        lost(self, reason)
        gone.callback(None)

    shout.connectionLost = connectionLost
    await names["speak"](reactor, f"ws://127.0.0.1:{port.getHost().port}/shout")
    await gone
    await port.stopListening()
    assert capsys.readouterr().out == "HELLO\ngone: closed by the peer with code 1000\n"


def test_members_only(names: dict[str, Any]) -> None:
    server = Server(names["Members"]())
    server.receive(server.request)
    assert server.response().startswith(b"HTTP/1.1 401 ")
    server = Server(names["Members"](), fields=b"Authorization: x\r\n")
    server.receive(server.request)
    assert b"\r\nSet-Cookie: seen=1\r\n" in server.response()


@pytest_twisted.ensureDeferred
async def test_with_await(names: dict[str, Any]) -> None:
    from twisted.internet import reactor

    endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    port = await endpoint.listen(names["counting"])
    url = f"ws://127.0.0.1:{port.getHost().port}/count"
    assert await names["ask"](reactor, url, "four") == "4 characters"
    await port.stopListening()
