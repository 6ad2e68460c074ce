"""
docs/limits.md: what it says of each limit is so, and none is missing.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from twisted.internet.testing import StringTransport

from netkit import http, net, printrespond, server, service, tls, websocket
from netkit.forward import RelayFactory

PAGE = Path(__file__).parents[1] / "docs/limits.md"

# What the page names, and whose limits it is to have all of.
CALLS: dict[str, Callable[..., Any]] = {
    "HTTPFactory": http.HTTPFactory,
    "Limits": http.Limits,
    "ListeningService": service.ListeningService,
    "PrintRespondFactory": printrespond.PrintRespondFactory,
    "RelayFactory": RelayFactory,
    "Request.form": http.Request.form,
    "Request.json": http.Request.json,
    "Request.read": http.Request.read,
    "Request.save": http.Request.save,
    "ServerFactory": server.ServerFactory,
    "ServerService": net.ServerService,
    "Socket.read": net.Socket.read,
    "Socket.readUntil": net.Socket.readUntil,
    "TLSFactory": tls.TLSFactory,
    "TLSServerEndpoint": tls.TLSServerEndpoint,
    "WebSocketOptions": websocket.WebSocketOptions,
    "createConnection": net.createConnection,
    "createServer": net.createServer,
}

SERVICES = ("echo", "printrespond", "http", "websocket", "forward")

IS_LIMIT = re.compile(r"max[A-Z]|.*Timeout$|timeout$|limit$|.*WaterMark$|ping[IT]|grace$")
IS_OPTION = re.compile(r"max-|.*-timeout$|ping-|grace$|capture-file|inspect-buffer")

UNITS = {"": 1, "s": 1, "KiB": 2**10, "MiB": 2**20}


class Row(NamedTuple):
    """
    A row of the page.
    """

    what: str
    calls: list[tuple[str, str]]
    options: list[str]
    default: str


def rows() -> Iterator[Row]:
    for line in PAGE.read_text().splitlines():
        if line.startswith("| ") and not line.startswith("| |"):
            _, what, calls, options, default, _, _ = line.split("|")
            yield Row(
                what.strip(),
                re.findall(r"`([\w.]+)\((\w+)=\)`", calls),
                re.findall(r"`--([\w-]+)`", options),
                default.strip(),
            )


ROWS = list(rows())


def value(default: str) -> float:
    """
    The number that a default is; 0 where there is none.
    """
    if default == "none":
        return 0
    number, _, unit = default.partition(" ")
    return float(number.replace(",", "")) * UNITS[unit]


def options(name: str) -> dict[str, object]:
    made = import_module(f"netkit.services.{name}").Options()
    return {option: made[option] for option in made.defaults}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)
def test_a_limit_is_as_the_page_says(row: Row) -> None:
    for call, argument in row.calls:
        default = inspect.signature(CALLS[call]).parameters[argument].default
        assert (default or 0) == value(row.default), call
    for option in row.options:
        # Of print-respond and HTTP the same option has rows of their own.
        found = [defaults[option] for defaults in map(options, SERVICES) if option in defaults]
        assert found
        assert set(found) == {value(row.default)}


def test_no_limit_is_missing() -> None:
    told = {pair for row in ROWS for pair in row.calls}
    for name, call in CALLS.items():
        # What a factory has from its base is told of that.
        inherited = {"maxConnections", "maxBuffered", "idleTimeout"} - (
            {"idleTimeout"} if name == "HTTPFactory" else set()
        )
        for argument in inspect.signature(call).parameters:
            if name not in ("ServerFactory", "createServer") and argument in inherited:
                continue
            if IS_LIMIT.match(argument) or name == "Limits":
                assert (name, argument) in told
    options_told = {option for row in ROWS for option in row.options}
    for name in SERVICES:
        limits = {option for option in options(name) if IS_OPTION.match(option)}
        assert limits <= options_told


def test_one_of_ones_own() -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "docs", "exec"), names)
    factory = names["factory"]
    protocol = factory.buildProtocol(None)
    transport = StringTransport()
    protocol.makeConnection(transport)
    protocol.dataReceived(b"one\nsev")
    protocol.dataReceived(b"en..\nrest")
    assert transport.value() == b"3\n7\n"
    assert factory.budget.used == 4
    with pytest.raises(net.BudgetExceededError):
        protocol.dataReceived(bytes(2**20))
    protocol.connectionLost(None)
    assert factory.budget.used == 0
    assert not factory.connections
