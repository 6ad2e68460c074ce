"""
C{netkit send}, and a server on Node's C{net}.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.interop.peers import HERE, SCRIPTS, Address, Daemon, Program, requirePeer, run

CONTENT = random.Random(1).randbytes(8 * 2**20)
SEND = [str(SCRIPTS / "netkit"), "send"]

Listen = Callable[[str], Address]


@pytest.fixture
def node(transport: str, freePath: Address) -> Iterator[Listen]:
    """
    Start a server on Node that does what its argument names, and tell where it listens.
    """
    wanted = freePath if transport == "unix" else Address(port=0)

    with ExitStack() as stack:

        def listen(action: str) -> Address:
            script = str(HERE / "server.mjs")
            server = Program([requirePeer("node"), script, json.dumps(wanted.node), action])
            stack.callback(server.stop)
            [listening] = server.waitForLines(re.compile(r"^listening (.*)"))
            where = json.loads(listening[1])
            return wanted if transport == "unix" else Address(port=where["port"])

        yield listen


def test_echo(node: Listen) -> None:
    """
    All of standard input goes out, all of the reply comes in, while it comes in.
    """
    done = run([*SEND, node("echo").client], CONTENT)
    assert (done.status, done.errors) == (0, b"")
    assert done.output == CONTENT


def test_half_close(node: Listen) -> None:
    """
    The end of standard input is the end of our side alone: the reply still comes.
    """
    done = run([*SEND, node("count").client], CONTENT)
    assert (done.status, done.output, done.errors) == (0, b"%d bytes\n" % len(CONTENT), b"")


def test_data_of_the_command_line(node: Listen) -> None:
    done = run([*SEND, node("echo").client, "zwölf"])
    assert (done.status, done.output, done.errors) == (0, "zwölf".encode(), b"")


def test_reset(node: Listen) -> None:
    done = run([*SEND, node("reset").client], CONTENT)
    assert done.status > 0
    assert done.output == b""
    assert len(done.errors.splitlines()) == 1


def test_timeout(node: Listen) -> None:
    done = run([*SEND, "--timeout", "0.2", node("silence").client, "hello"])
    assert done.status > 0
    assert len(done.errors.splitlines()) == 1


def test_refused(transport: str, folder: Path) -> None:
    nobody = Address(path=str(folder / "nobody")) if transport == "unix" else Address(port=1)
    done = run([*SEND, nobody.client, "hello"])
    assert done.status > 0
    [line] = done.errors.decode().splitlines()
    assert nobody.client in line


def test_bad_endpoint_string() -> None:
    done = run([*SEND, "nosuch:1", "hello"])
    assert done.status > 0
    [line] = done.errors.decode().splitlines()
    assert "nosuch:1" in line


@pytest.mark.parametrize(
    ("service", "reply"), [("netkit-echo", CONTENT), ("netkit-print-respond", b"response data")]
)
def test_own_services(
    serve: Callable[..., Daemon], transport: str, service: str, reply: bytes
) -> None:
    """
    What the README shows.
    """
    address = serve(service, "--format", "none").address(transport)
    done = run([*SEND, address.client], CONTENT)
    assert (done.status, done.output, done.errors) == (0, reply, b"")
