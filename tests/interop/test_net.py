"""
netkit.net and Node's net: the programs that open the documentation of the latter, and their
counterparts in C{examples/}, each with the other's, in both directions.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.peers import HERE, Address, Program, requirePeer, run

EXAMPLES = HERE.parents[1] / "examples"
LISTENING = re.compile(r"^listening on .*?(?P<port>\d+)?\)?$")

Start = Callable[..., Program]


@pytest.fixture
def start(freePath: Address) -> Iterator[Start]:
    """
    Start a program, which is ended at the test's end, before its socket is removed.
    """
    programs: list[Program] = []

    def start(*command: str) -> Program:
        programs.append(Program(command))
        return programs[-1]

    yield start
    for program in programs:
        program.stop()
        assert "Traceback" not in program.output, program.output


@pytest.fixture
def free(transport: str, freePath: Address) -> Address:
    """
    Where a server is to listen.
    """
    return Address(port=0) if transport == "tcp" else freePath


def example(name: str, *arguments: str) -> list[str]:
    return [sys.executable, str(EXAMPLES / name), *arguments]


def node(role: str, address: Address) -> list[str]:
    script = str(HERE / "net_peers.mjs")
    return [requirePeer("node"), script, role, json.dumps(address.node)]


def listening(program: Program, free: Address) -> Address:
    """
    Where a server has come to listen.
    """
    [match] = program.waitForLines(LISTENING)
    return free if free.path else Address(port=int(match["port"]))


def output(command: list[str]) -> str:
    done = run(command)
    assert (done.status, done.errors) == (0, b"")
    return done.output.decode()


def test_our_server_and_their_client(start: Start, free: Address) -> None:
    server = start(*example("net_server.py", free.server))
    assert output(node("client", listening(server, free))) == "response data\n"
    server.waitForLines(re.compile(r"^request data$"))


def test_their_server_and_our_client(start: Start, free: Address) -> None:
    server = start(*node("server", free))
    command = example("net_client.py", listening(server, free).client)
    assert output(command) == "response data\n"
    server.waitForLines(re.compile(r"^received request data$"))


def test_our_server_and_our_client(start: Start, free: Address) -> None:
    server = start(*example("net_server.py", free.server))
    command = example("net_client.py", listening(server, free).client)
    assert output(command) == "response data\n"


def test_http_over_a_bare_socket(start: Start, free: Address) -> None:
    server = start(*node("http-server", free))
    reply = output(example("net_http.py", listening(server, free).client, "example.org"))
    assert reply.startswith("HTTP/1.1 200 OK\r\n")
    assert reply.endswith("\r\n\r\nGET / for example.org")


def test_their_http_and_a_bare_socket_of_ours(start: Start, free: Address, tmp_path: Path) -> None:
    program = tmp_path / "bare_http.py"
    program.write_text(HTTP_SERVER)
    server = start(sys.executable, str(program), free.server)
    assert output(node("http-client", listening(server, free))) == "200 hello\n"


HTTP_SERVER = """
import sys
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from netkit import net

async def connected(socket):
    request = await socket.readUntil(b"\\r\\n\\r\\n")
    assert request.startswith(b"GET / HTTP/1.1\\r\\n"), request
    await socket.end(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello")

async def main():
    print("listening on", await net.createServer(connected).listen(sys.argv[1]), flush=True)
    await Deferred()

react(lambda reactor: Deferred.fromCoroutine(main()))
"""


@pytest.fixture
def serving(
    start: Start, free: Address, tmp_path: Path
) -> Callable[[str], tuple[Program, Address]]:
    """
    Start a server with a callback of our own.
    """

    def serving(callback: str) -> tuple[Program, Address]:
        program = tmp_path / "serving.py"
        program.write_text(callback + SERVER)
        server = start(sys.executable, str(program), free.server)
        return server, listening(server, free)

    return serving


SERVER = """
import sys
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from netkit import net

async def main():
    print("listening on", await net.createServer(connected).listen(sys.argv[1]), flush=True)
    await Deferred()

react(lambda reactor: Deferred.fromCoroutine(main()))
"""


def test_destroy_soon_of_ours_and_a_patient_client_of_theirs(
    serving: Callable[[str], tuple[Program, Address]],
) -> None:
    """
    It reads when we have long been done.
    """
    _, address = serving(
        """
async def connected(socket):
    socket.write(bytes(1_000_000))
    await socket.destroySoon()
"""
    )
    assert output(node("patient", address)) == "1000000\n"


def test_clients_of_theirs_that_leave(
    serving: Callable[[str], tuple[Program, Address]],
) -> None:
    """
    Nobody reads from them; each is noticed.
    """
    server, address = serving(
        """
gone = 0

async def connected(socket):
    global gone
    await socket.closed
    gone += 1
    if gone == 48:
        print("all are gone", flush=True)
"""
    )
    assert output(node("fickle", address)) == ""
    server.waitForLines(re.compile(r"^all are gone$"))


def test_many_clients_of_theirs_at_the_same_time(start: Start, free: Address) -> None:
    server = start(*example("net_server.py", free.server))
    assert output(node("crowd", listening(server, free))) == "Set(1) { 'response data' }\n"


NAMES = """
const net = require("node:net");
const own = (made) => Object.getOwnPropertyNames(made.prototype);
const names = [Object.keys(net), ...[net.Socket, net.Server, net.BlockList].map(own)].flat();
console.log(names.filter((name) => !name.startsWith("_") && name !== "constructor").join("\\n"));
"""


def test_every_name_of_nodes_is_in_the_table() -> None:
    """
    docs/net.md has a row for each.
    """
    rows = [
        line for line in (HERE.parents[1] / "docs/net.md").read_text().split("\n") if "|" in line
    ]
    known = set(re.findall(r"\w+", " ".join(line.split("|")[1] for line in rows)))
    missing = set(output([requirePeer("node"), "-e", NAMES]).split()) - known
    assert not missing
