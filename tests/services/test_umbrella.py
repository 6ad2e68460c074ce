"""
Tests for L{netkit.services.umbrella}.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.endpoints import clientFromString
from twisted.logger import LogEvent
from twisted.python.usage import UsageError

from netkit.services import umbrella

from ..clients import connect

NAMES = ["echo", "print-respond", "http", "websocket"]


def parsed(*arguments: str) -> umbrella.Options:
    options = umbrella.Options()
    options.parseOptions(list(arguments))
    return options


def test_every_service_on_its_default_endpoint() -> None:
    services = parsed()["services"]
    assert [options.service for options in services] == NAMES
    for options in services:
        assert options["listen"] == [options.defaultEndpoint]
        assert options["format"] == options.defaultFormat


def test_endpoints_go_to_their_service() -> None:
    arguments = [f"--{name}=unix:/{name}{number}" for name in NAMES for number in range(2)]
    for name, options in zip(NAMES, parsed(*arguments)["services"], strict=True):
        assert options["listen"] == [f"unix:/{name}0", f"unix:/{name}1"]


def test_the_memory_of_every_service_is_limited() -> None:
    for service in umbrella.makeService(parsed("--max-buffered=7", "--without=inspector")):
        assert service._factory.budget.limit == 7


def test_routes_and_cors_are_the_http_services() -> None:
    for options in parsed("--routes", "--cors")["services"]:
        if options.service == "http":
            assert options["routes"]
            assert options["cors"]
            assert (b"access-control-allow-origin", b"*") in options["header"]


def test_what_is_shared_goes_to_every_service() -> None:
    for options in parsed("--format=hex", "--output=/o", "--max-connections=7")["services"]:
        assert (options["format"], options["output"]) == ("hex", "/o")
        assert options.limits()["maxConnections"] == 7


def test_services_left_out() -> None:
    services = parsed("--without", "http", "--without=echo")["services"]
    assert [options.service for options in services] == ["print-respond", "websocket"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--echo=9872"], "--echo: .*'9872'"),
        (["--http="], "--http: .*''"),
        (["--print-respond=x:1"], "--print-respond: .*'x:1'"),
        (["--format=x"], "--format"),
        (["extra"], "'extra'"),
        (["--without=smtp"], "--without takes one of .*, not 'smtp'"),
        (["--without=http", "--http=tcp:0"], "--http and --without http"),
        (["--without=inspector", "--inspect=tcp:0"], "--inspect and --without inspector"),
        (["--inspect=9872"], "--inspect: .*'9872'"),
        ([f"--without={name}" for name in NAMES], "no service"),
    ],
)
def test_a_mistake(arguments: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parsed(*arguments)


@pytest_twisted.ensureDeferred
async def test_all_services_run_and_are_told_in_a_table(
    tmp_path: Path, logged: list[LogEvent]
) -> None:
    from twisted.internet import reactor

    endpoints = [f"--{name}=unix:{tmp_path}/{name[0]}" for name in NAMES]
    inspect = f"--inspect=unix:{tmp_path}/i"
    service = umbrella.makeService(parsed(*endpoints, inspect, "--format=none"))
    service.privilegedStartService()
    service.startService()
    (table,) = [event["table"] for event in logged if "table" in event]
    assert [row.split() for row in table.splitlines()] == [
        [name, f"unix:{tmp_path}/{name[0]}"] for name in (*NAMES, "inspector")
    ]
    for name, request, response in [
        ("echo", b"hello", b"hello"),
        ("print-respond", b"hello", b"response data"),
        ("http", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"response data"),
        ("websocket", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"426"),
    ]:
        client = await connect(clientFromString(reactor, f"unix:{tmp_path}/{name[0]}"))
        client.transport.write(request)
        client.transport.loseWriteConnection()
        await client.lost
        assert response in client.received
    await service.stopService()
