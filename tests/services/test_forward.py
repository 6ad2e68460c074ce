"""
Tests for L{netkit.services.forward}.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.python.usage import UsageError

from netkit.services.forward import Options, makeService, names

from ..certificates import Authority

TO = ["--to", "tcp:localhost:80"]
TLS = ["--to", "tls:localhost:443"]


def parsed(*arguments: str) -> Options:
    options = Options()
    options.parseOptions(list(arguments))
    return options


def pairs(*arguments: str) -> list[tuple[list[str], str]]:
    return [(listen, to) for listen, _, to in parsed(*arguments)["pairs"]]


def test_one_pair() -> None:
    assert pairs(*TO) == [(["tcp:3204:interface=127.0.0.1"], "tcp:localhost:80")]
    assert parsed(*TO)["format"] == "none"


def test_several_endpoints_for_one_server() -> None:
    listen = ["-l", "tcp:1", *TO, "-l", "unix:/x"]
    assert pairs(*listen) == [(["tcp:1", "unix:/x"], "tcp:localhost:80")]


def test_several_pairs() -> None:
    arguments = ["-l", "tcp:1", "-l", "unix:/x", *TO, "--to", "unix:/y"]
    assert pairs(*arguments) == [(["tcp:1"], "tcp:localhost:80"), (["unix:/x"], "unix:/y")]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], ["--to", "tcp:localhost:80"]),
        (["--to", "80"], ["--to", "'80'"]),
        ([*TO, *TO], ["--listen was given once, --to 2 times"]),
        ([*TO, *TO, "-l", "tcp:1", "-l", "tcp:2", "-l", "tcp:3"], ["3 times"]),
        ([*TO, "--send-proxy", "v3"], ["--send-proxy", "v1, v2", "'v3'"]),
        (["--to", "ssl:localhost:443", "--send-proxy", "v1"], ["PROXY", "ssl:"]),
        (["--to", "ws://localhost/", "--send-proxy", "v1"], ["PROXY", "ws:"]),
        ([*TO, "--host", "a b"], ["--host", "a b"]),
        ([*TO, "--host", ""], ["--host"]),
        ([*TO, "--sni", "a"], ["'tcp:localhost:80'", "tls:"]),
        ([*TO, "--pass-sni"], ["'tcp:localhost:80'", "tls:"]),
        ([*TLS, "--sni", "a", "--pass-sni"], ["--sni", "--pass-sni"]),
        ([*TO, "--insecure"], ["'tcp:localhost:80'", "tls:"]),
        ([*TLS, "--insecure", "--ca", "x"], ["--insecure", "--ca"]),
        ([*TLS, "--ca", "/no/such/file"], ["--ca", "/no/such/file", "No such file"]),
        ([*TLS, "--ca", __file__], ["--ca", "no certificate"]),
        ([*TLS, "--alpn", "h2,,h3"], ["--alpn", "'h2,,h3'"]),
        ([*TO, "--connect-timeout", "soon"], ["--connect-timeout", "'soon'"]),
        (["--name", "a", "--control", "tcp:0"], ["--name was given once, --to 0 times"]),
        ([*TO, *TO, "--name", "a", "--name", "a"], ["--name", "'a'", "twice"]),
        ([*TO, "--name", ""], ["--name", "''"]),
        (["--control", "tcp:0", "--workers", "2"], ["--control", "--workers"]),
    ],
)
def test_mistakes(arguments: list[str], names: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    assert [name for name in names if name not in message] == []


@pytest.mark.parametrize(
    ("to", "name"),
    [
        (["tcp:localhost:80"], ["localhost:80"]),
        (["tcp:\\:\\:1:80", "tcp:localhost:80:timeout=5"], ["::1:80", "localhost:80"]),
        (["unix:/run/x.sock", "tls:a:1", "tcp:a:1"], ["run-x.sock", "a:1", "a:1-2"]),
        (["ws://localhost/a"], ["localhost-a"]),
    ],
)
def test_names_of_relays(to: list[str], name: list[str]) -> None:
    assert names(to, []) == name
    assert names(to, ["mine"]) == ["mine", *name[1:]]


def test_one_seed_for_all_relays() -> None:
    arguments = ["-l", "tcp:0", "-l", "tcp:0", *TO, *TO, "--fault", "refuse"]
    relays: Any = makeService(parsed(*arguments)).services
    assert len(relays) == 2
    assert len({relay.faults.seed for relay in relays}) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [*TLS, "--sni", "a.example", "--alpn", "h2,http/1.1", "--send-proxy", "v2"],
        [*TLS, "--pass-sni", "--insecure"],
        ["--to", "wss://localhost/", "--insecure"],
        ["--to", "unix:/x", "--send-proxy", "v1", "--host", "a.example:80"],
    ],
)
def test_what_can_be_asked_for(arguments: list[str]) -> None:
    assert len(parsed(*arguments)["pairs"]) == 1


def test_an_authority(tmp_path: Path) -> None:

    assert parsed(*TLS, "--ca", str(Authority(tmp_path).path))["pairs"]
