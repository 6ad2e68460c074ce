"""
docs/autobahn.md: what stands before and after comes to the same, and the names are there.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import ServerFactory

from netkit import websocket
from netkit.websocket import ConnectionRejected, WebSocketClientEndpoint
from tests.interop.peers import HERE

PAGE = (HERE.parents[1] / "docs/autobahn.md").read_text()

pytest.importorskip("autobahn")

SERVER_BEFORE, SERVER_AFTER, SERVER_AWAITED, CLIENT_BEFORE, CLIENT_AFTER = re.findall(
    r"```python\n(.*?)```", PAGE, re.DOTALL
)


def run(*codes: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for code in codes:
        exec(compile(code, "docs", "exec"), names)
    return names


SERVERS = {
    "before": (SERVER_BEFORE,),
    "after": (SERVER_AFTER,),
    "awaited": (SERVER_AFTER, SERVER_AWAITED),
}


@asynccontextmanager
async def listening(factory: ServerFactory) -> AsyncIterator[str]:
    """
    Have a server listen.
    """
    from twisted.internet import reactor

    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    try:
        yield f"ws://127.0.0.1:{port.getHost().port}/"
    finally:
        await port.stopListening()


@pytest.mark.parametrize("server", SERVERS)
@pytest_twisted.ensureDeferred
async def test_the_servers_do_the_same(server: str) -> None:
    from twisted.internet import reactor

    async with listening(run(*SERVERS[server])["factory"]) as url:
        endpoint = WebSocketClientEndpoint.new(reactor, url, subprotocols=["other", "chat"])
        async with await endpoint.open() as one, await endpoint.open() as other:
            assert one.subprotocol == "chat"
            await one.send("hello")
            assert [await one.receive(), await other.receive()] == ["hello"] * 2
            await one.close()
            await other.send("alone")
            assert await other.receive() == "alone"
            # Larger than is taken.
            await other.send("x" * 5000)
            reason = await other.closed
            if server != "before":
                # Autobahn's hangs up, unless failByDrop says otherwise.
                assert isinstance(reason, websocket.WebSocketClosed)
                assert reason.code == 1009
        with pytest.raises(ConnectionRejected) as rejected:
            await WebSocketClientEndpoint.new(reactor, url).open()
        assert rejected.value.response.code == 400


@pytest.mark.parametrize("code", [CLIENT_BEFORE, CLIENT_AFTER], ids=["before", "after"])
@pytest_twisted.ensureDeferred
async def test_the_clients_do_the_same(code: str) -> None:
    from twisted.internet import reactor

    async with listening(run(SERVER_AFTER)["factory"]) as url:
        speaking = run(code)["speak"](reactor, url)
        assert await speaking == "hello"


def test_the_options_are_there() -> None:
    from autobahn.twisted import websocket as autobahn

    theirs = {
        name
        for factory in (autobahn.WebSocketServerFactory, autobahn.WebSocketClientFactory)
        for name in inspect.signature(factory.setProtocolOptions).parameters
    }
    ours = set(inspect.signature(websocket.WebSocketOptions).parameters)
    ours |= set(inspect.signature(websocket.WebSocketFactory).parameters)
    _, table = PAGE.split("## Options")
    for line in table.splitlines():
        if line.startswith("| `") and "setProtocolOptions" not in line:
            _, before, after, _, _ = line.split("|")
            assert set(re.findall(r"`(\w+)`", before)) <= theirs
            assert set(re.findall(r"`(\w+)`", after)) - {"WebSocketFactory"} <= ours


def test_the_names_are_there() -> None:
    _, table = PAGE.split("## Name by name")
    table, _ = table.split("## Options")
    known = {name for each in vars(websocket).values() for name in dir(each)}
    known |= set(websocket.__all__) | {"requestHeaders", "args", "reason", "code"}
    known |= {"ws", "wss", "await", "async", "for", "message", "in", "str", "value", "function"}
    known |= {"application", "sockets", "transports", "transport", "text", "data", "payload"}
    known |= {"finished", "producer", "request", "status", "headers", "body", "reactor", "url"}
    for line in table.splitlines():
        if line.startswith("| `"):
            for cell in line.split("|")[2:4]:
                for code in re.findall(r"`([^`]*)`", cell):
                    assert set(re.findall(r"\w+", code)) <= known, line
